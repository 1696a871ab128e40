// Messages that are the A basis of neighbors, each component times exp(-kappa r) f_cut(r), and their derivatives. A part of kernels.cpp.
//
// Rows of neighbors are long: here lanes are components, one edge after the other.
#pragma once

#include "batch.h"

namespace les::cace {
namespace {

// exp(-kappa r) f_cut [max_l + 1, channels, n_radial], beyond which there is room for a vector
template <class T> LES_FN void attenuations(const Layer<T> &layer, T r, T step, T *out)
{
  using V = Vector<T>;
  const int count = (layer.orders.max_l + 1) * layer.columns();
  for (int i = 0; i < count; i += lanes<V>) {
    V rate;
    std::memcpy(&rate, layer.rates + i, sizeof rate);
    rate = exponential(rate * -r) * step;
    std::memcpy(out + i, &rate, sizeof rate);
  }
}

// Sums over neighbors, [size, channels, n_radial] of each atom of a batch, without prefactors
template <class T>
void sum_attenuated(const Layer<T> &layer, const Environment<T> &env, const Batch<T> &batch, Vector<T> *out,
                    Scratch<Vector<T>> scratch)
{
  const int columns = layer.columns(), size = layer.size();
  T *const decay = reinterpret_cast<T *>(scratch.take(layer.orders.max_l + 1 + size));
  T *const sum = reinterpret_cast<T *>(scratch.take(size));
  for (int i = 0; i < batch.n; i++) {
    std::memset(sum, 0, sizeof(T) * size);
    for (int j = 0; j < batch.number[i]; j++) {
      const int64_t edge = batch.first[i] + j;
      Edge<T> e;
      measure(env.vectors + 3 * edge, e.vector, &e.square, &e.square_rest);
      lengths<false>(layer, e);
      attenuations(layer, e.r, e.step, decay);
      const T *row = env.weights.row(env.source[edge]) + layer.weights();
      for (int p = 0; p <= layer.orders.max_l; p++)
        for (int l = count_below(p); l < count_below(p + 1); l++)
          for (int c = 0; c < columns; c++) sum[l * columns + c] += row[l * columns + c] * decay[p * columns + c];
    }
    for (int c = 0; c < size; c++) out[c][i] = sum[c];
  }
  for (int i = batch.n; i < Batch<T>::W; i++)
    for (int c = 0; c < size; c++) out[c][i] = T(0);
}

// Gradients g [size, channels, n_radial] by these sums of one atom: adds those by the row of a neighbor, returns that by the length of
// the edge to it.
template <class T>
LES_FN T attenuated_backward(const Layer<T> &layer, T r, T step, T step_slope, const T *g, const T *row, T *by_row,
                             T *decay)
{
  const int columns = layer.columns();
  attenuations(layer, r, T(1), decay);
  T total = 0;
  for (int p = 0; p <= layer.orders.max_l; p++) {
    const T *const d = decay + p * columns, *const rate = layer.rates + p * columns;
    for (int l = count_below(p); l < count_below(p + 1); l++) {
      const T *const g_l = g + l * columns, *const row_l = row + l * columns;
      T *const by_l = by_row + l * columns;
      for (int c = 0; c < columns; c++) {
        const T weighed = g_l[c] * d[c];
        by_l[c] += weighed * step;
        total += (weighed * row_l[c]) * (step_slope - rate[c] * step);
      }
    }
  }
  return total;
}

}    // namespace
}    // namespace les::cace

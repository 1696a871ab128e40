// Atoms in the lanes of vectors, and functions of their edges. A part of kernels.cpp.
#pragma once

#include "layer.h"

#include <cstring>

namespace les::cace {
namespace {

template <class T> struct VectorOf {
  typedef T type __attribute__((vector_size(LES_BYTES)));
};
template <class T> using Vector = typename VectorOf<T>::type;

// Memory that is handed out in turn
template <class V> struct Scratch {
  V *at;
  V *take(int64_t n)
  {
    V *const out = at;
    at += n;
    return out;
  }
};

template <class T> struct Batch {
  static constexpr int W = lanes<Vector<T>>;
  int64_t base;
  int n, most = 0;    // atoms; largest number of edges
  int64_t first[W];
  int number[W];

  Batch(const Environment<T> &env, int64_t batch) :
      base(batch * W), n(env.n - base < W ? static_cast<int>(env.n - base) : W)
  {
    for (int i = 0; i < W; i++) {
      first[i] = i < n ? env.first[base + i] : 0;
      number[i] = i < n ? static_cast<int>(env.first[base + i + 1] - first[i]) : 0;
      if (number[i] > most) most = number[i];
    }
  }
  int64_t atom(int lane) const { return base + (lane < n ? lane : n - 1); }
};

// Columns of the rows of a batch to lanes, and back
template <class T> void load(const Batch<T> &batch, Rows<const T> rows, int64_t column, int64_t count, Vector<T> *out)
{
  for (int i = 0; i < Batch<T>::W; i++) {
    const T *row = rows.row(batch.atom(i)) + column;
    for (int64_t c = 0; c < count; c++) out[c][i] = row[c];
  }
}
template <class T> void save(const Batch<T> &batch, Rows<T> rows, int64_t column, int64_t count, const Vector<T> *in)
{
  for (int i = 0; i < batch.n; i++) {
    T *row = rows.row(batch.base + i) + column;
    for (int64_t c = 0; c < count; c++) row[c] = in[c][i];
  }
}

template <class V> struct Edge {
  V vector[3];              // A
  V square, square_rest;    // of its length, and what rounding to a float has left of it
  V r, rest;                // length, likewise: frequencies multiply the error of the length
  V unit[3], inverse;       // what the vector is multiplied by to get the unit vector
  V step, step_slope;       // polynomial cutoff
};

// Vector and square of an edge, in one lane
template <class T> LES_FN void measure(const double *vector, T *out, T *square, T *rest)
{
  const double s = vector[0] * vector[0] + vector[1] * vector[1] + vector[2] * vector[2];
  for (int a = 0; a < 3; a++) out[a] = static_cast<T>(vector[a]);
  *square = static_cast<T>(s);
  *rest = static_cast<T>(s - static_cast<double>(*square));
}

// All that follows from them; with SLOPES the slope of the step too.
template <bool SLOPES, class T, class V> LES_FN void lengths(const Layer<T> &layer, Edge<V> &edge)
{
  const V *d = edge.vector;
  edge.r = root(edge.square);
  const V over = T(1) / edge.r;
  edge.rest = T(0.5) * over * (edge.square_rest + multiply_add(-edge.r, edge.r, edge.square));
  edge.inverse = in_float<V> ? over : T(1) / (edge.r + T(1e-9));    // 1e-9 is nothing to a float
  for (int a = 0; a < 3; a++) edge.unit[a] = d[a] * edge.inverse;
  // 1 - (p+1)(p+2)/2 x^p + p(p+2) x^(p+1) - p(p+1)/2 x^(p+2) = (1 - x)^3 sum_{k < p} (k+1)(k+2)/2 x^k, without cancellation
  const int p = layer.cutoff_power;
  const V x = edge.r / layer.cutoff, distance = (layer.cutoff - edge.r) - edge.rest;
  const V left = (distance > T(0) ? distance : V{}) / layer.cutoff;
  V sum{}, power = all<V>(1);    // x^(p - 1)
  for (int k = p - 1; k >= 0; k--) sum = sum * x + static_cast<T>((k + 1) * (k + 2) / 2);
  edge.step = left * left * left * sum;
  if constexpr (SLOPES) {
    for (int k = 1; k < p; k++) power *= x;
    edge.step_slope = power * (left * left) * (T(-0.5) * static_cast<T>(p * (p + 1) * (p + 2)) / layer.cutoff);
  }
}

// The j-th edges of the atoms and the weights of their neighbors; lanes that have none are at the cutoff, with weights 0.
template <class T>
LES_FN void gather(const Layer<T> &layer, const Environment<T> &env, const Batch<T> &batch, int j, Edge<Vector<T>> &out,
                   Vector<T> *weights)
{
  constexpr int W = Batch<T>::W;
  alignas(LES_BYTES) T x[5][W];
  const int n_weights = layer.weights();
  for (int i = 0; i < W; i++) {
    const bool there = j < batch.number[i];
    const int64_t edge = batch.first[i] + j;
    if (there) {
      T vector[3];
      measure(env.vectors + 3 * edge, vector, &x[3][i], &x[4][i]);
      for (int a = 0; a < 3; a++) x[a][i] = vector[a];
      const int64_t source = env.source[edge];
      const T *row = env.weights.row(env.of_species ? env.species[source] : source);
      for (int c = 0; c < n_weights; c++) weights[c][i] = row[c];
    } else {
      for (int a = 0; a < 5; a++) x[a][i] = T(0);
      x[0][i] = layer.cutoff;
      x[3][i] = layer.cutoff * layer.cutoff;
      for (int c = 0; c < n_weights; c++) weights[c][i] = T(0);
    }
  }
  std::memcpy(out.vector, x, 3 * sizeof x[0]);
  std::memcpy(&out.square, x[3], sizeof x[3]);
  std::memcpy(&out.square_rest, x[4], sizeof x[4]);
}

// Radial functions, cutoff included, and with SLOPES their derivatives by the length.
template <bool SLOPES, class T, class V>
LES_FN void radial_functions(const Layer<T> &layer, const Edge<V> &edge, V *radial, V *slope)
{
  const V over = T(1) / edge.r, front = over * layer.prefactor, scale = front * edge.step;
  V fall{};
  if constexpr (SLOPES) fall = front * (edge.step_slope - edge.step * over);
  for (int b = 0; b < layer.n_bessel; b++) {
    V sine, cosine;
    sine_and_cosine(edge.r, edge.rest, layer.frequencies[b], sine, cosine);
    radial[b] = scale * sine;
    if constexpr (SLOPES) slope[b] = (scale * layer.frequencies[b]) * cosine + fall * sine;
  }
}

// weights x radial functions, [weight_orders, weight_channels, n_bessel]
template <class T, class V> LES_FN void products(const Layer<T> &layer, const V *weights, const V *radial, V *out)
{
  for (int c = 0; c < layer.weights(); c++)
    for (int b = 0; b < layer.n_bessel; b++) out[c * layer.n_bessel + b] = weights[c] * radial[b];
}

}    // namespace
}    // namespace les::cace

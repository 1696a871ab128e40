// Sums over neighbors and their derivatives. A part of kernels.cpp.
#pragma once

#include "attenuated.h"

namespace les::cace {
namespace {

// Sums over neighbors, [size, weight_channels, n_bessel].
template <class Orders, class T>
void sum_neighbors(const Orders &orders, const Layer<T> &layer, const Environment<T> &env, const Batch<T> &batch,
                   Vector<T> *sums, Scratch<Vector<T>> scratch)
{
  using V = Vector<T>;
  constexpr int AT_ONCE = 4;
  const int width = layer.sum_width(), all_weights = layer.weights() * layer.n_bessel, size = orders.size;
  V *const weights = scratch.take(layer.weights()), *const radial = scratch.take(layer.n_bessel);
  V *const z = scratch.take(AT_ONCE * all_weights), *const y = scratch.take(AT_ONCE * size);
  std::memset(sums, 0, sizeof(V) * size * width);
  for (int from = 0; from < batch.most; from += AT_ONCE) {
    for (int j = 0; j < AT_ONCE; j++) {
      Edge<V> edge;
      gather(layer, env, batch, from + j, edge, weights);
      lengths<false>(layer, edge);
      radial_functions<false>(layer, edge, radial, static_cast<V *>(nullptr));
      monomials(orders, edge.unit, y + j * size);
      products(layer, weights, radial, z + j * all_weights);
    }
    for (int p = 0; p <= orders.max_l; p++) {
      const V *z0 = z + (layer.weight_orders > 1 ? p * width : 0), *z1 = z0 + all_weights, *z2 = z1 + all_weights,
              *z3 = z2 + all_weights;
      for (int l = count_below(p); l < count_below(p + 1); l++) {
        const V y0 = y[l], y1 = y[l + size], y2 = y[l + 2 * size], y3 = y[l + 3 * size];
        V *const s = sums + l * width;
        for (int w = 0; w < width; w++) s[w] += y0 * z0[w] + y1 * z1[w] + (y2 * z2[w] + y3 * z3[w]);
      }
    }
  }
}

// A few monomials' part of the sums over w of g_lw z_w, `value` [N], and over l of g_lw y_l, `by_products` [width], which is added to.
template <int N, class V> LES_FN void contract(const V *g, int width, const V *z, const V *y, V *value, V *by_products)
{
  V sum[N] = {};
  for (int w = 0; w < width; w++) {
    const V of_z = z[w];
    V of_y = by_products[w];
    LES_UNROLL for (int i = 0; i < N; i++)
    {
      const V of_g = g[i * width + w];
      sum[i] += of_g * of_z;
      of_y += of_g * y[i];
    }
    by_products[w] = of_y;
  }
  LES_UNROLL for (int i = 0; i < N; i++) value[i] = sum[i];
}

// Gradients of some sets by the sums, [sets, size, weight_channels, n_bessel], and by those of attenuated messages,
// [sets, lanes, size, channels, n_radial] atom by atom or null, to those by edges and by what neighbors sent.
template <class Orders, class T>
void edges_backward(const Orders &orders, const Layer<T> &layer, const Backward<T> &task, const Batch<T> &batch,
                    const Vector<T> *gradients, const T *of_attenuated, Scratch<Vector<T>> scratch)
{
  using V = Vector<T>;
  constexpr int W = Batch<T>::W;
  const int width = layer.sum_width(), size = orders.size, n_bessel = layer.n_bessel, n_weights = layer.weights();
  const Environment<T> &env = task.env;
  V *const weights = scratch.take(n_weights), *const radial = scratch.take(n_bessel);
  V *const slope = scratch.take(n_bessel), *const z = scratch.take(n_weights * n_bessel);
  V *const by_products = scratch.take(n_weights * n_bessel), *const y = scratch.take(size);
  V *const value = scratch.take(size), *const by_weights = scratch.take(n_weights);
  T *const decay = reinterpret_cast<T *>(scratch.take(layer.orders.max_l + 1 + layer.size()));
  if (n_weights == 0) std::memset(value, 0, sizeof(V) * size);
  for (int j = 0; j < batch.most; j++) {
    Edge<V> edge;
    gather(layer, env, batch, j, edge, weights);
    lengths<true>(layer, edge);
    radial_functions<true>(layer, edge, radial, slope);
    monomials(orders, edge.unit, y);
    products(layer, weights, radial, z);
    for (int set = 0; set < task.sets; set++) {
      const V *const g = gradients + static_cast<int64_t>(set) * size * width;
      std::memset(by_products, 0, sizeof(V) * n_weights * n_bessel);
      const int blocks = layer.weight_orders;
      for (int p = 0; p < blocks; p++) {
        const int end = blocks > 1 ? count_below(p + 1) : size;
        int l = blocks > 1 ? count_below(p) : 0;
        const auto block = [&](auto n) LES_INLINE {
          contract<n>(g + l * width, width, z + p * width, y + l, value + l, by_products + p * width);
          l += n;
        };
        while (l + 4 <= end) block(Int<4>{});
        if (l + 2 <= end) block(Int<2>{});
        if (l < end) block(Int<1>{});
      }
      V along{}, turn[3];
      for (int c = 0; c < n_weights; c++) {
        const V *const q = by_products + c * n_bessel;
        V by_length{}, by_weight{};
        for (int b = 0; b < n_bessel; b++) {
          by_length += slope[b] * q[b];
          by_weight += radial[b] * q[b];
        }
        along += weights[c] * by_length;
        by_weights[c] = by_weight;
      }
      slopes_of_monomials(orders, y, value, turn);
      for (int i = 0; of_attenuated && i < batch.n; i++) {
        if (j >= batch.number[i]) continue;
        const int64_t row = env.source[batch.first[i] + j];
        along[i] +=
            attenuated_backward(layer, edge.r[i], edge.step[i], edge.step_slope[i],
                                of_attenuated + (static_cast<int64_t>(set) * W + i) * layer.size(),
                                env.weights.row(row) + n_weights, task.by_sent[set].row(row) + n_weights, decay);
      }
      const V *u = edge.unit;
      const V h = (along - edge.inverse * (turn[0] * u[0] + turn[1] * u[1] + turn[2] * u[2])) / edge.r;
      V out[3];
      for (int a = 0; a < 3; a++) out[a] = edge.inverse * turn[a] + h * edge.vector[a];
      for (int i = 0; i < W; i++) {
        if (j >= batch.number[i]) continue;
        T *const at = task.by_edges[set] + 3 * (batch.first[i] + j);
        for (int a = 0; a < 3; a++) at[a] = task.add ? at[a] + out[a][i] : out[a][i];
        if (env.of_species) continue;
        T *const row = task.by_sent[set].row(env.source[batch.first[i] + j]);
        for (int c = 0; c < n_weights; c++) row[c] += by_weights[c][i];
      }
    }
  }
}

}    // namespace
}    // namespace les::cace

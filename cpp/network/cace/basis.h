// From sums to the A basis and its invariants. A part of kernels.cpp.
#pragma once

#include "batch.h"

namespace les::cace {
namespace {

template <class T> struct Mixing {
  const Layer<T> &layer;
  const Vector<T> *receiver;    // [K]
  const Vector<T> *rest;        // [size, channels, n_radial] what is added to the mixed sums, or null

  int place(int channel) const    // of its sums
  {
    return (layer.weight_channels == layer.channels ? channel : channel / layer.embedding) * layer.n_bessel;
  }
  const T *weights(int order, int channel, int radial) const
  {
    return layer.mixing + (static_cast<int64_t>(order) * layer.channels + channel) * layer.n_bessel * layer.n_radial +
           radial;
  }
};

// A [size] of one channel and radial function
template <class Orders, class T, class V>
LES_FN void basis_of(const Orders &orders, const Mixing<T> &mixing, const V *sums, int channel, int radial, V *out)
{
  const Layer<T> &layer = mixing.layer;
  const int width = layer.sum_width(), n_radial = layer.n_radial;
  const V receiver = mixing.receiver[channel % layer.embedding];
  const V *const s = sums + mixing.place(channel);
  orders.range(ZERO, orders.max_l + ONE, [&](auto p) LES_INLINE {
    V total[Orders::CAPACITY];
    const int64_t column = static_cast<int64_t>(channel) * n_radial + radial;
    if (layer.weights() == 0) {
      orders.range(orders.below(p), orders.below(p + ONE),
                   [&](auto i) LES_INLINE { out[i] = mixing.rest[i * layer.columns() + column]; });
      return;
    }
    const T *const w = mixing.weights(p, channel, radial);
    orders.range(orders.below(p), orders.below(p + ONE), [&](auto i) LES_INLINE { total[i] = s[i * width] * w[0]; });
    for (int b = 1; b < layer.n_bessel; b++) {
      const T wb = w[b * n_radial];
      orders.range(orders.below(p), orders.below(p + ONE),
                   [&](auto i) LES_INLINE { total[i] += s[i * width + b] * wb; });
    }
    orders.range(orders.below(p), orders.below(p + ONE), [&](auto i) LES_INLINE { out[i] = total[i] * receiver; });
    if (mixing.rest)
      orders.range(orders.below(p), orders.below(p + ONE),
                   [&](auto i) LES_INLINE { out[i] += mixing.rest[i * layer.columns() + column]; });
  });
}

// Features [invariants, channels, n_radial], and where `basis` is not null, A [size, channels, n_radial].
template <class Orders, class T>
void features_of(const Orders &orders, const Mixing<T> &mixing, const Vector<T> *sums, Vector<T> *features,
                 Vector<T> *basis)
{
  using V = Vector<T>;
  const Layer<T> &layer = mixing.layer;
  const int64_t step = static_cast<int64_t>(layer.channels) * layer.n_radial;
  V a[Orders::CAPACITY], b[Orders::CAPACITY];    // there are never more invariants than monomials
  for (int c = 0; c < layer.channels; c++)
    for (int m = 0; m < layer.n_radial; m++) {
      basis_of(orders, mixing, sums, c, m, a);
      invariants(orders, a, b);
      const int64_t column = static_cast<int64_t>(c) * layer.n_radial + m;
      for (int i = 0; i < orders.invariants; i++) features[i * step + column] = b[i];
      if (basis)
        for (int l = 0; l < orders.size; l++) basis[l * step + column] = a[l];
    }
}

// Of some sets: gradients by features, and where `by_basis` is not null by the A basis too, to those by the sums, and where it is not null,
// by `rest`. One set after the other, of the sizes of layers.
template <class Orders, class T>
void features_backward(const Orders &orders, const Mixing<T> &mixing, const Vector<T> *sums, int sets,
                       const Vector<T> *by_features, const Vector<T> *by_basis, Vector<T> *by_sums, Vector<T> *by_rest,
                       Scratch<Vector<T>> scratch)
{
  using V = Vector<T>;
  constexpr int AT_ONCE = 4;
  const Layer<T> &layer = mixing.layer;
  const int width = layer.sum_width(), n_radial = layer.n_radial;
  const int64_t step = layer.columns(), n_sums = static_cast<int64_t>(orders.size) * width;
  V *const g = scratch.take(orders.invariants);
  V a[AT_ONCE][Orders::CAPACITY], by_a[AT_ONCE][Orders::CAPACITY];
  std::memset(by_sums, 0, sizeof(V) * sets * n_sums);
  for (int c = 0; c < layer.channels; c++) {
    const V receiver = mixing.receiver[c % layer.embedding];
    for (int from = 0; from < n_radial; from += AT_ONCE) {
      const int count = n_radial - from < AT_ONCE ? n_radial - from : AT_ONCE;
      const int64_t first = c * n_radial + from;
      for (int q = 0; q < count; q++) basis_of(orders, mixing, sums, c, from + q, a[q]);
      for (int q = count; q < AT_ONCE; q++) std::memset(by_a[q], 0, sizeof(V) * orders.size);
      for (int set = 0; set < sets; set++) {
        for (int q = 0; q < count; q++) {
          const V *const by_feature = by_features + set * layer.features() + first + q;
          for (int i = 0; i < orders.invariants; i++) g[i] = by_feature[i * step];
          invariants_backward(orders, a[q], g, by_a[q]);
          const int64_t at = set * layer.size() + first + q;
          if (by_basis)
            for (int l = 0; l < orders.size; l++) by_a[q][l] += by_basis[at + l * step];
          if (by_rest)
            for (int l = 0; l < orders.size; l++) by_rest[at + l * step] = by_a[q][l];
          for (int l = 0; l < orders.size; l++) by_a[q][l] *= receiver;
        }
        if (layer.weights() == 0) continue;
        V *const s = by_sums + set * n_sums + mixing.place(c);
        orders.range(ZERO, orders.max_l + ONE, [&](auto p) LES_INLINE {
          const T *w = mixing.weights(p, c, from);
          for (int b = 0; b < layer.n_bessel; b++, w += n_radial) {
            const V w0 = all<V>(w[0]), w1 = all<V>(count > 1 ? w[1] : T(0)), w2 = all<V>(count > 2 ? w[2] : T(0)),
                    w3 = all<V>(count > 3 ? w[3] : T(0));
            orders.range(orders.below(p), orders.below(p + ONE), [&](auto i) LES_INLINE {
              s[i * width + b] += by_a[0][i] * w0 + by_a[1][i] * w1 + (by_a[2][i] * w2 + by_a[3][i] * w3);
            });
          }
        });
      }
    }
  }
}

}    // namespace
}    // namespace les::cace

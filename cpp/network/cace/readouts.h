// From invariants to numbers. A part of kernels.cpp.
#pragma once

#include "batch.h"

namespace les::cace {
namespace {

// out[o] = sum_i w[i, o] in[i]
template <int N, class T, class V> LES_FN void multiply_tile(const T *w, int stride, const V *in, int n_in, V *out)
{
  V total[N] = {};
  for (int i = 0; i < n_in; i++, w += stride) {
    const V x = in[i];
    LES_UNROLL for (int o = 0; o < N; o++) total[o] += x * w[o];
  }
  LES_UNROLL for (int o = 0; o < N; o++) out[o] = total[o];
}
template <class T, class V> void multiply(const T *w, int n_in, int n_out, const V *in, V *out)
{
  int o = 0;
  for (; o + 8 <= n_out; o += 8) multiply_tile<8>(w + o, n_out, in, n_in, out + o);
  if (o + 4 <= n_out) multiply_tile<4>(w + o, n_out, in, n_in, out + o), o += 4;
  if (o + 2 <= n_out) multiply_tile<2>(w + o, n_out, in, n_in, out + o), o += 2;
  if (o < n_out) multiply_tile<1>(w + o, n_out, in, n_in, out + o);
}

// Hidden layers before their silu: those of `first`, then those of the readouts, one after the other
template <class T> int64_t hidden_numbers(const Layer<T> &layer)
{
  int64_t n = layer.first.out;
  for (int r = 0; r < layer.readouts; r++)
    for (int d = 0; d + 1 < layer.readout[r].hidden; d++) n += layer.readout[r].rest[d].out;
  return n;
}
template <class T> int widest(const Layer<T> &layer)
{
  int n = layer.first.out;
  for (int r = 0; r < layer.readouts; r++)
    for (int d = 0; d < layer.readout[r].hidden; d++) {
      const Dense<T> &dense = layer.readout[r].rest[d];
      if (dense.in > n) n = dense.in;
      if (dense.out > n) n = dense.out;
    }
  return n;
}

// Features to outputs of all readouts, one after the other.
template <class T>
void read_out(const Layer<T> &layer, const Vector<T> *features, Vector<T> *hidden, Vector<T> *outputs,
              Scratch<Vector<T>> scratch)
{
  using V = Vector<T>;
  const int n = widest(layer);
  V *const in = scratch.take(n), *const out = scratch.take(n);
  multiply(layer.first.weights, layer.first.in, layer.first.out, features + layer.first_feature, hidden);
  for (int o = 0; o < layer.first.out; o++) hidden[o] += layer.first.bias[o];
  V *next = hidden + layer.first.out;
  for (int r = 0; r < layer.readouts; r++) {
    const Readout<T> &readout = layer.readout[r];
    const V *now = hidden + readout.first, *linear = now;
    for (int d = 0; d < readout.hidden; d++) {
      const Dense<T> &dense = readout.rest[d];
      if (d == 0) linear += dense.in;
      for (int i = 0; i < dense.in; i++) in[i] = silu(now[i]);
      V *const to = d + 1 < readout.hidden ? next : out;
      multiply(dense.weights, dense.in, dense.out, in, to);
      for (int o = 0; o < dense.out; o++) to[o] += dense.bias[o];
      now = to;
      if (d + 1 < readout.hidden) next += dense.out;
    }
    for (int o = 0; o < readout.outputs; o++)
      outputs[o] = (readout.hidden > 0 ? now[o] : V{}) + (readout.linear ? linear[o] : V{});
    outputs += readout.outputs;
  }
}

// Gradients by outputs of the readouts that take part, to those by features. `hidden` as of read_out.
template <class T>
void read_out_backward(const Layer<T> &layer, const Vector<T> *hidden, const bool *takes_part,
                       const Vector<T> *by_outputs, Vector<T> *by_features, Scratch<Vector<T>> scratch)
{
  using V = Vector<T>;
  const int n = widest(layer);
  V *const by_first = scratch.take(layer.first.out), *now = scratch.take(n), *below = scratch.take(n);
  const V *end = hidden + hidden_numbers(layer);
  int begin = layer.first.out, stop = 0;    // rows of `first` that take part
  for (int r = layer.readouts - 1; r >= 0; r--) {
    const Readout<T> &readout = layer.readout[r];
    const int rows = (readout.hidden > 0 ? readout.rest[0].in : 0) + (readout.linear ? readout.outputs : 0);
    const V *by_output = by_outputs + (r > 0 ? layer.readout[0].outputs : 0);
    V *const by_rows = by_first + readout.first;
    if (takes_part[r]) {
      begin = readout.first;
      if (stop == 0) stop = readout.first + rows;
      if (readout.linear)
        for (int o = 0; o < readout.outputs; o++) by_rows[rows - readout.outputs + o] = by_output[o];
      for (int o = 0; o < readout.outputs; o++) now[o] = by_output[o];
    } else std::memset(by_rows, 0, sizeof(V) * rows);
    for (int d = readout.hidden - 1; d >= 0; d--) {
      const Dense<T> &dense = readout.rest[d];
      if (d > 0) end -= dense.in;
      if (!takes_part[r]) continue;
      const V *const before = d > 0 ? end : hidden + readout.first;
      V *const to = d > 0 ? below : by_rows;
      multiply(dense.backward, dense.out, dense.in, now, to);
      for (int i = 0; i < dense.in; i++) to[i] *= silu_slope(before[i]);
      if (d > 0) {
        V *const free = now;
        now = below;
        below = free;
      }
    }
  }
  if (stop > begin)
    multiply(layer.first.backward + static_cast<int64_t>(begin) * layer.first.in, stop - begin, layer.first.in,
             by_first + begin, by_features + layer.first_feature);
}

}    // namespace
}    // namespace les::cace

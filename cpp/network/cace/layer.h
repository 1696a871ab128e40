// One layer of a CACE network as numbers, and the kernels that evaluate it and its derivatives; formulas in lammps_les/models/cace.
//
// Plain structs: object files made for different instruction sets share them, and no functions.
#pragma once

#include "orders.h"

#include <cstddef>
#include <cstdint>

namespace les::cace {

// y = W x + bias. The matrix stands once for either direction, with what is summed over first.
template <class T> struct Dense {
  int in = 0, out = 0;
  const T *weights = nullptr;     // [in, out]
  const T *backward = nullptr;    // [out, in]
  const T *bias = nullptr;        // [out], zeros where there is none
};

// A perceptron and a linear term on features of an atom, but for their first layers, which are one matrix of all readouts.
template <class T> struct Readout {
  static constexpr int MOST_HIDDEN = 8;
  int first = 0;     // rows of that matrix: those of the first hidden layer, then those of the linear term
  int hidden = 0;    // layers
  int outputs = 0;
  bool linear = false;
  Dense<T> rest[MOST_HIDDEN];    // from each hidden layer to the next, or to the outputs
};

template <class T> struct Layer {
  int index = 0;        // 0: the first
  Any orders{};         // max_l, max_nu, and tables of them
  int embedding = 0;    // K: numbers that stand for an element
  int channels = 0;     // K^2
  int n_bessel = 0, n_radial = 0;
  int cutoff_power = 0;
  T cutoff = 0, prefactor = 0;
  const T *frequencies = nullptr;    // [n_bessel]
  // weights of a neighbor in the sums: for each order alike, or not; for each channel of the sender, or of sender and receiver; or none
  int weight_orders = 1, weight_channels = 0;
  const T *sender = nullptr;      // [species, K]
  const T *receiver = nullptr;    // [species, K], what sums are divided by included
  const T *mixing = nullptr;      // [max_l + 1, channels, n_bessel, n_radial]
  const T *memory = nullptr;      // [max_l + 1, channels, n_radial] share of the A basis of the layer before, or null
  // where the A basis of neighbors comes in too, else null: kappa [1/A], room for 16 more behind it; and what the sums are multiplied by
  const T *rates = nullptr, *prefactors = nullptr;    // [max_l + 1, channels, n_radial]
  Dense<T> first;                                     // first layers of all readouts
  int first_feature = 0;                              // of those that they see
  int readouts = 0;
  Readout<T> readout[2];
  bool last = false;    // else the one readout gives the weights of messages, which multiply the sender's embedding
  int message_orders = 0, message_channels = 0;    // of the readout then; none where the next layer does not ask for it
  bool keeps_basis = false, sends_basis = false;    // the next layer has memory, or attenuated messages

  LES_FN int columns() const { return channels * n_radial; }
  LES_FN int size() const { return orders.size * columns(); }    // of the A basis
  LES_FN int new_features() const { return orders.invariants * columns(); }
  LES_FN int features() const { return (index + 1) * new_features(); }
  LES_FN int weights() const { return weight_orders * weight_channels; }
  LES_FN int sum_width() const { return weight_channels * n_bessel; }
  LES_FN int message_sums() const { return message_channels > embedding ? message_channels : embedding; }
  LES_FN int message_weights() const { return message_orders * message_sums(); }
  // columns of what it takes, and of what it leaves
  LES_FN int takes_kept() const { return index * new_features() + (memory ? size() : 0); }
  LES_FN int takes_sent() const { return index > 0 ? weights() + (rates ? size() : 0) : 0; }
  LES_FN int leaves_kept() const { return features() + (keeps_basis ? size() : 0); }
  LES_FN int leaves_sent() const { return message_weights() + (sends_basis ? size() : 0); }
};

// Rows of numbers, a part of their columns
template <class T> struct Rows {
  T *at = nullptr;
  int64_t stride = 0;
  LES_FN T *row(int64_t i) const { return at + i * stride; }
};

// Atoms and their edges, sorted by center.
template <class T> struct Environment {
  int64_t n = 0;
  const int64_t *first = nullptr;      // [n + 1] edges of each center
  const double *vectors = nullptr;     // [E, 3] A
  const int64_t *species = nullptr;    // the first n rows are the atoms
  // weights of neighbor e: row source[e], or where `of_species`, row species[source[e]]
  const int64_t *source = nullptr;
  bool of_species = false;
  Rows<const T> weights;
};

template <class T> struct Forward {
  Environment<T> env;
  Rows<const T> kept;     // of the layer before
  Rows<T> outputs[2];     // of the readouts of the last layer
  Rows<T> left, sent;     // of others, for the next layer: what is kept, and what neighbors get
  T *stored = nullptr;    // null: there is no backward()
};

template <class T> struct Backward {
  Environment<T> env;
  Rows<const T> kept;
  T *stored = nullptr;    // not changed
  int sets = 0;
  int sets_of_readout[2] = {0, 0};    // the first ones have weights of its outputs
  // weights of each set
  const Rows<const T> *weights[2] = {nullptr, nullptr};
  const Rows<const T> *left = nullptr, *sent = nullptr;
  // results, of each set
  T *const *by_edges = nullptr;    // [E, 3], added to where `add`
  bool add = false;
  const Rows<T> *by_kept = nullptr;
  const Rows<T> *by_sent = nullptr;    // rows source[e], added
};

// Batches of `lanes` atoms, from begin to end. `scratch`: so many numbers, aligned to 64 bytes, as is `stored`.
template <class T> struct Kernels {
  const char *name;
  int lanes;
  size_t (*stored)(const Layer<T> &, int64_t n);
  size_t (*scratch)(const Layer<T> &, int sets);
  void (*forward)(const Layer<T> &, const Forward<T> &, int64_t begin, int64_t end, T *scratch);
  void (*backward)(const Layer<T> &, const Backward<T> &, int64_t begin, int64_t end, T *scratch);
};

}    // namespace les::cace

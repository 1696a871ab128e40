// The kernels of a CPU: `lanes` atoms at a time, each in a lane of a vector. Made once for each instruction set, LES_ISA, with vectors of
// LES_BYTES; no function with a name that other object files have may come in here (inline functions of the standard library, ours
// unless they are always inlined), or a machine may meet instructions that it does not know.

#include "basis.h"
#include "readouts.h"
#include "sums.h"

namespace les::cace {
namespace {

template <class T> int outputs_of(const Layer<T> &layer)
{
  int n = 0;
  for (int r = 0; r < layer.readouts; r++) n += layer.readout[r].outputs;
  return n;
}

template <class T>
void load_elements(const Layer<T> &layer, const Environment<T> &env, const Batch<T> &batch, const T *table,
                   Vector<T> *out)
{
  for (int a = 0; a < layer.embedding; a++)
    for (int i = 0; i < Batch<T>::W; i++) out[a][i] = table[env.species[batch.atom(i)] * layer.embedding + a];
}

// What is sent from outputs of the readout, or the other way round their gradients
template <class T, class F> void each_message(const Layer<T> &layer, F &&f)
{
  const int sums = layer.message_sums();
  for (int o = 0; o < layer.message_orders; o++)
    for (int s = 0; s < sums; s++)
      f(o * layer.message_channels + (layer.message_channels > 1 ? s : 0), o * sums + s,
        layer.message_channels > 1 ? s / layer.embedding : s);
}

// What is stored of a batch: its sums, hidden layers, and where there are some, attenuated sums
template <class T> struct StoredBatch {
  int64_t n_sums, n_hidden, n_attenuated;
  Vector<T> *sums = nullptr;

  explicit StoredBatch(const Layer<T> &layer) :
      n_sums(static_cast<int64_t>(layer.orders.size) * layer.sum_width()), n_hidden(hidden_numbers(layer)),
      n_attenuated(layer.rates ? layer.size() : 0)
  {
  }
  int64_t size() const { return n_sums + n_hidden + n_attenuated; }
  Vector<T> *hidden() const { return sums + n_sums; }
  Vector<T> *attenuated() const { return sums + n_sums + n_hidden; }
};

// What is added to the mixed sums of the A basis: of attenuated messages, and of the atom's own A basis of the layer before, `own`.
template <class T>
void rest_of(const Layer<T> &layer, const Vector<T> *attenuated, const Vector<T> *own, Vector<T> *out)
{
  const int columns = layer.columns();
  for (int p = 0; p <= layer.orders.max_l; p++)
    for (int l = count_below(p); l < count_below(p + 1); l++)
      for (int c = 0; c < columns; c++) {
        const int at = l * columns + c;
        out[at] = Vector<T>{};
        if (layer.rates) out[at] += attenuated[at] * layer.prefactors[p * columns + c];
        if (layer.memory) out[at] += own[at] * layer.memory[p * columns + c];
      }
}

// Likewise gradients `by_rest` to those by `own`, which is overwritten, and by attenuated sums, atom by atom [lanes, size].
template <class T>
void rest_backward(const Layer<T> &layer, const Vector<T> *by_rest, Vector<T> *by_own, T *by_attenuated)
{
  const int columns = layer.columns(), size = layer.size();
  for (int p = 0; p <= layer.orders.max_l; p++)
    for (int l = count_below(p); l < count_below(p + 1); l++)
      for (int c = 0; c < columns; c++) {
        const int at = l * columns + c;
        if (layer.memory) by_own[at] = by_rest[at] * layer.memory[p * columns + c];
        for (int i = 0; layer.rates && i < Batch<T>::W; i++)
          by_attenuated[i * size + at] = by_rest[at][i] * layer.prefactors[p * columns + c];
      }
}

template <class Orders, class T>
void forward_batch(const Orders &orders, const Layer<T> &layer, const Forward<T> &task, int64_t number,
                   Scratch<Vector<T>> scratch)
{
  using V = Vector<T>;
  const Batch<T> batch(task.env, number);
  StoredBatch<T> stored(layer);
  stored.sums = task.stored ? reinterpret_cast<V *>(task.stored) + number * stored.size() : scratch.take(stored.size());
  V *const receiver = scratch.take(layer.embedding), *const outputs = scratch.take(outputs_of(layer));
  V *const features = scratch.take(layer.features());
  V *const basis = layer.keeps_basis || layer.sends_basis ? scratch.take(layer.size()) : nullptr;
  V *const own = layer.memory ? scratch.take(layer.size()) : nullptr;
  V *const rest = layer.memory || layer.rates ? scratch.take(layer.size()) : nullptr;
  const int earlier = layer.index * layer.new_features();
  if (earlier > 0) load(batch, task.kept, 0, earlier, features);
  if (own) load(batch, task.kept, earlier, layer.size(), own);
  load_elements(layer, task.env, batch, layer.receiver, receiver);
  if (layer.weights() > 0) sum_neighbors(orders, layer, task.env, batch, stored.sums, scratch);
  if (layer.rates) sum_attenuated(layer, task.env, batch, stored.attenuated(), scratch);
  if (rest) rest_of(layer, stored.attenuated(), own, rest);
  features_of(orders, Mixing<T>{layer, receiver, rest}, stored.sums, features + earlier, basis);
  if (layer.readouts > 0) read_out(layer, features, stored.hidden(), outputs, scratch);
  if (layer.last) {
    for (int r = 0, at = 0; r < layer.readouts; at += layer.readout[r++].outputs)
      save(batch, task.outputs[r], 0, layer.readout[r].outputs, outputs + at);
    return;
  }
  V *const sender = scratch.take(layer.embedding), *const sent = scratch.take(layer.message_weights());
  load_elements(layer, task.env, batch, layer.sender, sender);
  each_message(layer, [&](int output, int place, int a) { sent[place] = outputs[output] * sender[a]; });
  save(batch, task.sent, 0, layer.message_weights(), sent);
  save(batch, task.left, 0, layer.features(), features);
  if (layer.sends_basis) save(batch, task.sent, layer.message_weights(), layer.size(), basis);
  if (layer.keeps_basis) save(batch, task.left, layer.features(), layer.size(), basis);
}

// Gradients by the A basis where it was kept, sent, or both; `other` is of its size.
template <class T>
void load_basis(const Layer<T> &layer, const Backward<T> &task, const Batch<T> &batch, int set, Vector<T> *out,
                Vector<T> *other)
{
  const int size = layer.size();
  if (layer.keeps_basis) load(batch, task.left[set], layer.features(), size, out);
  if (!layer.sends_basis) return;
  Vector<T> *const of_sent = layer.keeps_basis ? other : out;
  load(batch, task.sent[set], layer.message_weights(), size, of_sent);
  for (int i = 0; layer.keeps_basis && i < size; i++) out[i] += of_sent[i];
}

template <class Orders, class T>
void backward_batch(const Orders &orders, const Layer<T> &layer, const Backward<T> &task, int64_t number,
                    Scratch<Vector<T>> scratch)
{
  using V = Vector<T>;
  const Batch<T> batch(task.env, number);
  StoredBatch<T> stored(layer);
  stored.sums = reinterpret_cast<V *>(task.stored) + number * stored.size();
  const int sets = task.sets, size = layer.size(), earlier = layer.index * layer.new_features();
  const bool of_basis = layer.keeps_basis || layer.sends_basis, has_rest = layer.memory || layer.rates;
  V *const receiver = scratch.take(layer.embedding), *const sender = scratch.take(layer.embedding);
  V *const by_sums = scratch.take(sets * stored.n_sums);
  V *const by_features = scratch.take(sets * layer.features());
  V *const by_basis = of_basis ? scratch.take(sets * size) : nullptr;
  V *const by_rest = has_rest ? scratch.take(sets * size) : nullptr;
  T *const by_attenuated = layer.rates ? reinterpret_cast<T *>(scratch.take(sets * size)) : nullptr;
  V *const rest = has_rest ? scratch.take(size) : nullptr, *const own = layer.memory ? scratch.take(size) : nullptr;
  V *const other = scratch.take(layer.features() + size);
  V *const by_outputs = scratch.take(outputs_of(layer));
  V *const by_messages = scratch.take(layer.message_weights());
  if (own) load(batch, task.kept, earlier, size, own);
  if (rest) rest_of(layer, stored.attenuated(), own, rest);
  load_elements(layer, task.env, batch, layer.receiver, receiver);
  if (!layer.last) load_elements(layer, task.env, batch, layer.sender, sender);

  for (int set = 0; set < sets; set++) {
    V *const by_feature = by_features + set * layer.features();
    bool takes_part[2] = {false, false};
    for (int r = 0, at = 0; r < layer.readouts; at += layer.readout[r++].outputs) {
      takes_part[r] = !layer.last || set < task.sets_of_readout[r];
      if (!takes_part[r]) continue;
      if (layer.last) {
        load(batch, task.weights[r][set], 0, layer.readout[r].outputs, by_outputs + at);
        continue;
      }
      load(batch, task.sent[set], 0, layer.message_weights(), by_messages);
      for (int o = 0; o < layer.readout[r].outputs; o++) by_outputs[o] = V{};
      each_message(layer, [&](int output, int place, int a) { by_outputs[output] += by_messages[place] * sender[a]; });
    }
    std::memset(by_feature, 0, sizeof(V) * layer.features());
    if (takes_part[0] || takes_part[1])
      read_out_backward(layer, stored.hidden(), takes_part, by_outputs, by_feature, scratch);
    if (!layer.last) {
      load(batch, task.left[set], 0, layer.features(), other);
      for (int f = 0; f < layer.features(); f++) by_feature[f] += other[f];
      if (by_basis) load_basis(layer, task, batch, set, by_basis + set * size, other);
    }
    if (earlier > 0) save(batch, task.by_kept[set], 0, earlier, by_feature);
  }
  features_backward(orders, Mixing<T>{layer, receiver, rest}, stored.sums, sets, by_features + earlier, by_basis,
                    by_sums, by_rest, scratch);
  for (int set = 0; has_rest && set < sets; set++) {
    rest_backward(layer, by_rest + set * size, own, by_attenuated ? by_attenuated + set * Batch<T>::W * size : nullptr);
    if (layer.memory) save(batch, task.by_kept[set], earlier, size, own);
  }
  edges_backward(orders, layer, task, batch, by_sums, by_attenuated, scratch);
}

// ---- the table

// Loops of published models are unrolled.
template <class T, class F> void with_orders(const Layer<T> &layer, F &&f)
{
  const int l = layer.orders.max_l, nu = layer.orders.max_nu;
  if (l == 3 && nu == 3) f(Fixed<3, 3>{});
  else if (l == 3 && nu == 2) f(Fixed<3, 2>{});
  else if (l == 2 && nu == 3) f(Fixed<2, 3>{});
  else if (l == 2 && nu == 2) f(Fixed<2, 2>{});
  else f(layer.orders);
}

template <class T> size_t stored(const Layer<T> &layer, int64_t n)
{
  constexpr int W = Batch<T>::W;
  return static_cast<size_t>((n + W - 1) / W * StoredBatch<T>(layer).size() * W);
}

template <class T> size_t scratch(const Layer<T> &layer, int sets)
{
  const int64_t size = layer.orders.size, n_weights = layer.weights(), n_bessel = layer.n_bessel,
                of_set = size * layer.sum_width() + layer.features() + 3 * layer.size();
  const int64_t of_edges = 6 * n_weights * n_bessel + 2 * n_weights + 6 * size + 2 * n_bessel + 3 * layer.size();
  const int64_t of_features = 2 * layer.features() + layer.orders.invariants + 5 * layer.size();
  const int64_t of_readouts = layer.first.out + 2 * widest(layer) + outputs_of(layer);
  const int64_t of_messages = layer.message_weights() + 2 * layer.embedding;
  const int64_t all = StoredBatch<T>(layer).size() + sets * of_set + of_edges + of_features + of_readouts + of_messages;
  return static_cast<size_t>(all * Batch<T>::W);
}

template <class T> void forward(const Layer<T> &layer, const Forward<T> &task, int64_t begin, int64_t end, T *scratch)
{
  with_orders(layer, [&](const auto &orders) {
    for (int64_t b = begin; b < end; b++)
      forward_batch(orders, layer, task, b, Scratch<Vector<T>>{reinterpret_cast<Vector<T> *>(scratch)});
  });
}

template <class T> void backward(const Layer<T> &layer, const Backward<T> &task, int64_t begin, int64_t end, T *scratch)
{
  with_orders(layer, [&](const auto &orders) {
    for (int64_t b = begin; b < end; b++)
      backward_batch(orders, layer, task, b, Scratch<Vector<T>>{reinterpret_cast<Vector<T> *>(scratch)});
  });
}

}    // namespace

#define LES_JOIN_(a, b) a##b
#define LES_JOIN(a, b) LES_JOIN_(a, b)
#define LES_TEXT_(a) #a
#define LES_TEXT(a) LES_TEXT_(a)
extern const Kernels<float> LES_JOIN(LES_ISA, _float);
extern const Kernels<double> LES_JOIN(LES_ISA, _double);
const Kernels<float> LES_JOIN(LES_ISA, _float){LES_TEXT(LES_ISA), Batch<float>::W, stored<float>,
                                               scratch<float>,    forward<float>,  backward<float>};
const Kernels<double> LES_JOIN(LES_ISA, _double){LES_TEXT(LES_ISA), Batch<double>::W, stored<double>,
                                                 scratch<double>,   forward<double>,  backward<double>};

}    // namespace les::cace

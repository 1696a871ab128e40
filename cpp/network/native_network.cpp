// A CACE network by kernels made for it, on a CPU.

#include "native_network.h"

#include "cace/arrays.h"
#include "cace/kernels_here.h"

#include <ATen/Parallel.h>

#include <functional>
#include <thread>

namespace les {

using torch::Tensor;

namespace {

// Pieces of work of several threads, those that torch may use
void in_threads(int64_t count, int64_t least, const std::function<void(int64_t, int64_t)> &work)
{
  const int64_t threads = std::max<int64_t>(1, std::min<int64_t>(at::get_num_threads(), count / least));
  std::vector<std::thread> others;
  const auto begin = [&](int64_t i) { return count * i / threads; };
  for (int64_t i = 1; i < threads; i++) others.emplace_back(work, begin(i), begin(i + 1));
  work(0, begin(1));
  for (std::thread &t : others) t.join();
}

template <class T> class NativeNetwork : public Network {
 public:
  NativeNetwork(const ModelFile &file) :
      Network(file.metadata(), torch::kCPU), arrays_(cace::read_arrays<T>(file)), kernels_(cace::kernels_here<T>())
  {
  }

  bool takes_rows() const override { return false; }
  int64_t most_centers(bool by_edges) const override
  {
    constexpr int64_t MOST = 32768, NUMBERS = 1 << 23, NEIGHBORS = 64;
    const auto &sent = metadata().network.sent;
    const int64_t widest = sent.empty() ? 0 : *std::max_element(sent.begin(), sent.end());
    return by_edges && widest > 0 ? std::clamp<int64_t>(NUMBERS / (NEIGHBORS * widest), 64, MOST) : MOST;
  }
  std::string description() const override { return std::string("kernels for CACE, ") + kernels_.name; }

  std::vector<Tensor> evaluate(const PieceInput &in, std::unique_ptr<Stored> *stored) const override
  {
    auto own = std::make_unique<Own>(in);
    const bool final = in.piece + 1 == pieces();
    const auto options = torch::dtype(dtype());
    const int64_t channels = metadata().charges.channels;
    Tensor kept, sent, energy, charge;
    if (final) {
      energy = torch::empty({in.n}, options);
      charge = torch::empty({in.n, channels}, options);
    } else {
      kept = torch::empty({in.n, metadata().network.kept[in.piece]}, options);
      sent = torch::empty({in.n, metadata().network.sent[in.piece]}, options);
    }
    int64_t in_kept = 0, in_sent = 0, out_kept = 0, out_sent = 0;
    for (const auto &branch : arrays_->branches) {
      const auto &layer = branch.layers[in.piece];
      cace::Forward<T> task;
      task.env = environment(*own, layer, in_sent);
      task.kept = {own->kept.template data_ptr<T>() + in_kept, own->kept.size(1)};
      if (stored) {
        own->numbers.push_back(numbers(kernels_.stored(layer, in.n)));
        task.stored = aligned(own->numbers.back());
      }
      int readout = 0;
      if (final && branch.energy) task.outputs[readout++] = {energy.data_ptr<T>(), 1};
      if (final && branch.charges) task.outputs[readout++] = {charge.data_ptr<T>(), channels};
      if (!final) {
        task.sent = {sent.data_ptr<T>() + out_sent, sent.size(1)};
        task.left = {kept.data_ptr<T>() + out_kept, kept.size(1)};
        out_sent += layer.leaves_sent();
        out_kept += layer.leaves_kept();
      }
      run(layer, in.n, 0,
          [&](int64_t begin, int64_t end, T *scratch) { kernels_.forward(layer, task, begin, end, scratch); });
      advance(layer, &in_kept, &in_sent);
    }
    if (stored) *stored = std::move(own);
    if (!final) return {kept, sent};
    return channels > 0 ? std::vector<Tensor>{energy, charge} : std::vector<Tensor>{energy};
  }

  PieceGradients backward(const Stored &stored, const std::vector<Tensor> &given, bool /*last*/) const override
  {
    const auto &own = dynamic_cast<const Own &>(stored);
    std::vector<Tensor> weights;
    for (const Tensor &w : given) weights.push_back(w.to(dtype()).contiguous());
    const bool final = own.piece + 1 == pieces();
    const auto sets = static_cast<int>(weights.back().size(0));
    const auto options = torch::dtype(dtype());
    const bool several = arrays_->branches.size() > 1;    // their gradients are added
    const auto result = [&](at::IntArrayRef shape, bool zeros) {
      return zeros ? torch::zeros(shape, options) : torch::empty(shape, options);
    };
    PieceGradients out{result({sets, own.n, own.kept.size(1)}, several),
                       result({sets, own.sent.size(0), own.piece > 0 ? own.sent.size(1) : 0}, true),
                       result({sets, own.edges, 3}, several)};
    int64_t in_kept = 0, in_sent = 0, out_kept = 0, out_sent = 0;
    for (size_t b = 0; b < arrays_->branches.size(); b++) {
      const auto &branch = arrays_->branches[b];
      const auto &layer = branch.layers[own.piece];
      cace::Backward<T> task;
      task.env = environment(own, layer, in_sent);
      task.kept = {own.kept.template data_ptr<T>() + in_kept, own.kept.size(1)};
      task.stored = aligned(own.numbers[b]);
      task.add = several;
      task.sets = final && !branch.charges ? static_cast<int>(weights[0].size(0)) : sets;
      std::vector<cace::Rows<const T>> of_readout[2], left, sent;
      std::vector<T *> by_edges;
      std::vector<cace::Rows<T>> by_kept, by_sent;
      const auto rows = [](const Tensor &t, int64_t set, int64_t column) {
        const int64_t width = t.dim() > 2 ? t.size(2) : 1;
        return cace::Rows<T>{t.data_ptr<T>() + set * t.size(1) * width + column, width};
      };
      const auto read_rows = [&](const Tensor &t, int64_t set, int64_t column) {
        const auto found = rows(t, set, column);
        return cace::Rows<const T>{found.at, found.stride};
      };
      int readouts = 0;
      const auto add_readout = [&](const Tensor &w) {
        task.sets_of_readout[readouts] = static_cast<int>(w.size(0));
        for (int64_t s = 0; s < w.size(0); s++) of_readout[readouts].push_back(read_rows(w, s, 0));
        task.weights[readouts] = of_readout[readouts].data();
        readouts++;
      };
      if (final && branch.energy) add_readout(weights[0]);
      if (final && branch.charges) add_readout(weights[1]);
      if (!final) {
        for (int s = 0; s < sets; s++) {
          left.push_back(read_rows(weights[0], s, out_kept));
          sent.push_back(read_rows(weights[1], s, out_sent));
        }
        task.left = left.data();
        task.sent = sent.data();
        out_sent += layer.leaves_sent();
        out_kept += layer.leaves_kept();
      }
      for (int s = 0; s < sets; s++) {
        by_edges.push_back(out.edge_vectors.template data_ptr<T>() + s * own.edges * 3);
        by_kept.push_back(rows(out.kept, s, in_kept));
        by_sent.push_back(rows(out.sent, s, in_sent));
      }
      task.by_edges = by_edges.data();
      task.by_kept = by_kept.data();
      task.by_sent = by_sent.data();
      run(layer, own.n, task.sets,
          [&](int64_t begin, int64_t end, T *scratch) { kernels_.backward(layer, task, begin, end, scratch); });
      advance(layer, &in_kept, &in_sent);
    }
    return out;
  }

 private:
  std::unique_ptr<cace::Arrays<T>> arrays_;
  const cace::Kernels<T> &kernels_;

  struct Own : Stored {
    int piece;
    int64_t n, edges;
    Tensor kept, sent, vectors, source, species;
    std::vector<int64_t> first;
    std::vector<Tensor> numbers;    // of each branch

    explicit Own(const PieceInput &in) :
        piece(in.piece), n(in.n), edges(in.edge_vectors.size(0)),
        kept(in.kept.to(c10::CppTypeToScalarType<T>::value).contiguous()),
        sent(in.sent.to(c10::CppTypeToScalarType<T>::value).contiguous()),
        vectors(in.edge_vectors.to(torch::kFloat64).contiguous()),
        source(in.piece > 0 ? in.source.contiguous() : in.edge_index[1].contiguous()), species(in.species.contiguous()),
        first(static_cast<size_t>(in.n) + 1, 0)
    {
      const Tensor centers = in.edge_index[0].contiguous();
      const auto *center = centers.data_ptr<int64_t>();
      for (int64_t e = 0, c = 0; c <= n; c++) {    // they are sorted
        while (e < edges && center[e] < c) e++;
        first[c] = e;
      }
    }
  };

  static Tensor numbers(size_t count)
  {
    return torch::empty({static_cast<int64_t>(count + 64 / sizeof(T))},
                        torch::dtype(c10::CppTypeToScalarType<T>::value));
  }
  static T *aligned(const Tensor &numbers)
  {
    return reinterpret_cast<T *>((reinterpret_cast<uintptr_t>(numbers.data_ptr<T>()) + 63) & ~uintptr_t{63});
  }

  cace::Environment<T> environment(const Own &own, const cace::Layer<T> &layer, int64_t column) const
  {
    cace::Environment<T> env;
    env.n = own.n;
    env.first = own.first.data();
    env.vectors = own.vectors.template data_ptr<double>();
    env.species = own.species.template data_ptr<int64_t>();
    env.source = own.source.template data_ptr<int64_t>();
    env.of_species = layer.index == 0;
    if (env.of_species) env.weights = {layer.sender, layer.embedding};
    else env.weights = {own.sent.template data_ptr<T>() + column, own.sent.size(1)};
    return env;
  }

  // Columns of a layer in what it takes
  static void advance(const cace::Layer<T> &layer, int64_t *kept, int64_t *sent)
  {
    *kept += layer.takes_kept();
    *sent += layer.takes_sent();
  }

  // Batches of n atoms, begin to end. Layers that send back to neighbors are left to one thread.
  void run(const cace::Layer<T> &layer, int64_t n, int sets,
           const std::function<void(int64_t, int64_t, T *)> &work) const
  {
    const int64_t batches = (n + kernels_.lanes - 1) / kernels_.lanes;
    in_threads(batches, sets > 0 && layer.index > 0 ? batches + 1 : 16, [&](int64_t begin, int64_t end) {
      const Tensor scratch = numbers(kernels_.scratch(layer, sets));
      work(begin, end, aligned(scratch));
    });
  }
};

}    // namespace

std::unique_ptr<Network> load_native(const ModelFile &file)
{
  if (file.metadata().network.dtype == "float64") return std::make_unique<NativeNetwork<double>>(file);
  return std::make_unique<NativeNetwork<float>>(file);
}

}    // namespace les

// The network of a model file as TorchScript: the one file that names it.

#include "scripted_network.h"

#include <caffe2/serialize/in_memory_adapter.h>
#include <torch/csrc/autograd/autograd.h>
#include <torch/csrc/jit/runtime/graph_executor.h>
#include <torch/script.h>

namespace les {

using torch::Tensor;

namespace {

const char *const PIECE = "piece";
const char *const STORE = "piece_store";
const char *const BACKWARD = "piece_backward";

// The file has its derivatives written out: what its own method wants back.
struct WrittenOut : Stored {
  int piece = 0;
  int64_t n = 0, rows = 0, edges = 0;
  c10::IValue tensors;
};

// It has not: outputs with their graph, and the leaves by which they are differentiated.
struct Differentiable : Stored {
  int piece = 0;
  std::vector<Tensor> leaves, outputs;
};

Tensor zero_if_none(const Tensor &gradient, const Tensor &leaf)
{
  return gradient.defined() ? gradient : torch::zeros_like(leaf);
}

class ScriptedNetwork : public Network {
 public:
  ScriptedNetwork(const Metadata &metadata, torch::Device device, torch::jit::Module module, std::string why) :
      Network(metadata, device), module_(std::move(module)), why_(std::move(why))
  {
    module_.eval();
    written_out_ = module_.find_method(STORE) && module_.find_method(BACKWARD);
    for (const auto &argument : module_.get_method(PIECE).function().getSchema().arguments())
      takes_rows_ = takes_rows_ || argument.name() == "row_length";
  }

  bool takes_rows() const override { return takes_rows_; }
  int64_t most_centers(bool) const override { return device().is_cpu() ? CPU_CHUNK : GPU_CHUNK; }
  std::string description() const override { return "TorchScript" + (why_.empty() ? "" : ": " + why_); }

  std::vector<Tensor> evaluate(const PieceInput &in, std::unique_ptr<Stored> *stored) const override
  {
    // The profiling executor compiles anew whenever the number of edges changes, which it does nearly every step; memory
    // would grow and steps would stall. The plain interpreter does neither.
    torch::jit::GraphOptimizerEnabledGuard no_specialisation(false);
    if (written_out_ && stored) {
      const torch::NoGradGuard no_grad;
      const auto results = module_.get_method(STORE)(arguments(in)).toTuple();
      const std::vector<Tensor> outputs = checked(results->elements()[0].toTensorVector(), in);
      auto own = std::make_unique<WrittenOut>();
      own->piece = in.piece;
      own->n = in.n;
      own->rows = in.sent.size(0);
      own->edges = in.edge_vectors.size(0);
      own->tensors = results->elements()[1];
      *stored = std::move(own);
      return outputs;
    }
    if (!stored) {
      const torch::NoGradGuard no_grad;
      return checked(module_.get_method(PIECE)(arguments(in)).toTensorVector(), in);
    }
    const torch::AutoGradMode on(true);    // whatever the caller has switched off
    PieceInput own = in;
    auto graph = std::make_unique<Differentiable>();
    graph->piece = in.piece;
    for (Tensor *leaf : {&own.kept, &own.sent, &own.edge_vectors}) {
      *leaf = leaf->to(dtype()).detach().requires_grad_();
      graph->leaves.push_back(*leaf);
    }
    graph->outputs = checked(module_.get_method(PIECE)(arguments(own)).toTensorVector(), own);
    std::vector<Tensor> outputs;
    for (const Tensor &output : graph->outputs) outputs.push_back(output.detach());
    *stored = std::move(graph);
    return outputs;
  }

  PieceGradients backward(const Stored &stored, const std::vector<Tensor> &weights, bool last) const override
  {
    std::vector<Tensor> typed;
    for (const Tensor &w : weights) typed.push_back(w.to(dtype()));
    if (const auto *own = dynamic_cast<const WrittenOut *>(&stored)) return written_out(*own, typed);
    return differentiated(dynamic_cast<const Differentiable &>(stored), typed, last);
  }

 private:
  static constexpr int64_t CPU_CHUNK = 384,    // centers: intermediate tensors then stay in the cache
      GPU_CHUNK = 49152;                       // batches beyond 65,535 are a hazard of GPU libraries

  mutable torch::jit::Module module_;
  std::string why_;
  bool written_out_ = false, takes_rows_ = false;

  std::vector<c10::IValue> arguments(const PieceInput &in) const
  {
    std::vector<c10::IValue> out{static_cast<int64_t>(in.piece), in.kept,       in.sent,    in.source,
                                 in.edge_vectors.to(dtype()),    in.edge_index, in.species, in.n};
    if (takes_rows_) out.emplace_back(in.row_length);
    return out;
  }

  [[noreturn]] static void refuse(const std::string &what)
  {
    throw ModelFileError("the model's " + what + "; export it again");
  }

  // Outputs of the shapes and of the type that the metadata promise.
  std::vector<Tensor> checked(std::vector<Tensor> outputs, const PieceInput &in) const
  {
    const auto &[kept, sent] = std::pair(metadata().network.kept, metadata().network.sent);
    const bool final = in.piece + 1 == pieces();
    std::vector<std::vector<int64_t>> shapes;
    if (final) shapes = {{in.n}};
    else shapes = {{in.n, kept[in.piece]}, {in.n, sent[in.piece]}};
    if (final)
      for (const std::string &latent : metadata().latents) shapes.push_back(metadata().latent_shape(latent, in.n));
    bool right = outputs.size() == shapes.size();
    for (size_t i = 0; right && i < shapes.size(); i++) right = outputs[i].sizes() == torch::IntArrayRef(shapes[i]);
    if (!right) {
      std::ostringstream text;
      text << "'" << PIECE << "' " << in.piece << " gives";
      for (const Tensor &output : outputs) text << ' ' << output.sizes();
      text << ", where " << (final ? "energy and latents" : "what is kept and what is sent") << " are expected:";
      for (const auto &shape : shapes) text << ' ' << torch::IntArrayRef(shape);
      refuse(text.str());
    }
    for (Tensor &output : outputs)
      if (output.scalar_type() != dtype()) {
        if (!output.is_floating_point())
          refuse(std::string("'") + PIECE + "' gives outputs of type " + c10::toString(output.scalar_type()));
        output = output.to(dtype());    // constants that were written in another type
      }
    return outputs;
  }

  PieceGradients written_out(const WrittenOut &stored, const std::vector<Tensor> &weights) const
  {
    torch::jit::GraphOptimizerEnabledGuard no_specialisation(false);
    const torch::NoGradGuard no_grad;
    const std::vector<Tensor> out =
        module_.get_method(BACKWARD)({static_cast<int64_t>(stored.piece), stored.tensors, weights}).toTensorVector();
    const int64_t k = weights.back().size(0);
    const auto [widths_kept, widths_sent] = widths(stored.piece);
    if (out.size() != 3 || out[0].sizes() != torch::IntArrayRef({k, stored.n, widths_kept}) ||
        out[1].sizes() != torch::IntArrayRef({k, stored.rows, widths_sent}) ||
        out[2].sizes() != torch::IntArrayRef({k, stored.edges, 3}))
      refuse(std::string("'") + BACKWARD +
             "' does not give the gradients by kept [k, n, K], sent [k, rows, S] and edge_vectors [k, E, 3]");
    return {out[0], out[1], out[2]};
  }

  std::pair<int64_t, int64_t> widths(int piece) const
  {
    const auto &n = metadata().network;
    return piece == 0 ? std::pair<int64_t, int64_t>{0, 0} : std::pair{n.kept[piece - 1], n.sent[piece - 1]};
  }

  PieceGradients differentiated(const Differentiable &graph, const std::vector<Tensor> &weights, bool last) const
  {
    const int64_t sets = weights.back().size(0);
    std::vector<std::vector<Tensor>> by_leaf(graph.leaves.size());
    for (int64_t k = 0; k < sets; k++) {
      std::vector<Tensor> outputs, of_set;
      for (size_t i = 0; i < graph.outputs.size(); i++)
        if (graph.outputs[i].requires_grad() && graph.outputs[i].numel() > 0 && k < weights[i].size(0)) {
          outputs.push_back(graph.outputs[i]);
          of_set.push_back(weights[i][k]);
        }
      std::vector<Tensor> found(graph.leaves.size());
      if (!outputs.empty())
        found = torch::autograd::grad(outputs, graph.leaves, of_set, /*retain_graph=*/!last || k + 1 < sets,
                                      /*create_graph=*/false, /*allow_unused=*/true);
      for (size_t i = 0; i < found.size(); i++) by_leaf[i].push_back(zero_if_none(found[i], graph.leaves[i]));
    }
    return {torch::stack(by_leaf[0]), torch::stack(by_leaf[1]), torch::stack(by_leaf[2])};
  }
};

}    // namespace

std::unique_ptr<Network> load_scripted(const ModelFile &file, torch::Device device, const std::string &why)
{
  const std::string &path = file.path();
  torch::jit::Module module;
  try {
    module = torch::jit::load(
        std::make_shared<caffe2::serialize::MemoryReadAdapter>(file.bytes().data(), file.bytes().size()), device);
  } catch (const std::exception &e) {
    throw ModelFileError("model file " + path + " cannot be loaded by torch: " + one_line(e.what()) +
                         "; export the model again with 'lammps-les export'");
  }
  if (!module.find_method(PIECE))
    throw ModelFileError("model file " + path +
                         " has no method 'piece'; export the model again with 'lammps-les export'");
  return std::make_unique<ScriptedNetwork>(file.metadata(), device, std::move(module), why);
}

}    // namespace les

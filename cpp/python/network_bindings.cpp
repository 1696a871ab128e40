// The network of a model file, piece by piece.

#include "checks.h"
#include "initialized.h"
#include "model_file.h"
#include "network.h"

#include <torch/extension.h>

namespace py = pybind11;
using torch::Tensor;

namespace {

class PieceByPiece {
 public:
  PieceByPiece(const std::string &path, const std::string &network)
  {
    const auto choice = les::choice_of<les::NetworkChoice>("network", network, les::NETWORK_CHOICES);
    network_ = les::load_network(path, les::read_model_file(path), torch::kCPU, choice);
  }

  std::string description() const { return network_->description(); }

  std::vector<Tensor> evaluate(int piece, const Tensor &kept, const Tensor &sent, const Tensor &source,
                               const Tensor &edge_vectors, const Tensor &edge_index, const Tensor &species, int64_t n)
  {
    const auto &about = network_->metadata().network;
    if (piece < 0 || piece >= about.pieces()) les::refuse("piece", "one of " + std::to_string(about.pieces()), piece);
    if (n < 0) les::refuse("n", "a number of atoms", n);
    const auto width = [&](const std::vector<int64_t> &of) { return piece > 0 ? of[piece - 1] : 0; };
    les::PieceInput in;
    in.piece = piece;
    in.n = n;
    in.kept = les::checked("kept", kept, les::FLOATS, {n, width(about.kept)}, torch::kCPU).to(network_->dtype());
    in.sent = les::checked("sent", sent, les::FLOATS, {-1, width(about.sent)}, torch::kCPU).to(network_->dtype());
    in.edge_index = les::checked("edge_index", edge_index, {torch::kInt64}, {2, -1}, torch::kCPU);
    const int64_t edges = in.edge_index.size(1);
    in.edge_vectors = les::checked("edge_vectors", edge_vectors, les::FLOATS, {edges, 3}, torch::kCPU);
    in.source = les::checked("source", source, {torch::kInt64}, {piece > 0 ? edges : 0}, torch::kCPU);
    in.species = les::checked("species", species, {torch::kInt64}, {-1}, torch::kCPU);
    if (in.species.size(0) < n) les::refuse("species", "a row for each center", in.species.size(0));
    les::check_indices("species", in.species, static_cast<int64_t>(about.species.size()));
    les::check_indices("source", in.source, in.sent.size(0));
    les::check_indices("edge_index: centers", in.edge_index[0], about.cut() ? n : in.species.size(0));
    les::check_indices("edge_index: neighbors", in.edge_index[1], in.species.size(0));
    if (!(in.edge_index[0].diff() >= 0).all().item<bool>())
      throw std::invalid_argument("edge_index: expected edges sorted by center");
    outputs_ = network_->evaluate(in, &stored_);
    return outputs_;
  }

  std::vector<Tensor> backward(const std::vector<Tensor> &weights) const
  {
    if (!stored_) throw std::runtime_error("evaluate() was not called");
    if (weights.size() != outputs_.size()) les::refuse("weights", "as many tensors as outputs", weights.size());
    const int64_t sets = weights.back().dim() > 0 ? weights.back().size(0) : 0;
    std::vector<Tensor> of_outputs;
    for (size_t i = 0; i < weights.size(); i++) {
      std::vector<int64_t> shape(outputs_[i].sizes().begin(), outputs_[i].sizes().end());
      shape.insert(shape.begin(), i == 0 && outputs_[i].dim() == 1 ? -1 : sets);
      of_outputs.push_back(les::checked("weights", weights[i], les::FLOATS, shape, torch::kCPU));
      if (of_outputs[i].size(0) > sets) les::refuse("weights of energies", "no more sets than of latents", shape[0]);
    }
    const les::PieceGradients found = network_->backward(*stored_, of_outputs, false);
    return {found.kept, found.sent, found.edge_vectors};
  }

 private:
  std::unique_ptr<les::Network> network_;
  std::unique_ptr<les::Stored> stored_;
  std::vector<Tensor> outputs_;
};

}    // namespace

void bind_network(py::module_ &m)
{
  py::class_<PieceByPiece>(m, "Network",
                           R"(The network of a model file, piece by piece, on the CPU; see "Pieces" in FORMAT.md.

Args:
    path: the model file; ModelFileError where it cannot be used.
    network: "auto", "native" or "script".)")
      .def(py::init<const std::string &, const std::string &>(), py::arg("path"), py::kw_only(),
           py::arg("network") = "auto")
      .def_property_readonly("description", les::method(&PieceByPiece::description), "What evaluates it.")
      .def("evaluate", les::method(&PieceByPiece::evaluate), py::arg("piece"), py::arg("kept"), py::arg("sent"),
           py::arg("source"), py::arg("edge_vectors"), py::arg("edge_index"), py::arg("species"), py::arg("n"),
           py::call_guard<py::gil_scoped_release>(),
           "Outputs of a piece for n centers; arguments are those of FORMAT.md.")
      .def("backward", les::method(&PieceByPiece::backward), py::arg("weights"),
           py::call_guard<py::gil_scoped_release>(),
           R"(Gradients of k weighed sums of the outputs of the last evaluate().

Args:
    weights: one tensor for each output, with a leading axis of k sets; energies may have fewer, the first ones.

Returns:
    by kept [k, n, K], by sent [k, rows, S] and by edge vectors [k, E, 3].)");
}

// lammps_les._core: the C++ solvers and the assembly of Born effective charges, on torch tensors, in one process.

#include "born.h"
#include "metadata.h"

#include <pybind11/functional.h>
#include <torch/extension.h>

namespace py = pybind11;
using torch::Tensor;

namespace {

const les::SerialCommunicator serial;

using Cut = std::tuple<Tensor, Tensor, Tensor, Tensor, Tensor>;
using Response = std::pair<Tensor, Tensor>;    // total and moment of les::EdgeResponse

Response edge_response(const Tensor &charges, const std::vector<Cut> &cuts,
                       const std::vector<std::vector<Tensor>> &taken, const Tensor &edge_vectors)
{
  TORCH_CHECK(cuts.size() + 1 == taken.size(), "edge_response: expected a cut between any two layers");
  les::LayeredOutputs layered{charges.unsqueeze(1), {}, taken, edge_vectors};
  for (const auto &[made, own, sent, row, vector] : cuts) layered.cuts.push_back({made, own, sent, row, vector});
  const les::EdgeResponse out =
      les::edge_response(layered, {torch::ones_like(layered.outputs), {}}, torch::eye(3, torch::kFloat64), false);
  return {out.total, out.moment};
}

Tensor born(const Tensor &positions, int64_t n_owned, const Tensor &edge_vectors, const Tensor &edge_index,
            const Tensor &coupling_charges, const std::function<Tensor(Tensor)> &pull_back,
            const std::optional<Tensor> &cell, const std::function<Response()> &by_layer, const std::string &form,
            int layers, bool remove_mean)
{
  TORCH_CHECK(form == "local" || form == "phase", "born_effective_charges: form is 'local' or 'phase', not '", form,
              "'");
  const les::BornSettings settings{form == "local" ? les::BornForm::Local : les::BornForm::Phase,
                                   layers,
                                   remove_mean,
                                   cell.has_value(),
                                   cell ? *cell : torch::eye(3, torch::kFloat64),
                                   torch::eye(3, torch::kFloat64)};
  const auto pulled_by_layer = [&] {
    const auto [total, moment] = by_layer();
    return les::EdgeResponse{total, moment};
  };
  return les::born_effective_charges(settings, {positions, n_owned, edge_vectors, edge_index}, coupling_charges,
                                     {pull_back, pulled_by_layer}, serial);
}

}    // namespace

void bind_kspace(py::module_ &m);    // kspace_bindings.cpp

PYBIND11_MODULE(_core, m)
{
  m.doc() = "C++ long-range solvers and Born effective charges of lammps-les; formulas in export/FORMAT.md.";
  m.def(
      "check_metadata", [](const std::string &text) { les::parse_metadata(text, "model.pt"); }, py::arg("text"),
      "Read the metadata of a model file as the plugin does; RuntimeError with the plugin's words where it refuses.");
  bind_kspace(m);
  m.def("edge_response", &edge_response, py::arg("charges"), py::arg("cuts"), py::arg("taken"), py::arg("edge_vectors"),
        py::call_guard<py::gil_scoped_release>(),
        R"(Response of the charges of a network of several layers to its edges; the graph is used up.

Args:
    charges: [n], Q in e, with their graph.
    cuts, taken: what passes between the layers and enters each, as `latents_by_layer` of the model file gives them.
    edge_vectors: [E, 3], on which `taken` depends.

Returns:
    [E, 3] sum_c dQ_c/dr_e, and [E, 3, 3] sum_c (r_c - r_center)_a dQ_c/dr_eb; float64.)");
  m.def(
      "born_effective_charges", &born, py::arg("positions"), py::arg("n_owned"), py::arg("edge_vectors"),
      py::arg("edge_index"), py::arg("coupling_charges"), py::arg("pull_back"), py::arg("cell"), py::kw_only(),
      py::arg("by_layer") = py::none(), py::arg("form") = "local", py::arg("layers") = 1, py::arg("remove_mean") = true,
      R"(Born effective charges [n_all, 3, 3] in e, indices [atom, P, r]; rows of images are to be added to their owners.

Args:
    positions: [n_all, 3] float64, A; owned atoms first.
    n_owned: number of owned atoms.
    edge_vectors: [E, 3] float64, r_cj = r_j - r_c.
    edge_index: [2, E] int64, center and neighbor.
    coupling_charges: [n_owned] float64, sqrt(epsilon_inf) charge_unit charge_sign q, e.
    pull_back: function (weights [n_owned]) -> d(sum weights Q)/d(edge_vectors) [E, 3].
    by_layer: function () -> what `edge_response` gives; for several layers, but not in the phase form of periodic systems.
    cell: [3, 3] float64, or None for an open system.
    form: "local" or "phase".)");
}

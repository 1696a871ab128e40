// lammps_les._core: the C++ solvers and the assembly of Born effective charges, on torch tensors, in one process.

#include "born.h"
#include "long_range.h"
#include "metadata.h"

#include <pybind11/functional.h>
#include <torch/extension.h>

namespace py = pybind11;
using torch::Tensor;

namespace {

const les::SerialCommunicator serial;

py::dict long_range(const Tensor &positions, const Tensor &charges, const std::optional<Tensor> &cell, double sigma,
                    double dl, double norm, bool remove_self, double self_factor, double open_shift, bool atom_virial,
                    const std::optional<double> &mesh_accuracy, double mesh_spacing, int mesh_order, bool mesh_loops,
                    bool mesh_judge, const std::optional<Tensor> &setup_cell)
{
  TORCH_CHECK(positions.dim() == 2 && positions.size(1) == 3 && positions.scalar_type() == torch::kFloat64,
              "long_range: expected positions [n, 3] in float64");
  TORCH_CHECK(charges.dim() == 2 && charges.size(0) == positions.size(0), "long_range: expected charges [n, channels]");
  const les::LongRangeParameters parameters{sigma, dl, norm, remove_self, self_factor, open_shift};
  const auto solver =
      !cell ? les::make_open_sum(parameters, serial)
      : mesh_accuracy
          ? les::make_mesh_sum(parameters, {*mesh_accuracy, mesh_spacing, mesh_order, mesh_loops, mesh_judge}, serial)
          : les::make_direct_sum(parameters, serial);
  const Tensor box = cell ? cell->to(torch::kCPU, torch::kFloat64) : torch::eye(3, torch::kFloat64);
  solver->setup(setup_cell ? *setup_cell : box);
  const les::LongRange out = solver->compute(positions, charges, box, atom_virial);
  py::dict result;
  result["energy"] = out.energy;
  result["potential"] = out.potential;
  result["forces"] = out.forces;
  result["virial"] = out.virial;
  if (atom_virial) result["atom_virial"] = out.atom_virial;
  return result;
}

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

PYBIND11_MODULE(_core, m)
{
  m.doc() = "C++ long-range solvers and Born effective charges of lammps-les; formulas in export/FORMAT.md.";
  m.def(
      "check_metadata", [](const std::string &text) { les::parse_metadata(text, "model.pt"); }, py::arg("text"),
      "Read the metadata of a model file as the plugin does; RuntimeError with the plugin's words where it refuses.");
  m.def("long_range", &long_range, py::arg("positions"), py::arg("charges"), py::arg("cell"), py::kw_only(),
        py::arg("sigma"), py::arg("dl"), py::arg("norm"), py::arg("remove_self"), py::arg("self_factor") = 1.0,
        py::arg("open_shift") = 0.0, py::arg("atom_virial") = false, py::arg("mesh_accuracy") = py::none(),
        py::arg("mesh_spacing") = 0.0, py::arg("mesh_order") = 0, py::arg("mesh_loops") = true,
        py::arg("mesh_judge") = false, py::arg("setup_cell") = py::none(),
        R"(Long-range energy of latent charges: reciprocal sum, direct or on a mesh, or pair sum where `cell` is None.

Args:
    positions: [n, 3] float64, A.
    charges: [n, channels], file units; their type is the type of the sum.
    cell: [3, 3], rows in A, any handedness; None for an open system.
    sigma, dl, norm, remove_self, self_factor, open_shift: as in the model file.
    atom_virial: also return "atom_virial".
    mesh_accuracy: relative error of forces and potentials asked of a mesh; None for the direct sum.
    mesh_spacing, mesh_order: of the mesh, A and points (5 to 10); 0 to choose by accuracy.
    mesh_loops: False for the tensor operations that run on a GPU.
    mesh_judge: the mesh that judges the one asked for, with two points more and two thirds of the spacing.
    setup_cell: cell from which wave vectors and mesh are chosen, where it is not `cell`.

Returns:
    dict of "energy" [n] eV (shares; their sum is the energy), "potential" [n, channels] = dE/dq, "forces" [n, 3] eV/A at fixed
    charges, "virial" [3, 3] eV = -dE/d(strain) at fixed charges, "atom_virial" [n, 3, 3].)");
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

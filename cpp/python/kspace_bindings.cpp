// The long-range solvers, on torch tensors, in one process.

#include "long_range.h"

#include <pybind11/stl.h>
#include <torch/extension.h>

namespace py = pybind11;
using torch::Tensor;

namespace {

const les::SerialCommunicator serial;

py::dict long_range(const Tensor &positions, const Tensor &charges, const std::optional<Tensor> &cell, double sigma,
                    double dl, double norm, bool remove_self, double self_factor, double open_shift, bool atom_virial,
                    const std::optional<double> &mesh_accuracy, double mesh_spacing, int mesh_order, bool mesh_loops,
                    bool mesh_reference, const std::optional<Tensor> &setup_cell)
{
  TORCH_CHECK(positions.dim() == 2 && positions.size(1) == 3 && positions.scalar_type() == torch::kFloat64,
              "long_range: expected positions [n, 3] in float64");
  TORCH_CHECK(charges.dim() == 2 && charges.size(0) == positions.size(0), "long_range: expected charges [n, channels]");
  const les::LongRangeParameters parameters{sigma, dl, norm, remove_self, self_factor, open_shift};
  const auto solver =
      !cell ? les::make_open_sum(parameters, serial)
      : mesh_accuracy
          ? les::make_mesh_sum(parameters, {*mesh_accuracy, mesh_spacing, mesh_order, 0.0, mesh_loops, mesh_reference},
                               serial)
          : les::make_direct_sum(parameters, serial);
  const Tensor box = cell ? cell->to(torch::kCPU, torch::kFloat64) : torch::eye(3, torch::kFloat64);
  solver->setup(setup_cell ? *setup_cell : box);
  const les::LongRange out =
      les::interact(*solver, parameters, cell.has_value(), positions, charges.unsqueeze(2), box, atom_virial, serial);
  py::dict result;
  result["energy"] = out.energy;
  result["potential"] = out.fields.squeeze(2);
  result["forces"] = out.forces;
  result["virial"] = out.virial;
  if (atom_virial) result["atom_virial"] = out.atom_virial;
  return result;
}

// A solver by itself, for tests.
class Solver {
 public:
  Solver(const std::string &kind, const std::optional<Tensor> &cell, double sigma, double dl, double norm,
         double mesh_accuracy) : box_(cell ? *cell : torch::eye(3, torch::kFloat64))
  {
    const les::LongRangeParameters parameters{sigma, dl, norm};
    solver_ = kind == "open"   ? les::make_open_sum(parameters, serial)
              : kind == "mesh" ? les::make_mesh_sum(parameters, {.accuracy = mesh_accuracy}, serial)
                               : les::make_direct_sum(parameters, serial);
    solver_->setup(box_);
  }

  les::Fields apply(const Tensor &positions, const Tensor &sources, const les::Fields *earlier) const
  {
    return solver_->apply(positions, sources, box_, true, earlier);
  }
  Tensor moments(const Tensor &positions, const Tensor &sources) const
  {
    return solver_->moments(positions, sources, box_);
  }

 private:
  Tensor box_;
  std::unique_ptr<les::Solver> solver_;
};

// The long-range sum as a run has it, for tests.
class Sum {
 public:
  Sum(double sigma, double dl, double norm, bool remove_self, const std::string &method, const les::MeshSettings &mesh,
      const std::string &mesh_error) :
      sum_({sigma, dl, norm, remove_self},
           {method == "direct" ? les::KspaceChoice::Direct
            : method == "mesh" ? les::KspaceChoice::Mesh
                               : les::KspaceChoice::Auto,
            mesh,
            mesh_error == "yes"  ? les::MeshCheck::Yes
            : mesh_error == "no" ? les::MeshCheck::No
                                 : les::MeshCheck::Auto},
           serial)
  {
  }

  les::LongRangeSum &operator*() { return sum_; }

  py::dict compute(const Tensor &positions, const Tensor &sources, const Tensor &cell)
  {
    const les::LongRange out = sum_.compute(positions, sources, cell, false);
    const auto measured = sum_.take_mesh_errors(out, sources);
    py::dict result;
    result["energy"] = out.energy;
    result["fields"] = out.fields;
    result["forces"] = out.forces;
    result["virial"] = out.virial;
    result["measured"] = py::none();    // errors of forces and of fields, how many times the mesh was refined
    if (measured)
      result["measured"] = py::make_tuple(measured->second.forces, measured->second.fields, measured->first.refined);
    return result;
  }

 private:
  les::LongRangeSum sum_;
};

}    // namespace

void bind_kspace(py::module_ &m)
{
  py::class_<les::Fields>(m, "Fields", "What a solver gives, see cpp/kspace/solver.h.")
      .def_readonly("values", &les::Fields::values)
      .def_readonly("gradients", &les::Fields::gradients)
      .def_readonly("virial", &les::Fields::virial)
      .def_readonly("atom_virial", &les::Fields::atom_virial);
  py::class_<Solver>(m, "Solver", "The operation K of one solver: 'direct', 'mesh' or 'open'; see cpp/kspace/solver.h.")
      .def(py::init<std::string, std::optional<Tensor>, double, double, double, double>(), py::arg("kind"),
           py::arg("cell"), py::kw_only(), py::arg("sigma"), py::arg("dl"), py::arg("norm"),
           py::arg("mesh_accuracy") = 1e-5)
      .def("apply", &Solver::apply, py::arg("positions"), py::arg("sources"), py::arg("earlier") = nullptr)
      .def("moments", &Solver::moments, py::arg("positions"), py::arg("sources"));
  py::class_<Sum>(m, "LongRangeSum", "The sum as a run has it, in one process; see cpp/kspace/long_range.h.")
      .def(py::init([](double sigma, double dl, double norm, bool remove_self, const std::string &method,
                       double accuracy, double spacing, int order, const std::string &mesh_error) {
             return std::make_unique<Sum>(sigma, dl, norm, remove_self, method,
                                          les::MeshSettings{accuracy, spacing, order}, mesh_error);
           }),
           py::kw_only(), py::arg("sigma"), py::arg("dl"), py::arg("norm"), py::arg("remove_self"),
           py::arg("method") = "auto", py::arg("accuracy") = 1e-5, py::arg("spacing") = 0.0, py::arg("order") = 0,
           py::arg("mesh_error") = "auto")
      .def("choose", [](Sum &s, const les::Boundary &boundary, const Tensor &cell,
                        double n_atoms) { return (*s).choose(boundary, cell, n_atoms); })
      .def("is_set_up", [](Sum &s) { return (*s).is_set_up(); })
      .def("is_mesh", [](Sum &s) { return (*s).is_mesh(); })
      .def("description", [](Sum &s) { return (*s).description(); })
      .def("forget_mesh", [](Sum &s) { (*s).forget_mesh(); })
      .def("compute", &Sum::compute, py::arg("positions"), py::arg("sources"), py::arg("cell"));
  m.def("long_range", &long_range, py::arg("positions"), py::arg("charges"), py::arg("cell"), py::kw_only(),
        py::arg("sigma"), py::arg("dl"), py::arg("norm"), py::arg("remove_self"), py::arg("self_factor") = 1.0,
        py::arg("open_shift") = 0.0, py::arg("atom_virial") = false, py::arg("mesh_accuracy") = py::none(),
        py::arg("mesh_spacing") = 0.0, py::arg("mesh_order") = 0, py::arg("mesh_loops") = true,
        py::arg("mesh_reference") = false, py::arg("setup_cell") = py::none(),
        R"(Long-range energy of charges: reciprocal sum, direct or on a mesh, or pair sum where `cell` is None.

Args:
    positions: [n, 3] float64, A.
    charges: [n, channels], file units; their type is the type of the sum.
    cell: [3, 3], rows in A, any handedness; None for an open system.
    sigma, dl, norm, remove_self, self_factor, open_shift: as in the model file.
    atom_virial: also return "atom_virial".
    mesh_accuracy: relative error of forces and fields asked of a mesh; None for the direct sum.
    mesh_spacing, mesh_order: of the mesh, A and points (5 to 10); 0 to choose by accuracy.
    mesh_loops: False for the tensor operations that run on a GPU.
    mesh_reference: a finer mesh that serves as a reference for the one asked for.
    setup_cell: cell from which wave vectors and mesh are chosen, where it is not `cell`.

Returns:
    dict of "energy" [n] eV (shares; their sum is the energy), "potential" [n, channels] = dE/dq, "forces" [n, 3] eV/A at fixed
    charges, "virial" [3, 3] eV = -dE/d(strain) at fixed charges, "atom_virial" [n, 3, 3].)");
}

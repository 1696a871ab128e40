// The long-range solvers, on torch tensors, in one process.

#include "initialized.h"
#include "kspace_arguments.h"
#include "slab_sum.h"

#include <pybind11/stl.h>
#include <torch/extension.h>

namespace py = pybind11;
using torch::Tensor;

namespace {

const les::SerialCommunicator serial;

double checked_slab(double extension, const std::optional<Tensor> &cell)
{
  les::check_number("slab", extension, 1.0, 100.0);
  if (!cell && extension != 1.0) les::refuse("slab", "1 without a cell", extension);
  return extension;
}

py::dict long_range(const Tensor &positions, const Tensor &charges, const std::optional<Tensor> &cell, double sigma,
                    double dl, double norm, bool remove_self, double self_factor, double open_shift, bool atom_virial,
                    const std::optional<double> &mesh_accuracy, double mesh_spacing, int mesh_order, bool mesh_loops,
                    bool mesh_reference, const std::optional<Tensor> &setup_cell, double slab)
{
  const les::Atoms atoms(positions, "charges", charges, false);
  const auto parameters = les::checked(les::LongRangeParameters{sigma, dl, norm, remove_self, self_factor, open_shift});
  const les::MeshSettings mesh{.accuracy = mesh_accuracy.value_or(1e-5),
                               .spacing = mesh_spacing,
                               .order = mesh_order,
                               .loops = mesh_loops,
                               .reference = mesh_reference};
  const Tensor box = cell ? les::checked_cell("cell", *cell) : torch::eye(3, torch::kFloat64);
  auto chosen = !cell           ? les::make_open_sum(parameters, serial)
                : mesh_accuracy ? les::make_mesh_sum(parameters, les::checked(mesh), serial)
                                : les::make_direct_sum(parameters, serial);
  const auto solver = les::with_extension(std::move(chosen), parameters, checked_slab(slab, cell), serial);
  solver->setup(setup_cell ? les::checked_cell("setup_cell", *setup_cell) : box);
  const les::LongRange out = les::interact(*solver, parameters, cell.has_value(), atoms.positions, {atoms.sources}, box,
                                           atom_virial, serial, true);
  py::dict result;
  result["energy"] = out.energy;
  result["potential"] = out.by_latents.charge;
  result["forces"] = out.forces;
  result["virial"] = out.virial;
  if (atom_virial) result["atom_virial"] = out.atom_virial;
  return result;
}

// What a solver gave, which another one cannot use.
struct SolverFields : les::Fields {
  int64_t solver;
};

// A solver by itself, for tests.
class Solver {
 public:
  Solver(const std::string &kind, const std::optional<Tensor> &cell, double sigma, double dl, double norm,
         double mesh_accuracy, double slab, double mesh_spacing, int mesh_order, int mesh_moments, bool mesh_loops) :
      box_(cell ? les::checked_cell("cell", *cell) : torch::eye(3, torch::kFloat64))
  {
    enum Kind { DIRECT, MESH, OPEN };
    const Kind which = les::choice_of<Kind>("kind", kind, {"direct", "mesh", "open"});
    if ((which == OPEN) == cell.has_value())
      les::refuse("cell", "three lattice vectors, and none for 'open'", cell ? "some" : "none");
    const auto parameters = les::checked(les::LongRangeParameters{sigma, dl, norm});
    les::check_number("mesh_moments", mesh_moments, 0, 2);
    const les::MeshSettings mesh{.accuracy = mesh_accuracy,
                                 .spacing = mesh_spacing,
                                 .order = mesh_order,
                                 .moments = mesh_moments,
                                 .loops = mesh_loops};
    auto chosen = which == OPEN   ? les::make_open_sum(parameters, serial)
                  : which == MESH ? les::make_mesh_sum(parameters, les::checked(mesh), serial)
                                  : les::make_direct_sum(parameters, serial);
    solver_ = les::with_extension(std::move(chosen), parameters, checked_slab(slab, cell), serial);
    solver_->setup(box_);
  }

  SolverFields apply(const Tensor &positions, const Tensor &sources, const std::optional<py::object> &given,
                     int order) const
  {
    const les::Atoms atoms(positions, "sources", sources, true);
    const SolverFields *earlier = given ? &les::initialized<SolverFields>(*given) : nullptr;
    if (earlier && (earlier->solver != number_ || earlier->sources.size(0) != sources.size(0) ||
                    earlier->sources.size(1) != sources.size(1) || earlier->sources.device() != sources.device() ||
                    earlier->sources.scalar_type() != atoms.sources.scalar_type()))
      throw std::invalid_argument(
          "earlier: expected what this solver gave for sources of as many atoms and channels, and of the same type");
    return {solver_->apply(atoms.positions, atoms.sources, box_, order, true, earlier), number_};
  }
  Tensor moments(const Tensor &positions, const Tensor &sources) const
  {
    const les::Atoms atoms(positions, "sources", sources, true);
    return solver_->moments(atoms.positions, atoms.sources, box_);
  }

 private:
  static inline int64_t made_ = 0;
  int64_t number_ = made_++;
  Tensor box_;
  std::unique_ptr<les::Solver> solver_;
};

}    // namespace

void bind_kspace(py::module_ &m)
{
  py::class_<SolverFields>(m, "Fields", "What a solver gives, see cpp/kspace/solver.h.")
      .def_property_readonly("derivatives", les::attribute<SolverFields>(&les::Fields::derivatives))
      .def_property_readonly("virial", les::attribute<SolverFields>(&les::Fields::virial))
      .def_property_readonly("atom_virial", les::attribute<SolverFields>(&les::Fields::atom_virial));
  py::class_<Solver>(m, "Solver", "The operation K of one solver: 'direct', 'mesh' or 'open'; see cpp/kspace/solver.h.")
      .def(py::init<std::string, std::optional<Tensor>, double, double, double, double, double, double, int, int,
                    bool>(),
           py::arg("kind"), py::arg("cell"), py::kw_only(), py::arg("sigma"), py::arg("dl"), py::arg("norm"),
           py::arg("mesh_accuracy") = 1e-5, py::arg("slab") = 1.0, py::arg("mesh_spacing") = 0.0,
           py::arg("mesh_order") = 0, py::arg("mesh_moments") = 0, py::arg("mesh_loops") = true)
      .def("apply", les::method(&Solver::apply), py::arg("positions"), py::arg("sources"),
           py::arg("earlier") = py::none(), py::kw_only(), py::arg("order") = 1)
      .def("moments", les::method(&Solver::moments), py::arg("positions"), py::arg("sources"));
  m.def("long_range", &long_range, py::arg("positions"), py::arg("charges"), py::arg("cell"), py::kw_only(),
        py::arg("sigma"), py::arg("dl"), py::arg("norm"), py::arg("remove_self"), py::arg("self_factor") = 1.0,
        py::arg("open_shift") = 0.0, py::arg("atom_virial") = false, py::arg("mesh_accuracy") = py::none(),
        py::arg("mesh_spacing") = 0.0, py::arg("mesh_order") = 0, py::arg("mesh_loops") = true,
        py::arg("mesh_reference") = false, py::arg("setup_cell") = py::none(), py::arg("slab") = 1.0,
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
    slab: how many times as long the third lattice vector is for the sum of a slab, to which it is normal; 1: periodic along it.
    setup_cell: cell from which wave vectors and mesh are chosen, where it is not `cell`.

Returns:
    dict of "energy" [n] eV (shares; their sum is the energy), "potential" [n, channels] = dE/dq, "forces" [n, 3] eV/A at fixed
    charges, "virial" [3, 3] eV = -dE/d(strain) at fixed charges, "atom_virial" [n, 3, 3].

Raises:
    ValueError: an argument is not as said here; the text names it.
    RuntimeError: there is no such mesh, or the sum would be too large to hold.)");
}

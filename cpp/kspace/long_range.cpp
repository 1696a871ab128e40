#include "long_range.h"

#include <cstdio>
#include <stdexcept>

namespace les {

using torch::Tensor;

namespace {

// Largest change of a lattice vector, relative to its length: stretch and shear alike.
double strain(const Tensor &cell, const Tensor &before)
{
  return ((cell - before).norm(2, 1) / before.norm(2, 1)).max().item<double>();
}

}    // namespace

LongRangeSum::LongRangeSum(const LongRangeParameters &parameters, const KspaceSettings &settings,
                           const Communicator &communicator) :
    parameters_(parameters), settings_(settings), comm_(communicator)
{
}

std::string LongRangeSum::choose(const Boundary &boundary, const Tensor &cell, double n_atoms)
{
  solver_.reset();
  ready_ = mesh_ = measured_in_this_run_ = false;
  settings_.mesh.n_atoms = n_atoms;
  periodic_ = boundary[0];
  if (boundary[1] != periodic_ || boundary[2] != periodic_)
    throw std::runtime_error(
        "boundaries must be periodic along all three lattice vectors or along none; a mixture (slab, wire) is not "
        "implemented: take a periodic cell with vacuum, or an open system");
  if (!periodic_) {
    if (settings_.method == KspaceChoice::Mesh)
      throw std::runtime_error("kspace mesh is for periodic systems; open boundaries take the pair sum (kspace auto)");
    solver_ = make_open_sum(parameters_, comm_);
    return "";
  }
  const bool automatic = settings_.method == KspaceChoice::Auto;
  // also where the mesh is asked for: it throws where there is none
  const Cost cost = settings_.method != KspaceChoice::Direct ? estimate_cost(parameters_, settings_.mesh, cell)
                                                             : Cost{};
  // the direct sum has no error
  mesh_ = automatic ? cost.mesh < 0.5 * cost.direct : settings_.method == KspaceChoice::Mesh;
  solver_ = mesh_ ? make_mesh_sum(parameters_, settings_.mesh, comm_) : make_direct_sum(parameters_, comm_);
  if (!automatic) return "";
  char line[160];
  std::snprintf(line, sizeof(line),
                "kspace auto takes the %s (estimated ms a step on one core: direct sum %.2g, mesh %.2g)",
                mesh_ ? "mesh" : "direct sum", 1e3 * cost.direct, 1e3 * cost.mesh);
  return line;
}

// Runs that follow one another in nearly the same cell share one measurement.
bool LongRangeSum::must_measure(const Tensor &cell) const
{
  constexpr double SAME_CELL = 0.01;
  if (!mesh_ || settings_.mesh_error == MeshCheck::No) return false;
  if (settings_.mesh_error == MeshCheck::Yes && !measured_in_this_run_) return true;
  return !measured_ || measured_->settings.n_atoms != settings_.mesh.n_atoms ||
         strain(cell, measured_cell_) > SAME_CELL;
}

void LongRangeSum::set_up_from(const Tensor &cell)
{
  solver_->setup(cell);
  ready_ = true;
}

void LongRangeSum::set_up(const Tensor &positions, const Tensor &sources, const Tensor &cell)
{
  if (must_measure(cell)) {
    measured_ = measure_mesh(parameters_, settings_.mesh, positions, sources, cell,
                             settings_.mesh_error == MeshCheck::Yes, comm_);
    measured_cell_ = cell.clone();
    measured_in_this_run_ = true;
  }
  if (mesh_) solver_ = make_mesh_sum(parameters_, measured_ ? measured_->settings : settings_.mesh, comm_);
  solver_->setup(cell);
  ready_ = true;
}

LongRange LongRangeSum::compute(const Tensor &positions, const Tensor &sources, const Tensor &cell, bool atom_virial)
{
  TORCH_CHECK(solver_, "long-range sum: choose() was not called");
  if (!ready_) set_up(positions, sources, cell);
  return interact(*solver_, parameters_, periodic_, positions, sources, cell, atom_virial, comm_);
}

Tensor LongRangeSum::field_moments(const Tensor &positions, const Tensor &sources, const Tensor &cell) const
{
  TORCH_CHECK(ready_, "long-range sum: compute() was not called");
  return solver_->moments(positions, sources, cell);
}

std::optional<std::pair<MeasuredMesh, MeshErrors>> LongRangeSum::take_mesh_errors(const LongRange &last,
                                                                                  const Tensor &sources)
{
  if (!measured_ || !measured_->reference.forces.defined()) return {};
  const MeshErrors errors = relative_errors(last, measured_->reference, sources, parameters_, comm_);
  measured_->reference = {};
  return std::pair{*measured_, errors};
}

}    // namespace les

#include "long_range.h"

#include "slab_sum.h"
#include "wave_vectors.h"

#include <cstdio>
#include <stdexcept>

namespace les {

using torch::Tensor;

LongRangeSum::LongRangeSum(const LongRangeParameters &parameters, const KspaceSettings &settings,
                           const Communicator &communicator) :
    parameters_(parameters), settings_(settings), comm_(communicator)
{
  settings_.mesh.ranks = comm_.size();
}

std::string LongRangeSum::choose(const Boundary &boundary, const Tensor &cell, double n_atoms)
{
  solver_.reset();
  ready_ = mesh_ = measured_in_this_run_ = false;
  settings_.mesh.n_atoms = n_atoms;
  const Periodicity periodicity = periodicity_of(boundary);
  periodic_ = periodicity != Periodicity::Open;
  extension_ = periodicity == Periodicity::Slab ? settings_.slab : 1.0;
  if (!periodic_) {
    if (settings_.method == KspaceChoice::Mesh)
      throw std::runtime_error("kspace mesh is for periodic systems; open boundaries take the pair sum (kspace auto)");
    solver_ = make_open_sum(parameters_, comm_);
    return "";
  }
  const Tensor box = extended_cell(cell, extension_);
  const bool automatic = settings_.method == KspaceChoice::Auto;
  const Cost cost = automatic ? estimate_cost(parameters_, settings_.mesh, box) : Cost{};
  // the direct sum has no error
  mesh_ = automatic ? cost.mesh < 0.5 * cost.direct : settings_.method == KspaceChoice::Mesh;
  // before the run, either throws where it cannot be
  if (mesh_) choose_mesh(parameters_, settings_.mesh, box);
  else largest_triple(parameters_, box);
  solver_ = periodic_sum(settings_.mesh);
  if (!automatic) return "";
  char line[160];
  std::snprintf(line, sizeof(line),
                "kspace auto takes the %s (estimated ms a step on one core: direct sum %.2g, mesh %.2g)",
                mesh_ ? "mesh" : "direct sum", 1e3 * cost.direct, 1e3 * cost.mesh);
  return line;
}

std::unique_ptr<Solver> LongRangeSum::periodic_sum(const MeshSettings &mesh) const
{
  return with_extension(mesh_ ? make_mesh_sum(parameters_, mesh, comm_) : make_direct_sum(parameters_, comm_),
                        parameters_, extension_, comm_);
}

// Runs that follow one another in nearly the same cell share one measurement.
bool LongRangeSum::must_measure(const Tensor &cell) const
{
  constexpr double SAME_CELL = 0.01;
  if (!mesh_ || settings_.mesh_error == MeshCheck::No) return false;
  if (settings_.mesh_error == MeshCheck::Yes && !measured_in_this_run_) return true;
  return !measured_ || measured_->settings.n_atoms != settings_.mesh.n_atoms ||
         strain(cell.data_ptr<double>(), measured_cell_.data_ptr<double>()) > SAME_CELL;
}

Solver &LongRangeSum::solver() const
{
  TORCH_CHECK(solver_, "long-range sum: choose() was not called");
  return *solver_;
}

void LongRangeSum::set_up_from(const Tensor &cell)
{
  solver().setup(cell);
  ready_ = true;
}

void LongRangeSum::set_up(const Tensor &positions, const Latents &latents, const Tensor &cell)
{
  settings_.mesh.moments = latents.moments();
  if (must_measure(cell)) {
    measured_ = measure_mesh(parameters_, settings_.mesh, positions, latents, cell,
                             settings_.mesh_error == MeshCheck::Yes, extension_, comm_);
    measured_cell_ = cell.clone(torch::MemoryFormat::Contiguous);
    measured_in_this_run_ = true;
  }
  if (mesh_) solver_ = periodic_sum(measured_ ? measured_->settings : settings_.mesh);
  solver().setup(cell);
  ready_ = true;
}

LongRange LongRangeSum::compute(const Tensor &positions, const Latents &latents, const Tensor &cell, bool atom_virial)
{
  if (!ready_) set_up(positions, latents, cell);
  return interact(solver(), parameters_, periodic_, positions, latents, cell, atom_virial, comm_,
                  settings_.mesh.kernels);
}

SourceResponse LongRangeSum::respond(const LongRange &last, const Tensor &positions, const Latents &latents,
                                     const Tensor &charges, const Tensor &dipoles, const Tensor &cell) const
{
  TORCH_CHECK(ready_, "long-range sum: compute() was not called");
  return les::respond(*solver_, parameters_, periodic_, last, positions, latents, charges, dipoles, cell, comm_);
}

Tensor LongRangeSum::field_moments(const Tensor &positions, const Latents &latents, const Tensor &cell) const
{
  TORCH_CHECK(ready_, "long-range sum: compute() was not called");
  return solver_->moments(positions, latents.sources(), cell);
}

std::optional<std::pair<MeasuredMesh, MeshErrors>> LongRangeSum::take_mesh_errors(const LongRange &last,
                                                                                  const Latents &latents)
{
  if (!measured_ || !measured_->reference.forces.defined()) return {};
  const MeshErrors errors = relative_errors(last, measured_->reference, latents, parameters_, comm_);
  measured_->reference = {};
  return std::pair{*measured_, errors};
}

}    // namespace les

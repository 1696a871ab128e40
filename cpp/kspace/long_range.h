// Long-range energy of the latents of all atoms, above the solvers: which of them does it, self terms, shares, forces.
//
// With K the operation of solver.h,
//
//   E = 1/2 <s, K s> + w,   w = - self_factor N sum [q^2 + u^2/(3 sigma^2) + Q:Q/(10 sigma^4)] / (sigma (2 pi)^1.5)
//                                 periodic, where the self-interaction is removed
//                           w = the same with + and without self_factor: open, where it is kept
//
// else w = 0. fields = dE/ds, energies = 1/2 s fields, forces = -sum s grad(K s); for what the sources induce see interaction.h.
#pragma once

#include "lattice.h"
#include "mesh_error.h"

#include <optional>

namespace les {

enum class KspaceChoice { Auto, Direct, Mesh };
inline const std::vector<std::string> KSPACE_CHOICES{"auto", "direct", "mesh"};    // their names, in order

// Whether the error of the mesh is measured: Yes in each run, against the direct sum
enum class MeshCheck { Auto, Yes, No };
inline const std::vector<std::string> MESH_CHECKS{"auto", "yes", "no"};

struct KspaceSettings {
  KspaceChoice method = KspaceChoice::Auto;
  MeshSettings mesh;
  MeshCheck mesh_error = MeshCheck::Auto;
  double slab = 3.0;    // how many times the height of a slab's cell its sum takes
};

class LongRangeSum {
 public:
  LongRangeSum(const LongRangeParameters &parameters, const KspaceSettings &settings, const Communicator &communicator);

  // Choose the solver of a run; wave vectors and mesh follow at its first evaluation. n_atoms of all ranks. Returns a line for the log
  // (may be empty). Throws where the settings ask for what cannot be.
  std::string choose(const Boundary &boundary, const torch::Tensor &cell, double n_atoms);

  // Choose wave vectors and mesh from this cell, which need not be that of the atoms, instead of at the first evaluation.
  void set_up_from(const torch::Tensor &cell);
  bool is_set_up() const { return ready_; }
  void forget_setup() { ready_ = false; }    // wave vectors are chosen anew at the next evaluation
  bool is_mesh() const { return mesh_; }
  std::string description() const { return solver().description(); }

  // Collective. Of this rank's atoms; see Solver::apply
  LongRange compute(const torch::Tensor &positions, const Latents &latents, const torch::Tensor &cell,
                    bool atom_virial);
  // Collective. What k sets of other sources make at the atoms of `last`; arguments as of `compute` then, and as of les::respond
  SourceResponse respond(const LongRange &last, const torch::Tensor &positions, const Latents &latents,
                         const torch::Tensor &charges, const torch::Tensor &dipoles, const torch::Tensor &cell) const;
  // Collective, after compute: Solver::moments
  torch::Tensor field_moments(const torch::Tensor &positions, const Latents &latents, const torch::Tensor &cell) const;

  // Collective. The mesh as it was measured when it was set up for `last`, and the errors of `last`, rounding included. Once: nothing
  // at other times, and where no measurement was due.
  std::optional<std::pair<MeasuredMesh, MeshErrors>> take_mesh_errors(const LongRange &last, const Latents &latents);
  void forget_mesh() { measured_.reset(); }    // measured anew at the next set-up

 private:
  LongRangeParameters parameters_;
  KspaceSettings settings_;
  const Communicator &comm_;
  std::unique_ptr<Solver> solver_;
  bool periodic_ = true, mesh_ = false, ready_ = false;
  double extension_ = 1.0;    // of the cell along its third vector, in a slab
  // the last measurement of the mesh, which holds as long as the cell and the number of atoms do
  std::optional<MeasuredMesh> measured_;
  torch::Tensor measured_cell_;
  bool measured_in_this_run_ = false;

  Solver &solver() const;    // throws before choose()
  std::unique_ptr<Solver> periodic_sum(const MeshSettings &mesh) const;
  bool must_measure(const torch::Tensor &cell) const;
  void set_up(const torch::Tensor &positions, const Latents &latents, const torch::Tensor &cell);
};

}    // namespace les

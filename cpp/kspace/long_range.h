// Long-range energy of latent charges: one interface, one solver a file.
//
// With c over channels, N the norm [eV A per file unit squared] and f(k) = exp(-sigma^2 k^2/2)/k^2:
//
//   periodic:  E = sum_c (N/V) sum_{0 < |k| <= 2 pi/dl} f(k) |S_c(k)|^2 - s N sum q^2 / (sigma (2 pi)^1.5)
//   open:      E = sum_c (N/2pi) 1/2 sum_{i!=j} q_i q_j erf(r/(sqrt2 sigma))/(r + shift)  [+ N sum q^2/(sigma (2 pi)^1.5)]
//
// See export/FORMAT.md for the meaning of the parameters.
#pragma once

#include "communicator.h"

#include <memory>

namespace les {

struct LongRangeParameters {
  double sigma = 1.0;          // A
  double dl = 2.0;             // A
  double norm = 1.0;           // eV A per file unit squared
  bool remove_self = true;     // subtract the self-interaction (periodic) or leave it out (open)
  double self_factor = 1.0;    // how many times, in a periodic system
  double open_shift = 0.0;     // A, added to the distance that divides the open pair sum
};

// What one rank gets back for the atoms it gave, on their device. Energies in eV, lengths in A, charges in file units.
struct LongRange {
  torch::Tensor energy;       // [n] f64, share of each atom: 1/2 sum_c q_ic phi_ic
  torch::Tensor potential;    // [n, channels], phi_ic = dE/dq_ic, type of the charges
  torch::Tensor forces;       // [n, 3] f64, -dE/dr_i at fixed charges
  torch::Tensor
      virial;    // [3, 3] f64, this rank's part of -dE/d(strain) at fixed charges; the sum over ranks is all of it
  torch::Tensor atom_virial;    // [n, 3, 3] f64 if asked for: its sum over all atoms is the virial
};

class LongRangeSolver {
 public:
  virtual ~LongRangeSolver() = default;

  // Choose what must not change within a run (the set of wave vectors), from the cell as it is now.
  virtual void setup(const torch::Tensor &cell) = 0;

  // Collective: every rank calls it, with the atoms that it owns (none is fine).
  //   positions [n, 3] f64 (A), charges [n, channels] (file units), cell [3, 3] f64 on the host (rows, A)
  virtual LongRange compute(const torch::Tensor &positions, const torch::Tensor &charges, const torch::Tensor &cell,
                            bool atom_virial) const = 0;

  // Collective; arguments as above. The potential at each atom again, every charge that makes it weighed by its displacement from there,
  // which is what the flux of energy needs beside phi: [n, channels, 3] f64
  //   open:      psi_ja = sum_i K_ij q_i (r_i - r_j)_a     where phi_j = sum_i K_ij q_i
  //   periodic:  psi_ja = -(4N/V) sum_k f(k) k_a (1/k^2 + sigma^2/2) Im[S*(k) exp(i k.r_j)]
  // The displacement has no meaning among images: in its place stands the derivative of f by k.
  virtual torch::Tensor potential_moments(const torch::Tensor &positions, const torch::Tensor &charges,
                                          const torch::Tensor &cell) const = 0;

  // One line for the log: what was set up.
  virtual std::string description() const = 0;
};

// `communicator` must outlive the solver.
std::unique_ptr<LongRangeSolver> make_direct_sum(const LongRangeParameters &parameters,
                                                 const Communicator &communicator);

// How a mesh is chosen. Spacing and order that are not given follow from the accuracy.
struct MeshSettings {
  static constexpr int MIN_ORDER = 5, MAX_ORDER = 10;

  double accuracy = 1e-5;    // relative rms error of forces and potentials
  double spacing = 0.0;      // A along each lattice vector; 0: by accuracy
  int order = 0;             // points of the window on each axis; 0: by accuracy
  bool loops = true;         // on a CPU, loop over atoms; false: tensor operations, as on a GPU
  bool judge =
      false;    // two points more and two thirds of the spacing: the mesh that judges the one of these settings
};
std::unique_ptr<LongRangeSolver> make_mesh_sum(const LongRangeParameters &parameters, const MeshSettings &settings,
                                               const Communicator &communicator);

// Estimated seconds of one step of a whole periodic system on one core; fitted to benchmarks/kspace.py.
struct Cost {
  double direct = 0.0, mesh = 0.0;
};
Cost estimate_cost(const LongRangeParameters &parameters, const MeshSettings &settings, const torch::Tensor &cell,
                   double n_atoms);

std::unique_ptr<LongRangeSolver> make_open_sum(const LongRangeParameters &parameters, const Communicator &communicator);

}    // namespace les

// From the fields of a solver to energies, forces, and what the atoms answer: the one place that knows self terms and response.
//
// With the sources s = (q, u, Q), K s = (phi, -E, dE/dQ) with self terms, and R = (kappa, alpha, 0), sources d = -R K s are induced,
// dq = -kappa phi and du = alpha E, which do not act on one another (Kim et al., arXiv:2605.05746):
//
//   E = 1/2 <s, K s> - 1/2 <K s, R K s>   stationary over d of  1/2 <s, K s> + <d, K s> + 1/2 <d, R^-1 d>
//   dE/ds = K (s + d),   dE/dkappa = -1/2 phi^2,   dE/dalpha = -1/2 E E^T
//   F_i = -(s_i.grad) K_raw (s + d) - (d_i.grad) K_raw s   at fixed latents, with the fields of the solver
//
// so that response costs one more application of K, on d.
#pragma once

#include "latents.h"
#include "solver.h"

namespace les {

// Of the atoms of this rank, on their device.
struct LongRange {
  torch::Tensor energy{};    // [n] f64 eV, share of each atom: 1/2 [(q + dq) phi - (u + du).E + Q:dE_perm/dQ]
  Latents by_latents{};      // dE/d(latent), self terms included; type of the latents, of those that the model has
  torch::Tensor forces{};    // [n, 3] f64 eV/A, at fixed latents (Cartesian components)
  // [3, 3] f64 eV, this rank's part of -dE/d(strain) at fixed latents: the symmetric part, to which the network adds its own
  torch::Tensor virial{};
  torch::Tensor atom_virial{};    // [n, 3, 3] f64 if asked for
  // of the sources without what they induce, self terms included
  torch::Tensor potential{};         // [n, C] phi, eV per file unit; type of the latents
  torch::Tensor field{};             // [n, C, 3] E, f64, eV per file unit and A; undefined for charges without alpha
  torch::Tensor charge_induced{};    // [n, C] dq, file units; undefined without kappa
  torch::Tensor dipole_induced{};    // [n, C, 3] du, file unit A; undefined without alpha
  Fields permanent{};                // as the solver gave them
};

// Collective; arguments as of Solver::apply. `kernels`: for charges alone on one rank, by those of a GPU, where it can.
LongRange interact(const Solver &solver, const LongRangeParameters &parameters, bool periodic,
                   const torch::Tensor &positions, const Latents &latents, const torch::Tensor &cell, bool atom_virial,
                   const Communicator &communicator, bool kernels);

// What other sources t at the same atoms make, k sets of them.
struct SourceResponse {
  // K t, self terms included, as gradients by the sources that the model has: [k, n, C], [k, n, C, 3], [k, n, C, 3, 3]; type of the
  // latents. charge: phi[t], dipole: -E[t], quadrupole: 1/2 grad grad phi[t]
  Latents by_sources{};
  torch::Tensor forces{};    // [k, n, 3] f64 eV/A: -d<t, K s>/dr at fixed s and t
};

// Collective. `last` is what `interact` gave for these positions, latents and cell.
//   charges [k, n, C], dipoles [k, n, C, 3] of t, file units; either may be undefined, dipoles are for models with dipoles or alpha
SourceResponse respond(const Solver &solver, const LongRangeParameters &parameters, bool periodic,
                       const LongRange &last, const torch::Tensor &positions, const Latents &latents,
                       const torch::Tensor &charges, const torch::Tensor &dipoles, const torch::Tensor &cell,
                       const Communicator &communicator);

}    // namespace les

// From the fields of a solver to energies and forces: the one place that knows the self terms.
#pragma once

#include "latents.h"
#include "solver.h"

namespace les {

// Of the atoms of this rank, on their device.
struct LongRange {
  torch::Tensor energy;         // [n] f64 eV, share of each atom: 1/2 sum source field
  Latents by_latents;           // dE/d(latent), self term included; type of the latents, of those that the model has
  torch::Tensor forces;         // [n, 3] f64 eV/A, at fixed latents
  torch::Tensor virial;         // [3, 3] f64 eV, this rank's part of -dE/d(strain) at fixed latents
  torch::Tensor atom_virial;    // [n, 3, 3] f64 if asked for
};

// Collective; arguments as of Solver::apply.
LongRange interact(const Solver &solver, const LongRangeParameters &parameters, bool periodic,
                   const torch::Tensor &positions, const Latents &latents, const torch::Tensor &cell, bool atom_virial,
                   const Communicator &communicator);

}    // namespace les

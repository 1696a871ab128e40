// From the fields of a solver to energies and forces: the one place that knows the self terms.
#pragma once

#include "solver.h"

namespace les {

// Of the atoms of this rank, on their device.
struct LongRange {
  torch::Tensor energy;         // [n] f64 eV, share of each atom: 1/2 sum source field
  torch::Tensor fields;         // [n, C, M] dE/d(source), self term included; type of the sources
  torch::Tensor forces;         // [n, 3] f64 eV/A, at fixed sources
  torch::Tensor virial;         // [3, 3] f64 eV, this rank's part of -dE/d(strain) at fixed sources
  torch::Tensor atom_virial;    // [n, 3, 3] f64 if asked for
};

// Collective; arguments as of Solver::apply.
LongRange interact(const Solver &solver, const LongRangeParameters &parameters, bool periodic,
                   const torch::Tensor &positions, const torch::Tensor &sources, const torch::Tensor &cell,
                   bool atom_virial, const Communicator &communicator);

}    // namespace les

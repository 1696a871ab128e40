// Slabs: periodic along the first two lattice vectors alone, the third one normal to them.
#pragma once

#include "solver.h"

namespace les {

// The cell with its third vector so many times as long. Throws where that is not normal to the other two, unless it stays as it is.
torch::Tensor extended_cell(const torch::Tensor &cell, double extension);

// A sum over all three lattice vectors -> that of a slab, by way of the extended cell; with 1 the sum itself. Cells are those of the
// slab.
std::unique_ptr<Solver> with_extension(std::unique_ptr<Solver> periodic, const LongRangeParameters &parameters,
                                       double extension, const Communicator &communicator);

}    // namespace les

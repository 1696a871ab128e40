// What a weighed sum of the sources and of what they induce responds to, P = <w, s + d>, with weights w of charges and dipoles that
// do not move with the atoms.
//
// The long-range sum K is symmetric, so that one more application of it, to what w itself would induce, t = R w = (kappa w_q, alpha w_u),
// gives the whole response (dipoles of the wave vectors included, whatever the size of the cell):
//
//   dP/dr = pull-back of { charge: w_q - phi[t], dipole: w_u + E[t], quadrupole: -1/2 grad grad phi[t], kappa: -w_q phi, alpha: w_u E }
//           + the force between t and s at fixed latents
//
// phi and E of the sources, phi[t] and E[t] of t; Kim et al., arXiv 2605.05746, in the adjoint form.
#pragma once

#include "chain.h"
#include "long_range.h"

namespace les {

struct Adjoint {
  std::vector<Quantity> quantities;    // one for each set of weights, to be differentiated by the network
  torch::Tensor forces;                // [k, n_owned, 3] f64 beside them; undefined: none
};

// Collective. Of k sets of weights, or undefined for zero: charges [k, n, C], dipoles [k, n, C, 3].
//   far: the last result of `sum`, for `latents` at `positions` [n, 3] in `cell`
//   second_order: how many of the sets, the last ones, are those of a field, w_u its coupling: half of w_u is added to E in the response to
//     alpha, and P is -[U(field) - U(0)]
Adjoint adjoint(const LongRangeSum &sum, const LongRange &far, const torch::Tensor &positions, const Latents &latents,
                const torch::Tensor &cell, const torch::Tensor &charges, const torch::Tensor &dipoles,
                int64_t second_order);

}    // namespace les

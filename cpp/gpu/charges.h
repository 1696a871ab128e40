// Charges in their potential, on the GPU. Kernels: kernels/charges.h
#pragma once

#include <torch/types.h>

namespace les::gpu {

struct InField {
  torch::Tensor potential;    // [n, C] with that of the own charge, type of the charges
  torch::Tensor energy;       // [n] f64, 1/2 q phi
  torch::Tensor force;        // [n, 3] f64, -q grad phi
};

// Charges [n, C], the potential of all sources [n, C] of the same type, and its gradient [n, C, 3] f64; self: potential of a charge 1 of its own,
// to be added. `balance`: what is left over of the sum of the forces is shared out evenly.
InField charges_in_field(const torch::Tensor &charges, const torch::Tensor &field, const torch::Tensor &gradient,
                         double self, bool balance);

}    // namespace les::gpu

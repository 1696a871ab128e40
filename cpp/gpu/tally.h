// From the gradients of the edges to forces and virial, on the GPU. Kernels: kernels/tally.h
#pragma once

#include <torch/types.h>

namespace les::gpu {

// Edges in rows of one length, of the first n of n_all atoms.
struct TallyInput {
  torch::Tensor gradient, vectors;     // [E, 3] f64; no gradient in empty places
  torch::Tensor index;                 // [2, E] i64
  torch::Tensor far_force;             // [n, 3] f64
  torch::Tensor far_virial;            // [3, 3] f64
  torch::Tensor energy, far_energy;    // [n] type of the network, f64
  torch::Tensor most;                  // [] i64; undefined for 0
  int64_t n_all;
};

// [3 n_all + 2 n + 9 + 1] f64: forces [n_all, 3] eV/A, energies [n, 2], virial [3, 3], most. Edges add +g to the force on the center and -g on
// the neighbor, in steps of 2^-40 eV/A, and the symmetric part of -r (x) g to the virial. The same bits each time. A force is not a number
// where a gradient by an edge of its atom is none, or is larger than 2^15 eV/A.
torch::Tensor tally(const TallyInput &input);

}    // namespace les::gpu

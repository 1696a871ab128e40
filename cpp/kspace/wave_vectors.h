// The wave vectors of the periodic sums: which of them the model has, and what each one weighs.
#pragma once

#include "parameters.h"

#include <torch/types.h>

#include <array>
#include <string>

namespace les {

constexpr double SHELL_TOLERANCE = 1e-6;     // relative; a shell that sits on the cutoff counts as inside
constexpr double MOST_WAVE_VECTORS = 2e7;    // of the direct sum, in the box around the cutoff: some GB of memory

// The box around the cutoff of the direct sum, |n_m| of its corner. Throws where it holds more than MOST_WAVE_VECTORS.
std::array<int64_t, 3> largest_triple(const LongRangeParameters &parameters, const torch::Tensor &cell);
// Wave vectors in that box, k and -k as one, whatever their number.
double wave_vectors_in_box(const LongRangeParameters &parameters, const torch::Tensor &cell);
// Lengths of the lattice vectors, for messages.
std::string lengths_of(const torch::Tensor &cell);

// Integer triples n, k = 2 pi n cell^-1; those with 0 < |k| <= 2 pi/dl are inside. The choice stays when the cell changes.
class WaveVectors {
 public:
  WaveVectors() = default;
  // triples [k, 3] f64, any; `cell` [3, 3] f64, rows in A: where the choice is made.
  WaveVectors(const LongRangeParameters &parameters, const torch::Tensor &triples, const torch::Tensor &cell);

  const torch::Tensor &inside() const { return inside_; }      // [k'] i64: rows of `triples`
  const torch::Tensor &triples() const { return triples_; }    // [k', 3] f64, those inside

  // f64, on the host
  struct Weights {
    torch::Tensor f;    // [k'] (N/V) exp(-sigma^2 k^2/2)/k^2
    torch::Tensor
        strain;    // [k', 9] T_ab = delta - 2 k_a k_b (1/k^2 + sigma^2/2): -dE/d(strain) is the sum of f |S|^2 T
    torch::Tensor slope;    // [k', 3] 2 k_a (1/k^2 + sigma^2/2): df/dk_a = -f slope
    torch::Tensor decay;    // [k'] 1/k^2 + sigma^2/2
  };
  Weights weights(const torch::Tensor &cell) const;

 private:
  LongRangeParameters p_;
  torch::Tensor inside_, triples_;
};

}    // namespace les

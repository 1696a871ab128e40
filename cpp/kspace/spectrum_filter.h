// What the sum does to a spectrum, by one loop on a CPU.
#pragma once

#include <torch/types.h>

#include <array>
#include <vector>

namespace les {

// On a part of the spectrum [n1, n2, n3], of the type of the sources: phi = green rho.
struct SpectrumFilter {
  torch::Tensor green;                       // zero beyond the cutoff
  torch::Tensor decay;                       // 1/k^2 + sigma^2/2
  std::vector<int32_t> columns;              // [n1 n2] how many of a line are needed, from its beginning
  std::array<std::vector<double>, 3> n;      // integer triples along the axes, n3 = 0 ...
  std::array<std::array<double, 3>, 3> k;    // k_a = sum_m k[a][m] n_m

  // rho, `other` -> phi, and virial [3, 3] += sum_k e (delta_ab - 2 k_a k_b decay), e = 1/2 Re[rho conj(other)] over k and -k; `other` as
  // contiguous as phi, undefined: phi itself
  torch::Tensor apply(const torch::Tensor &rho, const torch::Tensor &other, torch::Tensor &virial) const;
};

}    // namespace les

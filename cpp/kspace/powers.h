// Components of symmetric tensors as tensors of torch.
#pragma once

#include "components.h"

#include <torch/types.h>

#include <array>
#include <vector>

namespace les {

using Exponents = std::array<int64_t, 3>;

inline std::vector<Exponents> powers_up_to(int64_t degree)
{
  std::vector<Exponents> out;
  for (int64_t d = 0; d <= degree; d++)
    for (int64_t a = d; a >= 0; a--)
      for (int64_t b = d - a; b >= 0; b--) out.push_back({a, b, d - a - b});
  return out;
}

inline int64_t place_of(const Exponents &e) { return place_of(e[0], e[1], e[2]); }

// Where the entries of a symmetric tensor of this degree stand, row by row: 3^degree places.
inline std::vector<int64_t> places_of_entries(int degree)
{
  std::vector<Exponents> entries{{0, 0, 0}};
  for (int d = 0; d < degree; d++) {
    std::vector<Exponents> next;
    for (const Exponents &e : entries)
      for (int m = 0; m < 3; m++) {
        next.push_back(e);
        next.back()[m]++;
      }
    entries = std::move(next);
  }
  std::vector<int64_t> places;
  for (const Exponents &e : entries) places.push_back(place_of(e));
  return places;
}

// Components [..., count_of_powers(order)] as tensors [...], [..., 3], ..., of the degrees up to `order`.
inline std::vector<torch::Tensor> full_tensors(const torch::Tensor &components, int order)
{
  std::vector<torch::Tensor> out{components.select(-1, 0)};
  if (order > 0) out.push_back(components.narrow(-1, 1, 3));
  for (int d = 2; d <= order; d++) {
    const torch::Tensor index = torch::tensor(places_of_entries(d), torch::kInt64).to(components.device());
    std::vector<int64_t> shape(components.sizes().begin(), components.sizes().end() - 1);
    shape.insert(shape.end(), d, 3);
    out.push_back(components.index_select(-1, index).view(shape));
  }
  return out;
}

}    // namespace les

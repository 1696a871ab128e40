// What Python hands over to the long-range sum, checked once.
#pragma once

#include "checks.h"
#include "long_range.h"

namespace les {

inline LongRangeParameters checked(const LongRangeParameters &p)
{
  check_positive("sigma", p.sigma);
  check_positive("dl", p.dl);
  check_number("norm", p.norm, -1e300, 1e300);
  check_number("self_factor", p.self_factor, -1e300, 1e300);
  check_number("open_shift", p.open_shift, 0.0, 1e300);
  return p;
}

inline MeshSettings checked(const MeshSettings &mesh)
{
  check_number("accuracy of the mesh", mesh.accuracy, 1e-12, 1.0);
  check_number("spacing of the mesh", mesh.spacing, 0.0, 1e300);
  return mesh;
}

// Positions [n, 3] and sources [n, C] or [n, C, M] of the same atoms.
struct Atoms {
  torch::Tensor positions, sources;

  Atoms(const torch::Tensor &r, const std::string &name, const torch::Tensor &s, bool with_components)
  {
    positions = checked_lengths("positions", r, -1, checked_device("positions", r.device()));
    std::vector<int64_t> shape{r.size(0), -1};
    if (with_components) shape.push_back(-1);
    sources = checked(name, s, FLOATS, shape, r.device());
  }
};

}    // namespace les

// The points of the mesh around the atoms of a rank, with the window there: charges go out to them, fields come back from them.
//
// On a CPU by loops over atoms, on the region around them; by tensor operations else. A GPU on its own spreads on the whole mesh:
// finding the region would make the host wait for it.
#pragma once

#include "mesh_layout.h"
#include "window.h"

namespace les {

class Stencils {
 public:
  // fractional [n, 3] f64 of this rank's atoms; size [3] f64, the mesh, on their device; values of `type` will be spread.
  // `loops`: over atoms; `whole`: spread on the whole mesh.
  Stencils(const Window &window, const torch::Tensor &fractional, const torch::Tensor &size,
           const std::array<int64_t, 3> &mesh, torch::ScalarType type, bool loops, bool whole);

  const Brick &region() const { return region_; }
  // [n] -> sum_i q_i w(r_i - m) on the region
  torch::Tensor spread(const torch::Tensor &charges) const;
  // f on the region -> f [n] at the atoms
  torch::Tensor gather(const torch::Tensor &mesh) const;
  // the same, and df/ds [n, 3] f64 by fractional coordinates
  std::pair<torch::Tensor, torch::Tensor> gather_with_slope(const torch::Tensor &mesh) const;

 private:
  int order_;
  bool loops_;
  Brick region_;
  torch::Tensor size_;
  torch::Tensor first_;     // [n, 3] i64, first of the `order` points, relative to the region
  torch::Tensor w_, dw_;    // [n, 3, P] window and slope on the three axes
  torch::Tensor points_;    // [n P^3] i64, flat indices into the region; by tensor operations only

  torch::Tensor flat_points(const std::array<int64_t, 3> &mesh) const;
};

}    // namespace les

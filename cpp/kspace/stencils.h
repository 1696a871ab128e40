// The points of the mesh around the atoms of a rank, with the window there: charges go out to them, fields come back from them.
//
// On the region around the atoms; on the whole mesh, whose ends meet, where there is one rank. On a CPU by loops over atoms, else by
// tensor operations.
#pragma once

#include "mesh_layout.h"
#include "window.h"

namespace les {

class Stencils {
 public:
  // fractional [n, 3] f64 of this rank's atoms; size [3] f64, the mesh, on their device; values of `type` will be spread
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
  std::array<int64_t, 3> mesh_;
  Brick region_;
  torch::Tensor size_;
  torch::Tensor first_;     // [n, 3] i64, first of the `order` points, relative to the region
  torch::Tensor w_, dw_;    // [n, 3, P] window and slope on the three axes; for loops rows are padded
  torch::Tensor points_;    // [n P^3] i64, flat indices into the region; by tensor operations only

  void place_by_loops(const Window &window, const torch::Tensor &u, torch::ScalarType type, bool whole);
  void place_by_tensors(const Window &window, const torch::Tensor &u, torch::ScalarType type, bool whole);
  torch::Tensor flat_points() const;
  void spread_by_loops(const torch::Tensor &charges, torch::Tensor &mesh) const;
  template <bool WITH_SLOPE>
  void gather_by_loops(const torch::Tensor &mesh, torch::Tensor &f, torch::Tensor &slope) const;
};

}    // namespace les

// The points of the mesh around the atoms of a rank, with the window there: sources go out to them, fields come back from them.
//
// On the region around the atoms; on the whole mesh, whose ends meet, where there is one rank. On a CPU by loops over atoms, else by
// tensor operations. Derivatives are those by mesh coordinates (1 = the distance of two points), in the order of powers.h.
#pragma once

#include "mesh_layout.h"
#include "window.h"

namespace les {

class Stencils {
 public:
  // positions [n, 3] f64 of this rank's atoms, `inverse` [3, 3] f64 of the cell and size [3] f64, the mesh, on their device; values of `type`
  // will be spread, and as many `derivatives` of the window asked for. `window` must outlive it
  Stencils(const Window &window, const torch::Tensor &positions, const torch::Tensor &inverse,
           const torch::Tensor &size, const std::array<int64_t, 3> &mesh, torch::ScalarType type, bool loops,
           bool whole, int derivatives);

  const Brick &region() const { return region_; }
  // Weights [n, K] of the derivatives of w up to the order L = 0, 1 or 2, K = 1, 4 or 10 -> sum_i sum_p weight_ip w^(p)(x_i - m) on
  // the region
  torch::Tensor spread(const torch::Tensor &weights) const;
  // f on the region -> f at the atoms and its derivatives up to `order`, [n, K] f64, K = 1, 4, 10 or 20
  torch::Tensor gather(const torch::Tensor &mesh, int order) const;

 private:
  const Window &window_;
  int order_;
  bool loops_;
  std::array<int64_t, 3> mesh_;
  Brick region_;
  torch::Tensor first_;     // [n, 3] first of the `order_` points, relative to the region: i32 for loops, else i64
  torch::Tensor u_;         // [n, 3] for loops: see stencil_kernels.h
  torch::Tensor w_;         // else: [derivatives + 1, n, 3, P] window on the three axes
  torch::Tensor points_;    // [n P^3] i64, flat indices into the region

  void place_by_loops(const torch::Tensor &positions, const torch::Tensor &inverse, torch::ScalarType type, bool whole);
  void place_by_tensors(const torch::Tensor &fractional, const torch::Tensor &size, torch::ScalarType type, bool whole,
                        int derivatives);
  torch::Tensor flat_points() const;
  void spread_by_loops(const torch::Tensor &weights, torch::Tensor &mesh) const;
  void gather_by_loops(const torch::Tensor &mesh, int order, torch::Tensor &f) const;
};

}    // namespace les

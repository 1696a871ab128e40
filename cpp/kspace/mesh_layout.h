// Which rank holds which part of a periodic mesh, and how to pass from one such layout to another.
#pragma once

#include "communicator.h"

#include <array>
#include <vector>

namespace les {

// Index ranges [low, high) on three axes. A part of a layout lies inside the mesh; the region of a rank's atoms may reach beyond
// it, and stands for the periodic images of the points there.
struct Box {
  std::array<int64_t, 3> low{0, 0, 0}, high{0, 0, 0};

  int64_t length(int axis) const { return high[axis] - low[axis]; }
  bool empty() const { return length(0) <= 0 || length(1) <= 0 || length(2) <= 0; }
  std::vector<int64_t> shape() const { return {length(0), length(1), length(2)}; }
};

// One box a rank.
using Layout = std::vector<Box>;

// The mesh cut into rows x columns boxes on two axes, whole on the third; ranks in row-major order.
Layout pencils(const std::array<int64_t, 3> &mesh, int whole_axis, int rows, int columns);

// Rows and columns for a number of ranks: one row each (slabs) as long as there are planes enough on every axis that is cut.
std::pair<int, int> rank_grid(const std::array<int64_t, 3> &mesh, int ranks);

// Collective. From the box of this rank in `from` to its box in `to`. Boxes of one layout do not overlap, except for `regions`
// (below), whose images are added up.
torch::Tensor redistribute(const torch::Tensor &mine, const Layout &from, const Layout &to, const Communicator &comm);

// Collective. Sum of what all regions give to the points of each box; and the other way, each region filled from the boxes.
torch::Tensor add_regions(const torch::Tensor &mine, const Layout &regions, const Layout &boxes,
                          const std::array<int64_t, 3> &mesh, const Communicator &comm);
torch::Tensor fill_regions(const torch::Tensor &mine, const Layout &boxes, const Layout &regions,
                           const std::array<int64_t, 3> &mesh, const Communicator &comm);

}    // namespace les

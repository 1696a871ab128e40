// Which rank holds which part of a periodic mesh, and how to pass from one such layout to another.
#pragma once

#include "communicator.h"

#include <array>
#include <vector>

namespace les {

// Index ranges [low, high) on three axes. A part of a layout lies inside the mesh; the region of a rank's atoms may reach beyond
// it, and stands for the periodic images of the points there.
struct Brick {
  std::array<int64_t, 3> low{0, 0, 0}, high{0, 0, 0};

  int64_t length(int axis) const { return high[axis] - low[axis]; }
  bool empty() const { return length(0) <= 0 || length(1) <= 0 || length(2) <= 0; }
  std::vector<int64_t> shape() const { return {length(0), length(1), length(2)}; }
};

// One brick a rank.
using Layout = std::vector<Brick>;

// The mesh cut into rows x columns bricks on two axes, whole on the third; ranks in row-major order.
Layout pencils(const std::array<int64_t, 3> &mesh, int whole_axis, int rows, int columns);

// Collective: the regions of all ranks.
Layout all_regions(const Brick &mine, const Communicator &comm);

// Rows and columns for a number of ranks: one row each (slabs) as long as there are planes enough on every axis that is cut.
std::pair<int, int> rank_grid(const std::array<int64_t, 3> &mesh, int ranks);

// A planned move between two layouts: `regions`, of which each may overlap others and reach beyond the mesh, and `bricks`, which
// do not overlap and lie inside it. Either way is collective; only ranks that share mesh points talk to each other.
class Transfer {
 public:
  Transfer() = default;
  Transfer(const Layout &regions, const Layout &bricks, const std::array<int64_t, 3> &mesh, int rank);

  // Each brick gets the sum of what all regions hold for its points.
  torch::Tensor to_bricks(const torch::Tensor &region, const Communicator &comm) const;
  // Each region is filled from the bricks.
  torch::Tensor to_regions(const torch::Tensor &brick, const Communicator &comm) const;

 private:
  // Of a region and of a brick that stand for the same mesh points: offsets inside either, extent.
  struct Piece {
    std::array<int64_t, 3> in_region, in_brick, size;
    int64_t count() const { return size[0] * size[1] * size[2]; }
  };
  struct Share {
    int rank;
    std::vector<Piece> pieces;
    int64_t count;    // mesh points in all pieces
  };

  static std::vector<Piece> common(const Brick &region, const Brick &brick, const std::array<int64_t, 3> &mesh);
  static torch::Tensor move(const torch::Tensor &mine, const std::vector<Share> &leaving,
                            const std::vector<Share> &arriving, std::array<int64_t, 3> Piece::*from,
                            std::array<int64_t, 3> Piece::*to, const std::vector<int64_t> &shape,
                            const Communicator &comm);

  // of the region of this rank, by the rank of the brick; of the brick of this rank, by the rank of the region
  std::vector<Share> of_region_, of_brick_;
  std::vector<int64_t> region_shape_, brick_shape_;
};

}    // namespace les

#include "mesh_layout.h"

#include <algorithm>
#include <cmath>

namespace les {

using torch::Tensor;

namespace {

// A piece of one box and the piece of another box that stands for the same mesh points.
struct Piece {
  std::array<int64_t, 3> here, there, size;    // offsets inside either box, extent

  int64_t count() const { return size[0] * size[1] * size[2]; }
};

// All pieces that `region` (may reach beyond the mesh) and `box` (inside it) have in common, in an order both sides agree on.
std::vector<Piece> common(const Box &region, const Box &box, const std::array<int64_t, 3> &mesh)
{
  std::vector<Piece> pieces;
  if (region.empty() || box.empty()) return pieces;
  std::array<std::vector<std::array<int64_t, 3>>, 3> segments;    // per axis: offset in region, offset in box, length
  for (int a = 0; a < 3; a++) {
    const int64_t n = mesh[a];
    const int64_t first = static_cast<int64_t>(std::floor(static_cast<double>(region.low[a]) / n));
    for (int64_t image = first; image * n < region.high[a]; image++) {
      const int64_t low = std::max(region.low[a], box.low[a] + image * n);
      const int64_t high = std::min(region.high[a], box.high[a] + image * n);
      if (low < high) segments[a].push_back({low - region.low[a], low - image * n - box.low[a], high - low});
    }
  }
  for (const auto &x : segments[0])
    for (const auto &y : segments[1])
      for (const auto &z : segments[2]) pieces.push_back({{x[0], y[0], z[0]}, {x[1], y[1], z[1]}, {x[2], y[2], z[2]}});
  return pieces;
}

Tensor part(const Tensor &t, const std::array<int64_t, 3> &offset, const std::array<int64_t, 3> &size)
{
  return t.narrow(0, offset[0], size[0]).narrow(1, offset[1], size[1]).narrow(2, offset[2], size[2]);
}

// Move pieces: `leaving` for each rank from `mine`, `arriving` from each rank into a fresh tensor, where they are added.
Tensor move(const Tensor &mine, const std::vector<std::vector<Piece>> &leaving,
            const std::vector<std::vector<Piece>> &arriving, const std::vector<int64_t> &shape,
            const Communicator &comm)
{
  const int ranks = comm.size(), me = comm.rank();
  Tensor out = torch::zeros(shape, mine.options());
  std::vector<Tensor> parcels(ranks);
  std::vector<int64_t> counts(ranks, 0);
  for (int r = 0; r < ranks; r++) {
    if (r == me) continue;
    std::vector<Tensor> parts;
    for (const Piece &p : leaving[r]) parts.push_back(part(mine, p.here, p.size).reshape({-1}));
    parcels[r] = parts.empty() ? torch::empty({0}, mine.options()) : torch::cat(parts);
    for (const Piece &p : arriving[r]) counts[r] += p.count();
  }
  parcels[me] = torch::empty({0}, mine.options());
  for (size_t n = 0; n < leaving[me].size(); n++) {
    const Piece &from = leaving[me][n], &to = arriving[me][n];
    part(out, to.here, to.size).add_(part(mine, from.here, from.size));
  }
  const std::vector<Tensor> received = comm.all_to_all(parcels, counts);
  for (int r = 0; r < ranks; r++) {
    int64_t offset = 0;
    for (const Piece &p : arriving[r]) {
      if (r == me) break;
      part(out, p.here, p.size).add_(received[r].narrow(0, offset, p.count()).view({p.size[0], p.size[1], p.size[2]}));
      offset += p.count();
    }
  }
  return out;
}

std::vector<Piece> turned(std::vector<Piece> pieces)
{
  for (Piece &p : pieces) std::swap(p.here, p.there);
  return pieces;
}

}    // namespace

Layout pencils(const std::array<int64_t, 3> &mesh, int whole_axis, int rows, int columns)
{
  const int a = whole_axis == 0 ? 1 : 0, b = whole_axis == 2 ? 1 : 2;
  Layout layout;
  for (int i = 0; i < rows; i++)
    for (int j = 0; j < columns; j++) {
      Box box;
      box.low[whole_axis] = 0;
      box.high[whole_axis] = mesh[whole_axis];
      box.low[a] = mesh[a] * i / rows;
      box.high[a] = mesh[a] * (i + 1) / rows;
      box.low[b] = mesh[b] * j / columns;
      box.high[b] = mesh[b] * (j + 1) / columns;
      layout.push_back(box);
    }
  return layout;
}

std::pair<int, int> rank_grid(const std::array<int64_t, 3> &mesh, int ranks)
{
  const int64_t planes = std::min(mesh[0], mesh[1]);
  int columns = 1;
  while (columns < ranks && (ranks % columns != 0 || ranks / columns > planes)) columns++;
  return {ranks / columns, columns};
}

Tensor redistribute(const Tensor &mine, const Layout &from, const Layout &to, const Communicator &comm)
{
  const int ranks = comm.size(), me = comm.rank();
  // inside the mesh nothing wraps: any mesh that holds all boxes will do
  std::array<int64_t, 3> mesh{1, 1, 1};
  for (const Box &b : from)
    for (int a = 0; a < 3; a++) mesh[a] = std::max(mesh[a], b.high[a]);
  std::vector<std::vector<Piece>> leaving(ranks), arriving(ranks);
  for (int r = 0; r < ranks; r++) {
    leaving[r] = common(from[me], to[r], mesh);
    arriving[r] = common(to[me], from[r], mesh);
  }
  return move(mine, leaving, arriving, to[me].shape(), comm);
}

Tensor add_regions(const Tensor &mine, const Layout &regions, const Layout &boxes, const std::array<int64_t, 3> &mesh,
                   const Communicator &comm)
{
  const int ranks = comm.size(), me = comm.rank();
  std::vector<std::vector<Piece>> leaving(ranks), arriving(ranks);
  for (int r = 0; r < ranks; r++) {
    leaving[r] = common(regions[me], boxes[r], mesh);
    arriving[r] = turned(common(regions[r], boxes[me], mesh));
  }
  return move(mine, leaving, arriving, boxes[me].shape(), comm);
}

Tensor fill_regions(const Tensor &mine, const Layout &boxes, const Layout &regions, const std::array<int64_t, 3> &mesh,
                    const Communicator &comm)
{
  const int ranks = comm.size(), me = comm.rank();
  std::vector<std::vector<Piece>> leaving(ranks), arriving(ranks);
  for (int r = 0; r < ranks; r++) {
    leaving[r] = turned(common(regions[r], boxes[me], mesh));
    arriving[r] = common(regions[me], boxes[r], mesh);
  }
  return move(mine, leaving, arriving, regions[me].shape(), comm);
}

}    // namespace les

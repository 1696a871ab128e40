#include "mesh_layout.h"

#include <algorithm>
#include <cmath>

namespace les {

using torch::Tensor;

namespace {
Tensor part(const Tensor &t, const std::array<int64_t, 3> &offset, const std::array<int64_t, 3> &size)
{
  return t.narrow(0, offset[0], size[0]).narrow(1, offset[1], size[1]).narrow(2, offset[2], size[2]);
}
}    // namespace

Layout pencils(const std::array<int64_t, 3> &mesh, int whole_axis, int rows, int columns)
{
  const int a = whole_axis == 0 ? 1 : 0, b = whole_axis == 2 ? 1 : 2;
  Layout layout;
  for (int i = 0; i < rows; i++)
    for (int j = 0; j < columns; j++) {
      Brick brick;
      brick.low[whole_axis] = 0;
      brick.high[whole_axis] = mesh[whole_axis];
      brick.low[a] = mesh[a] * i / rows;
      brick.high[a] = mesh[a] * (i + 1) / rows;
      brick.low[b] = mesh[b] * j / columns;
      brick.high[b] = mesh[b] * (j + 1) / columns;
      layout.push_back(brick);
    }
  return layout;
}

Layout all_regions(const Brick &mine, const Communicator &comm)
{
  if (comm.size() == 1) return {mine};
  const Tensor row =
      torch::tensor({mine.low[0], mine.low[1], mine.low[2], mine.high[0], mine.high[1], mine.high[2]}, torch::kInt64);
  const Tensor rows = comm.gather_rows(row.view({1, 6})).contiguous();
  const int64_t *bounds = rows.data_ptr<int64_t>();
  Layout regions(comm.size());
  for (int r = 0; r < comm.size(); r++)
    for (int a = 0; a < 3; a++) {
      regions[r].low[a] = bounds[6 * r + a];
      regions[r].high[a] = bounds[6 * r + 3 + a];
    }
  return regions;
}

std::pair<int, int> rank_grid(const std::array<int64_t, 3> &mesh, int ranks)
{
  const int64_t planes = std::min(mesh[0], mesh[1]);
  int columns = 1;
  while (columns < ranks && (ranks % columns != 0 || ranks / columns > planes)) columns++;
  return {ranks / columns, columns};
}

Transfer::Transfer(const Layout &regions, const Layout &bricks, const std::array<int64_t, 3> &mesh, int rank) :
    region_shape_(regions[rank].shape()), brick_shape_(bricks[rank].shape())
{
  const auto add = [&](std::vector<Share> &shares, int other, const Brick &region, const Brick &brick) {
    Share share{other, common(region, brick, mesh), 0};
    for (const Piece &p : share.pieces) share.count += p.count();
    if (share.count > 0) shares.push_back(std::move(share));
  };
  for (int r = 0; r < static_cast<int>(bricks.size()); r++) {
    add(of_region_, r, regions[rank], bricks[r]);
    add(of_brick_, r, regions[r], bricks[rank]);
  }
}

// In an order that both sides agree on.
std::vector<Transfer::Piece> Transfer::common(const Brick &region, const Brick &brick,
                                              const std::array<int64_t, 3> &mesh)
{
  std::vector<Piece> pieces;
  if (region.empty() || brick.empty()) return pieces;
  std::array<std::vector<std::array<int64_t, 3>>, 3> segments;    // per axis: offset in region, offset in brick, length
  for (int a = 0; a < 3; a++) {
    const int64_t n = mesh[a];
    const int64_t first = static_cast<int64_t>(std::floor(static_cast<double>(region.low[a]) / n));
    for (int64_t image = first; image * n < region.high[a]; image++) {
      const int64_t low = std::max(region.low[a], brick.low[a] + image * n);
      const int64_t high = std::min(region.high[a], brick.high[a] + image * n);
      if (low < high) segments[a].push_back({low - region.low[a], low - image * n - brick.low[a], high - low});
    }
    if (segments[a].empty()) return pieces;    // as for most pairs of ranks
  }
  for (const auto &x : segments[0])
    for (const auto &y : segments[1])
      for (const auto &z : segments[2]) pieces.push_back({{x[0], y[0], z[0]}, {x[1], y[1], z[1]}, {x[2], y[2], z[2]}});
  return pieces;
}

Tensor Transfer::to_bricks(const Tensor &region, const Communicator &comm) const
{
  return move(region, of_region_, of_brick_, &Piece::in_region, &Piece::in_brick, brick_shape_, comm);
}

Tensor Transfer::to_regions(const Tensor &brick, const Communicator &comm) const
{
  return move(brick, of_brick_, of_region_, &Piece::in_brick, &Piece::in_region, region_shape_, comm);
}

Tensor Transfer::move(const Tensor &mine, const std::vector<Share> &leaving, const std::vector<Share> &arriving,
                      std::array<int64_t, 3> Piece::*from, std::array<int64_t, 3> Piece::*to,
                      const std::vector<int64_t> &shape, const Communicator &comm)
{
  std::vector<Parcel> outgoing, incoming;
  for (const Share &s : leaving) {
    if (s.rank == comm.rank()) continue;
    std::vector<Tensor> parts;
    for (const Piece &p : s.pieces) parts.push_back(part(mine, p.*from, p.size).reshape({-1}));
    outgoing.push_back({s.rank, parts.size() == 1 ? parts[0] : torch::cat(parts)});
  }
  for (const Share &s : arriving)
    if (s.rank != comm.rank()) incoming.push_back({s.rank, torch::empty({s.count}, mine.options())});
  comm.exchange(outgoing, incoming);

  Tensor out = torch::zeros(shape, mine.options());
  for (const Share &s : arriving) {
    int64_t offset = 0;
    const auto parcel =
        std::find_if(incoming.begin(), incoming.end(), [&](const Parcel &p) { return p.rank == s.rank; });
    for (const Piece &p : s.pieces) {
      // what stays on this rank has the same pieces on either side
      const Tensor piece = parcel == incoming.end()
                               ? part(mine, p.*from, p.size)
                               : parcel->values.narrow(0, offset, p.count()).view({p.size[0], p.size[1], p.size[2]});
      part(out, p.*to, p.size).add_(piece);
      offset += p.count();
    }
  }
  return out;
}

}    // namespace les

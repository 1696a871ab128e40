#include "neighbors.h"

#include "kernels/neighbors.h"
#include "program.h"

#include <algorithm>
#include <cmath>

namespace les::gpu {

using torch::Tensor;

namespace {

// Of the reach, or larger where most would be empty; of all atoms that are seen
Cells cells_around(const Tensor &x, const Tensor &number, double reach)
{
  const int64_t n = x.size(0);
  const double *r = x.const_data_ptr<double>();
  const int *seen = number.const_data_ptr<int>();
  double high[3];
  Cells cells{};
  for (int k = 0; k < 3; k++) {
    cells.low[k] = INFINITY;
    high[k] = -INFINITY;
    for (int64_t i = 0; i < n; i++)
      if (seen[i] >= 0) {
        cells.low[k] = std::min(cells.low[k], r[3 * i + k]);
        high[k] = std::max(high[k], r[3 * i + k]);
      }
    if (!(high[k] - cells.low[k] < INFINITY)) cells.low[k] = high[k] = 0.0;
  }
  const double most = std::max(64.0, 4.0 * static_cast<double>(n));
  for (cells.length = reach * (1.0 + 1e-9);; cells.length *= 1.3) {
    double all = 1.0;
    for (int k = 0; k < 3; k++) {
      const double count = std::floor((high[k] - cells.low[k]) / cells.length) + 1.0;
      all *= count;
      cells.count[k] = static_cast<int>(std::min(count, most));
    }
    if (all <= most) return cells;
  }
}

}    // namespace

NeighborList find_neighbors(const Tensor &host_x, const Tensor &host_number, int64_t centers, double cutoff,
                            double reach, torch::Device device)
{
  static const Program program("neighbors", {{"REAL", "double"}});
  const auto up = [&](const Tensor &t) { return t.pin_memory().to(device, /*non_blocking=*/true); };
  const int64_t nall = host_x.size(0), n = (host_number.narrow(0, 0, centers) >= 0).sum().item<int64_t>();
  const Tensor x = up(host_x), number = up(host_number);
  const auto i32 = number.options(), i64 = i32.dtype(torch::kInt64);
  const Cells cells = cells_around(host_x, host_number, reach);
  const int64_t n_cells = int64_t{1} * cells.count[0] * cells.count[1] * cells.count[2];

  const Tensor cell = torch::empty({nall}, i32);
  program.launch("find_cells", device, blocks_for(nall, FIND_THREADS), FIND_THREADS,
                 FindCells{x.const_data_ptr<double>(), number.const_data_ptr<int>(), cells, static_cast<int>(nall),
                           cell.mutable_data_ptr<int>()});
  const std::optional<bool> stable(true);
  const auto [sorted_cells, order] = torch::sort(cell, stable, 0);
  const Tensor start = torch::searchsorted(sorted_cells, torch::arange(n_cells + 1, i32)),
               sorted = x.index_select(0, order), count = torch::zeros({n + 1}, i32), most = torch::zeros({1}, i64);
  FindNeighbors find{};
  find.x = sorted.const_data_ptr<double>();
  find.atom = order.const_data_ptr<int64_t>();
  find.start = start.const_data_ptr<int64_t>();
  find.number = number.const_data_ptr<int>();
  find.cells = cells;
  find.reach = reach;
  find.cutoff = cutoff;
  find.nall = static_cast<int>(nall);
  find.centers = static_cast<int>(centers);
  find.count = count.mutable_data_ptr<int>();
  find.most = most.mutable_data_ptr<int64_t>();
  const Grid warps = blocks_for(nall * WARP, FIND_THREADS);
  program.launch("count_neighbors", device, warps, FIND_THREADS, find);

  NeighborList out;
  out.edges.first = count.cumsum(0, torch::kInt64);
  const Tensor known = torch::cat({out.edges.first.narrow(0, n, 1), most}).to(torch::kCPU);
  const int64_t listed = known[0].item<int64_t>();
  out.most = known[1].item<int64_t>();
  out.edges.own = up((host_number.narrow(0, 0, centers) >= 0).nonzero().select(1, 0).to(torch::kInt32));
  out.edges.atom = torch::empty({listed}, i32);
  out.edges.number = torch::empty({listed}, i32);
  find.first = out.edges.first.const_data_ptr<int64_t>();
  find.listed = out.edges.atom.mutable_data_ptr<int>();
  find.listed_number = out.edges.number.mutable_data_ptr<int>();
  program.launch("list_neighbors", device, warps, FIND_THREADS, find);
  return out;
}

}    // namespace les::gpu

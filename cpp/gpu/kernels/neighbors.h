// The list of all pairs within a reach, of atoms and ghosts at any places: by cells of at least the reach, x fastest.
#include "common.h"

#ifndef LES_KERNELS
namespace les::gpu {
#endif

struct Cells {
  double low[3], length;    // A
  int count[3];
};

struct FindCells {
  const double *x;      // [nall, 3] A
  const int *number;    // [nall] -1: not to be seen
  Cells cells;
  int nall;
  int *cell;    // [nall]; of those not to be seen, the one beyond the last
};

struct FindNeighbors {
  const double *x;      // [nall, 3] sorted by cells
  const i64 *atom;      // [nall] their places before
  const i64 *start;     // [cells + 1] of each cell among them
  const int *number;    // [nall] by place before; of centers, which come first, their row
  Cells cells;
  double reach, cutoff;           // A
  int nall, centers;              // atoms before `centers` are centers
  int *count;                     // [rows + 1] number of neighbors, after a 0
  i64 *most;                      // [] largest number within the cutoff, 0 before
  const i64 *first;               // [rows + 1] where those of a row begin
  int *listed, *listed_number;    // neighbors, by their places before, and their numbers
};
constexpr int FIND_THREADS = 256;

#ifdef LES_KERNELS

DEVICE int cell_along(const Cells &cells, double x, int axis)
{
  const double c = floor((x - cells.low[axis]) / cells.length);
  return c > 0.0 ? c < cells.count[axis] - 1 ? (int) c : cells.count[axis] - 1 : 0;
}

KERNEL(find_cells, FindCells, FIND_THREADS)
{
  const i64 i = thread_index();
  if (i >= a.nall) return;
  const int *n = a.cells.count;
  int cell = n[0] * n[1] * n[2];
  if (a.number[i] >= 0) {
    cell = 0;
    for (int k = 2; k >= 0; k--) cell = cell * n[k] + cell_along(a.cells, a.x[3 * i + k], k);
  }
  a.cell[i] = cell;
}

// A warp a center, in the order of cells; a lane an atom of the cells around. `visit(lane of it, is it near, place, distance^2)`.
template <class F> DEVICE void for_neighbors(const FindNeighbors &a, i64 s, F visit)
{
  const int lane = threadIdx.x % WARP;
  int low[3], high[3];
  for (int k = 0; k < 3; k++) {
    const int c = cell_along(a.cells, a.x[3 * s + k], k);
    low[k] = c > 0 ? c - 1 : 0;
    high[k] = c < a.cells.count[k] - 1 ? c + 1 : c;
  }
  for (int z = low[2]; z <= high[2]; z++)
    for (int y = low[1]; y <= high[1]; y++) {
      const i64 row = ((i64) z * a.cells.count[1] + y) * a.cells.count[0], end = a.start[row + high[0] + 1];
      for (i64 from = a.start[row + low[0]]; from < end; from += WARP) {
        const i64 t = from + lane;
        double square = 0.0;
        for (int k = 0; k < 3 && t < end; k++) {
          const double d = a.x[3 * t + k] - a.x[3 * s + k];
          square += d * d;
        }
        visit(t < end && t != s && square < a.reach * a.reach, t, square);
      }
    }
}

// The center of a warp, by its place among the sorted atoms; -1: none
DEVICE i64 center_of_warp(const FindNeighbors &a)
{
  const i64 s = thread_index() / WARP;
  return s < a.nall && a.atom[s] < a.centers && a.number[a.atom[s]] >= 0 ? s : -1;
}

KERNEL(count_neighbors, FindNeighbors, FIND_THREADS)
{
  const i64 s = center_of_warp(a);
  if (s < 0) return;
  int all = 0, within = 0;
  for_neighbors(a, s, [&](bool near, i64, double square) {
    all += __popc(__ballot_sync(~0u, near));
    within += __popc(__ballot_sync(~0u, near && square < a.cutoff * a.cutoff));
  });
  if (threadIdx.x % WARP > 0) return;
  a.count[a.number[a.atom[s]] + 1] = all;
  atomicMax((unsigned long long *) a.most, (unsigned long long) within);
}

KERNEL(list_neighbors, FindNeighbors, FIND_THREADS)
{
  const i64 s = center_of_warp(a);
  if (s < 0) return;
  i64 place = a.first[a.number[a.atom[s]]];
  for_neighbors(a, s, [&](bool near, i64 t, double) {
    const unsigned votes = __ballot_sync(~0u, near);
    if (near) {
      const i64 at = place + __popc(votes & ((1u << threadIdx.x % WARP) - 1u));
      a.listed[at] = (int) a.atom[t];
      a.listed_number[at] = a.number[a.atom[t]];
    }
    place += __popc(votes);
  });
}

#else
}    // namespace les::gpu
#endif

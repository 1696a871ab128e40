// Edges of the step, from a list that holds the skin too, in rows of one length.
#include "common.h"

#ifndef LES_KERNELS
namespace les::gpu {
#endif

struct SelectEdges {    // E = n width places
  const double *x;      // [nall, 3] A
  const int *own;       // [n] index into x of the centers
  const i64 *first;     // [n + 1] of each center in the list
  const int *atom;      // [listed] index into x of the neighbor
  const int *number;    // [listed] what the graph calls it
  double *vectors;      // [E, 3]; (2 cutoff, 0, 0) in empty places
  i64 *index;           // [2, E] center, neighbor; the center itself in empty places
  i64 *most;            // [] largest number of neighbors, 0 before: more than the width, and edges are missing
  double cutoff;
  int n, width;
};
constexpr int SELECT_THREADS = 256;

#ifdef LES_KERNELS

// A warp a center, a lane an edge of the list; those that are near keep their order.
KERNEL(select_edges, SelectEdges, SELECT_THREADS)
{
  const int lane = threadIdx.x % WARP;
  const i64 i = thread_index() / WARP, places = (i64) a.n * a.width, row = i * a.width;
  if (i >= a.n) return;
  const double *here = a.x + 3 * (i64) a.own[i];
  const i64 end = a.first[i + 1];
  int found = 0;
  for (i64 from = a.first[i]; from < end; from += WARP) {
    const i64 e = from + lane;
    double d[3] = {};
    bool near = false;
    if (e < end) {
      const double *there = a.x + 3 * (i64) a.atom[e];
      for (int k = 0; k < 3; k++) d[k] = there[k] - here[k];
      near = d[0] * d[0] + d[1] * d[1] + d[2] * d[2] < a.cutoff * a.cutoff;
    }
    const unsigned votes = __ballot_sync(~0u, near);
    const int place = found + __popc(votes & ((1u << lane) - 1u));
    if (near && place < a.width) {
      for (int k = 0; k < 3; k++) a.vectors[3 * (row + place) + k] = d[k];
      a.index[row + place] = i;
      a.index[places + row + place] = a.number[e];
    }
    found += __popc(votes);
  }
  for (int place = found + lane; place < a.width; place += WARP) {
    a.vectors[3 * (row + place)] = 2.0 * a.cutoff;
    a.vectors[3 * (row + place) + 1] = a.vectors[3 * (row + place) + 2] = 0.0;
    a.index[row + place] = a.index[places + row + place] = i;
  }
  if (lane == 0) atomicMax((unsigned long long *) a.most, (unsigned long long) found);
}

#else
}    // namespace les::gpu
#endif

// The neighbor list on the GPU. Kernels: kernels/neighbors.h
#pragma once

#include "edges.h"

namespace les::gpu {

struct NeighborList {
  ListedEdges edges;
  int64_t most;    // neighbors of a center within the cutoff
};

// All pairs shorter than `reach` of centers and atoms, ghosts explicit, in a fixed order; the host waits once.
//   x [nall, 3] f64 A on the host: places that are not finite have no neighbors
//   number [nall] i32 on the host, of the graph: -1 for atoms that are not to be seen; of the first `centers` atoms those that are seen are
//   centers, 0, 1, ... in this order
NeighborList find_neighbors(const torch::Tensor &x, const torch::Tensor &number, int64_t centers, double cutoff,
                            double reach, torch::Device device);

}    // namespace les::gpu

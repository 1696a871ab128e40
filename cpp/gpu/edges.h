// Edges of a step, chosen on the GPU from a list that holds the skin too, in rows of one length. Kernels: kernels/edges.h
#pragma once

#include <torch/types.h>

namespace les::gpu {

// Edges of n centers, sorted by center, among the atoms of an array of positions.
struct ListedEdges {
  torch::Tensor own;       // [n] i32 rows of the positions
  torch::Tensor first;     // [n + 1] i64, where the edges of a center begin
  torch::Tensor atom;      // [listed] i32 rows of the positions of neighbors
  torch::Tensor number;    // [listed] i32 numbers of the same in the graph
};

struct SelectedEdges {      // E = n width
  torch::Tensor vectors;    // [E, 3] f64 A; (2 cutoff, 0, 0) in empty places
  torch::Tensor index;      // [2, E] i64 center and neighbor in the graph; the center itself in empty places
  torch::Tensor most;       // [] i64, largest number of neighbors of a center: more than `width`, and edges are missing
};

// Those shorter than the cutoff, in the order of the list. x [nall, 3] f64 A
SelectedEdges select_edges(const ListedEdges &list, const torch::Tensor &x, double cutoff, int64_t width);

}    // namespace les::gpu

// The atoms and edges that one rank holds, as tensors on the device of the network.
#pragma once

#include "exchange.h"

#include <array>
#include <vector>

namespace les {

// Atoms: first the owned ones, then ghosts. Edges run from a center to a neighbor and are sorted by center.
struct Graph {
  int64_t n_owned = 0;
  torch::Tensor positions;       // [n_all, 3] f64, A; ghosts where the edges end, not wrapped
  torch::Tensor species;         // [n_all] i64
  torch::Tensor edge_vectors;    // [E, 3] f64, r_cj = x_j - x_c, A
  torch::Tensor edge_index;      // [2, E] i64: center, neighbor

  // Places of the edges: those of center c begin at first[c], or all centers have `row_length` edges, of which some are longer than
  // the cutoff and of no influence.
  std::vector<int64_t> first;    // [centers + 1]
  int64_t row_length = 0;
  torch::Tensor
      most_neighbors;    // [] i64 on the device: more than `row_length`, and edges are missing; undefined without rows

  // How many atoms at most r edges reach from the owned ones, for r = 0, 1, ...: those have their edges here. One entry, n_owned, where
  // ghosts come by way of the exchange, or are not needed.
  std::vector<int64_t> rings;
  // Brings what ghosts have from their owners; null where there is nothing to bring: one layer, or edges of all rings.
  const Exchange *exchange = nullptr;

  torch::Tensor cell;                // [3, 3] f64 on the host, rows in A
  std::array<bool, 3> periodic{};    // along the lattice vectors

  int64_t n_all() const { return species.size(0); }
  int64_t n_edges() const { return edge_index.size(1); }
  int64_t first_edge(int64_t center) const { return row_length > 0 ? center * row_length : first[center]; }
};

// From the gradient of something by the edge vectors, [E, 3] of any float type, that by the atoms, [n_all, 3] f64: + on the neighbor, - on the
// center. `strain`, if it is not null, gets that by a strain of space, sum_e r_e (x) g_e, [3, 3] f64.
torch::Tensor on_atoms(const Graph &graph, const torch::Tensor &edge_gradient, torch::Tensor *strain = nullptr);
// out[index[e]] += scale * rows[e]; out [n, ...] and rows [E, ...] of one type.
void add_rows(torch::Tensor &out, const torch::Tensor &index, const torch::Tensor &rows, double scale);
// out[index[e]] += scale * a[e] (x) b[e]; out [n, k, 3] and a [E, k] f64, b [E, 3] of any float type.
void add_products(torch::Tensor &out, const torch::Tensor &index, const torch::Tensor &a, const torch::Tensor &b,
                  double scale);

}    // namespace les

// A network evaluated piece by piece and differentiated back, for the atoms of one rank.
//
// A piece works on owned atoms in chunks of centers; between two pieces an exchange brings what ghosts send from their owners. Backwards,
// what a piece takes from ghosts is summed, goes to the owners, and is their weight in the piece below. Without an exchange the graph
// holds edges of ghosts too, and lower pieces are evaluated for all that upper ones reach: more work, the same results.
//
// Born effective charges and heat flux ask how far the atom that responds is from the one that moves. A charge Q_c weighs by the
// displacement r_c - r_i, which adds up along the edges that lead from c to i. So where a weight passes from one piece to the next, along the
// edge (c, j), the moment gets -r_cj times the weight, and goes on together with it. No position and no image of an atom enters.
#pragma once

#include "graph.h"
#include "latents.h"
#include "network.h"

#include <vector>

namespace les {

// A sum over outputs of the owned atoms that is to be differentiated, Q = sum_c [e E_c + sum_m w_cm O_cm], O the latents.
struct Quantity {
  bool energy = false;    // e = 1, else 0. Quantities with energy come first
  Latents latents;        // w; undefined for zero
  // [k, 3] D, on the host: moments along these directions are asked for; undefined for none
  torch::Tensor directions;
  torch::Tensor
      beside;    // [k, n_owned, C] u of the charges, beside the displacement in the moments; undefined for none
};

// Response to each edge vector r_e, from its center to its neighbor.
struct EdgeResponse {
  torch::Tensor total;    // [E, 3] dQ/dr_e: f64, or on a CPU of the type of a network of one layer
  // [E, k, 3] f64: sum_c [D_k.(r_c - r_center) dQ_c/dr_e + sum_m u_kcm dO_cm/dr_e]; undefined where it is zero: without `beside`, in a
  // network of one layer
  torch::Tensor moment;
};

// What forward() stores: nothing, what gradients need, or what moments need, which are weighed edge by edge.
enum class Keep { Nothing, Gradients, Moments };

class Chain {
 public:
  // What is stored for backward() takes `store_bytes`, or at most a chunk more before its size is known; the rest is evaluated again there.
  Chain(const Network &network, double store_bytes) : network_(network), store_bytes_(store_bytes) {}

  struct Outputs {
    torch::Tensor energies;    // [n_owned] eV
    Latents latents;           // of those that the network gives, and charges [n_owned, 0] where it gives none
  };
  // Collective where the graph has an exchange. Without a graph of torch's. `graph` must stay until the last backward().
  Outputs forward(const Graph &graph, Keep keep);

  // Collective likewise. `last`: what is stored is dropped.
  std::vector<EdgeResponse> backward(const std::vector<Quantity> &quantities, bool last);

 private:
  struct Chunk {
    int64_t begin, n;    // centers
    std::unique_ptr<Stored> stored;
    bool by_edges;    // a row of `sent` for each edge, so that gradients by them can be weighed one by one
  };
  struct Level {                 // one piece
    int64_t n = 0;               // centers
    torch::Tensor kept, sent;    // input: [>= n, K], rows [., S] of all atoms that its edges lead to
    std::vector<Chunk> chunks;
  };

  const Network &network_;
  double store_bytes_, stored_bytes_ = 0.0;
  std::vector<double> bytes_per_center_;    // of what a piece stores, the most so far
  const Graph *graph_ = nullptr;
  std::vector<Level> levels_;

  std::vector<LatentKind> given() const;    // latents of the network, in their order
  bool by_number(const LatentKind &kind) const;
  bool cut() const { return network_.metadata().network.cut(); }
  PieceInput input(int piece, const Chunk &chunk) const;
  std::vector<torch::Tensor> evaluate(int piece, Chunk &chunk, Keep keep);
  int64_t edges_of(int piece, const Chunk &chunk, int64_t *begin) const;
};

}    // namespace les

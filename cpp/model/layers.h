// How the outputs of a network of several layers respond to its edges.
//
// It takes one pull-back through the last layer, and 1 + k through every layer below, for k directions. A charge Q_c weighs in the
// Born effective charge of atom i by the displacement r_c - r_i, and its energy likewise in the heat flux. Along the edges that lead
// from c to i the displacement adds up, so it need not be known where a pull-back starts: where it passes from one layer to the next,
// along the edge (c, j), what comes for Q_c is weighed by r_c - r_j = -r_cj, and goes on together with what comes unweighed. No image
// of an atom has to be told from another one for that.
//
// What the layers take from the edges is mostly the same functions of them. The gradients by these are gathered over the layers, and
// pulled back to the edges at the end, once for each of the 1 + k.
#pragma once

#include <torch/types.h>

#include <vector>

namespace les {

// What passes from one layer to the next; "Method for several layers" in export/FORMAT.md.
struct Cut {
  torch::Tensor made, own, sent, row, vector;
};

// Outputs with their graph, the layers of which can be differentiated one by one.
struct LayeredOutputs {
  torch::Tensor outputs;                            // [n, m]
  std::vector<Cut> cuts;                            // between the layers
  std::vector<std::vector<torch::Tensor>> taken;    // through these each layer, and no other one, depends on the edges
  torch::Tensor edge_vectors;                       // [E, 3], on which they depend
};

// The quantity Q_c of each atom whose response is asked for: a sum over its outputs O_cm.
struct Weights {
  torch::Tensor plain;    // [n, m] w: dQ_c = sum_m w_cm dO_cm
  // k times [n, m], or none: u, which stands beside the displacement along each direction and has no part in `total`
  std::vector<torch::Tensor> beside;
};

// Response of all Q to each edge vector r_e, which runs from its center to its neighbor.
struct EdgeResponse {
  torch::Tensor total;    // [E, 3] f64: sum_c dQ_c/dr_e
  // [E, k, 3] f64: sum_c [D_k.(r_c - r_center) dQ_c/dr_e + sum_m u_kcm dO_cm/dr_e]; without u the last layer alone has none
  torch::Tensor moment;
};

// directions [k, 3]: D, k >= 1. The graph is used up unless `keep_graph`.
EdgeResponse edge_response(const LayeredOutputs &layered, const Weights &weights, const torch::Tensor &directions,
                           bool keep_graph);

}    // namespace les

// Born effective charges Z_iab = dP_a/dr_ib from the response of charges; formulas in export/FORMAT.md.
//
// With Q_i the charge of an atom in e and w the weight of the form,
//
//   Z_iab = q~_i delta_ab + sum_j w_a(r_j - r_i) dQ_j/dr_ib  [phase form:  - (sum_j w_a(r_j - r_i)) (dQ_tot/dr_ib) / N ]
//
// and what is wanted of it: sum_a D_ka Z_iab for a few directions D_k. The whole tensor has the three axes, the force in a uniform
// field the field; epsilon_inf^(1/2) turns either before.
//
// Networks of one layer: every edge (c, j) belongs to the charge of c alone, so the gradient of sum Q gives the whole tensor.
// More layers, local form: the moments of chain.h. In the phase form of periodic systems w is separated into functions of r_j and of r_i,
// with one gradient for each function: two for each lattice axis that a direction has a part along, and one more.
#pragma once

#include "chain.h"
#include "communicator.h"

namespace les {

struct BornSettings {
  BornForm form = BornForm::Local;
  int layers = 1;
  bool remove_mean = true;
  torch::Tensor directions;    // [k, 3] f64 on the host, D
};

// What has to be differentiated; weights [C] turn latent charges into e.
std::vector<Quantity> born_quantities(const BornSettings &settings, const Graph &graph, const torch::Tensor &weights);

// Whether the quantities ask for moments.
bool needs_moments(const BornSettings &settings, const Graph &graph);

// Collective. Returns [n_all, k, 3] f64 in e times the unit of D, indices [atom, direction, r]: rows of ghosts are to be added to
// their owners.
//   charges [n_owned] f64: Q_i
//   responses: of born_quantities, in their order
torch::Tensor born_effective_charges(const BornSettings &settings, const Graph &graph, const torch::Tensor &charges,
                                     const std::vector<EdgeResponse> &responses, const Communicator &comm);

// out_ikb += sum_c D_k.(r_c - r_i) dQ_c/dr_ib, and what stands beside it in `response`; out [n_all, k, 3], D_k.r_e [E, k]
void add_edge_response(torch::Tensor &out, const Graph &graph, const torch::Tensor &along_edges,
                       const EdgeResponse &response);

}    // namespace les

// Born effective charges Z_iab = dP_a/dr_ib from the response of charges; formulas in export/FORMAT.md.
//
// With Q_i the charge of an atom in e and w the weight of the form,
//
//   Z_iab = q~_i delta_ab + sum_j w_a(r_j - r_i) dQ_j/dr_ib  [phase form:  - (sum_j w_a(r_j - r_i)) (dQ_tot/dr_ib) / N ]
//
// and what is wanted of it: sum_a D_ka Z_iab for a few directions D_k. The whole tensor has the three axes, the force in a uniform
// field the field; the root of the dielectric constant turns either before. Dipoles add sum_c D_k.U_c, differentiated: adjoint.h.
//
// Networks of one layer: every edge (c, j) belongs to the charge of c alone, so the gradient of sum Q gives the whole tensor.
// More layers, local form: the moments of chain.h. In the phase form of periodic systems w is separated into functions of r_j and of r_i,
// with one gradient for each function: two for each lattice axis that a direction has a part along, and one more. So too in networks of one
// layer where charges respond to the potential (kappa), which all atoms make.
#pragma once

#include "adjoint.h"
#include "communicator.h"

namespace les {

struct BornSettings {
  BornForm form = BornForm::Local;
  int layers = 1;
  bool remove_mean = true;      // from the charges themselves
  bool mean_responds = true;    // phase form: and from their response
  bool softened = false;        // charges respond to the potential
  torch::Tensor directions;     // [k, 3] f64 on the host, D

  // The weight is a displacement, along which moments add up, unless functions of either end separate it.
  bool separates(const Graph &graph) const;
  // Whether the quantities ask for moments.
  bool needs_moments(const Graph &graph) const;
};

// Functions of the positions of owned atoms, each to weigh the charges in a sum that is to be differentiated: [f, n_owned] f64. The
// first one is 1, and the only one if nothing separates.
torch::Tensor born_weights(const BornSettings &settings, const Graph &graph);

// Collective. Returns [n_all, k, 3] f64 in e times the unit of D, indices [atom, direction, r]: rows of ghosts are to be added to
// their owners.
//   charges [n_owned] f64: Q_i
//   sum: response of the sum of charges, with moments where they are needed
//   gradients: [n_all, 3] of the sums by born_weights, in their order
torch::Tensor born_effective_charges(const BornSettings &settings, const Graph &graph, const torch::Tensor &charges,
                                     const EdgeResponse &sum, const std::vector<torch::Tensor> &gradients,
                                     const Communicator &comm);

// out_ikb += sum_c D_k.(r_c - r_i) dQ_c/dr_ib, and what stands beside it in `response`; out [n_all, k, 3], D_k.r_e [E, k]
void add_edge_response(torch::Tensor &out, const Graph &graph, const torch::Tensor &along_edges,
                       const EdgeResponse &response);

}    // namespace les

// Born effective charges Z_iab = dP_a/dr_ib from pulled-back charges; formulas in export/FORMAT.md.
//
// With Q_i the coupling charges (file charges times charge_unit sign sqrt(epsilon_inf)) and w the weight of the form,
//
//   Z_iab = q~_i delta_ab + sum_j w_a(r_j - r_i) dQ_j/dr_ib  [phase form:  - (sum_j w_a(r_j - r_i)) (dQ_tot/dr_ib) / N ]
//
// and what is wanted of it: sum_a D_ka Z_iab for a few directions D_k, the three axes for the whole tensor, the field for the force
// in a uniform field.
//
// Networks of one layer: every edge (c, j) belongs to the charge of c alone, so one pull-back of sum Q gives the whole tensor.
// More layers, local form: see layers.h. In the phase form of periodic systems w is separated into functions of r_j and of r_i, with
// one pull-back for each function: two for each lattice axis that a direction has a part along, and one more.
#pragma once

#include "communicator.h"
#include "layers.h"

#include <functional>

namespace les {

enum class BornForm { Local, Phase };

// The atoms that this rank holds: owned ones first, then the ghosts that its edges reach. Only the phase form asks for positions.
struct AtomsAndEdges {
  torch::Tensor positions;    // [n_all, 3] f64, A
  int64_t n_owned = 0;
  torch::Tensor edge_vectors;    // [E, 3] f64, r_cj = r_j - r_c, A
  torch::Tensor edge_index;      // [2, E] center, neighbor
};

struct BornSettings {
  BornForm form = BornForm::Local;
  int layers = 1;
  bool remove_mean = true;
  bool periodic = true;
  torch::Tensor cell;          // [3, 3] f64 host, rows in A
  torch::Tensor directions;    // [k, 3] f64 host, D
};

// The response of the charges of this rank, asked for in one of two ways.
struct ChargeResponse {
  // weights [n_owned] -> d(sum_i weights_i Q_i)/d(edge_vectors) [E, 3] f64
  std::function<torch::Tensor(const torch::Tensor &weights)> pull_back;
  // several layers, wherever w is the displacement (`needs_layers`): along the directions of the settings, once
  std::function<EdgeResponse()> by_layer;
};

// Whether `by_layer` is asked for.
inline bool needs_layers(BornForm form, int layers, bool periodic)
{
  return layers > 1 && !(form == BornForm::Phase && periodic);
}

// Collective. Returns [n_all, k, 3] f64 in e times the unit of D, indices [atom, direction, r]: rows of images are to be added to
// their owners.
//   coupling_charges [n_owned] f64: Q_i
torch::Tensor born_effective_charges(const BornSettings &settings, const AtomsAndEdges &atoms,
                                     const torch::Tensor &coupling_charges, const ChargeResponse &response,
                                     const Communicator &comm);

// out_ikb += sum_c D_k.(r_c - r_i) dQ_c/dr_ib, and what stands beside it in `response`; out [n_all, k, 3], D_k.r_e [E, k]
void add_edge_response(torch::Tensor &out, const AtomsAndEdges &atoms, const torch::Tensor &along_edges,
                       const EdgeResponse &response);

// out[index[e]] += scale * rows[e]; out [n, ...] and rows [E, ...] f64.
void add_rows(torch::Tensor &out, const torch::Tensor &index, const torch::Tensor &rows, double scale);
// out[index[e]] += scale * a[e] (x) b[e]; out [n, k, 3], a [E, k], b [E, 3], f64.
void add_products(torch::Tensor &out, const torch::Tensor &index, const torch::Tensor &a, const torch::Tensor &b,
                  double scale);

}    // namespace les

// What the flux of heat needs of the forces: how the energy of each atom responds to the motion of each other one.
//
// With e_i the energy of atom i, kinetic energy included, and no forces but those of the model, the flux is
//
//   J = d/dt sum_i r_i e_i = sum_i e_i v_i + sum_i C_i v_i,    C_iab = sum_k (r_k - r_i)_a de_k/dr_ib
//
// The tensor C_i, "centroid virial", sums to the virial, but is not symmetric, and belongs to the atom that moves, i. Halving an edge's
// -r (x) dE/dr between its atoms is right for pair potentials alone (Fan et al., Phys. Rev. B 92, 094301 (2015); Surblys et al.,
// Phys. Rev. E 99, 051301 (2019); Boone, Babaei and Wilmer, J. Chem. Theory Comput. 15, 5579 (2019)).
//
// Of an energy e_k + 1/2 sum_c q_kc phi_kc, phi_k = sum_j K_kj q_j, that is
//
//   C_iab = sum_k (r_k - r_i)_a [de_k/dr_ib + phi_k dq_k/dr_ib] + 1/2 sum_k psi_ka dq_k/dr_ib + 1/2 sum_k (r_k - r_i)_a q_k q_i dK_ki/dr_ib
//
// psi_ka = sum_j K_kj q_j (r_j - r_k)_a: since phi_k responds to all charges, each charge matters to the energies of all others. The first
// two sums are the moments of an EdgeResponse with weights phi and psi/2; the last one is the long-range sum's own share.
#pragma once

#include "born.h"

namespace les {

// C [n_all, 3, 3] f64: rows of ghosts are to be added to their owners.
//   response: along the three axes, of energies with weight 1 and charges with weight phi, psi/2 beside them
//   long_range_virial [n_owned, 3, 3] f64
torch::Tensor centroid_virial(const Graph &graph, const EdgeResponse &response, const torch::Tensor &long_range_virial);

}    // namespace les

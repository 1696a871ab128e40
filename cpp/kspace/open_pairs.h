// Gradients of the pair potential v(x) = (N/2pi) erf(a r)/r, a = 1/(sqrt2 sigma), for multipoles in open boundaries.
//
// With B_0 = v and B_n = -(1/r) dB_(n-1)/dr,
//
//   B_n = (N/2pi) (2a/sqrt pi) (2a^2)^n F_n(a^2 r^2),   F_n(t) = integral over 0 < u < 1 of u^(2n) exp(-t u^2), the Boys function
//
// and d^e v of the exponents e follows by the recursion of McMurchie and Davidson, J. Comput. Phys. 26, 218 (1978), eq. 4.6:
// with V^n_0 = (-1)^n B_n,   V^n_(e + 1_m) = x_m V^(n+1)_e + e_m V^(n+1)_(e - 1_m),   d^e v = V^0_e.
#pragma once

#include <torch/types.h>

#include <vector>

namespace les {

// F_0 ... F_(count-1) of t [...] f64, not negative; relative error some 1e-15.
std::vector<torch::Tensor> boys_functions(const torch::Tensor &t, int count);

// d^e v of the exponents of powers.h up to `degree`, [count, ...] f64 in eV per file unit squared and A^degree.
//   x [..., 3] f64 (A), weight [...] N/2pi, or 0 where there is no pair; any x will do there
torch::Tensor potential_gradients(const torch::Tensor &x, const torch::Tensor &weight, double a, int degree);

// Sources [n, C, M] f64 as what multiplies gradients of v, by exponents: q, -u, and of 1/2 Q what x^a y^b z^c has: [n, C, 1, 4 or 10]
torch::Tensor by_exponents(const torch::Tensor &sources);

// The potential of sources that were summed over, and its gradients: sum_e' d^(e + e') v s_e'.
//   sums [t, C, components, count]: sum over atoms of by_exponents times d^e v
// Returns components by exponents up to `order`, [t, C, count_of_powers(order)].
torch::Tensor gradients_of_sums(const torch::Tensor &sums, int order);

}    // namespace les

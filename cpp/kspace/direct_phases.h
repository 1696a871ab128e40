// The two matrix products of the direct sum: from sources at the atoms to a box of wave vectors, and from there back to the atoms.
//
// With fractional coordinates s and integer triples n, exp(i k.r) = E1(n1) E2(n2) E3(n3), E_m(n) = exp(2 pi i n s_m). Structure factors
// are a matrix product of the tables E1 E2 [atoms, n1 n2] and E3 [atoms, n3]; the way back undoes it axis by axis: a matrix product
// over n3, a batched one over n2, a short sum over n1. So nearly all work is done by BLAS, in real numbers (real and imaginary parts
// side by side). Dipoles and quadrupoles, and gradients on the way back, are powers of n beside the phases. Atoms are taken in tiles,
// so memory does not grow with their number times the number of wave vectors.
#pragma once

#include <torch/types.h>

#include <array>
#include <memory>
#include <vector>

namespace les {

// The triples 0 <= n1 <= nmax_1, |n2| <= nmax_2, |n3| <= nmax_3, n3 fastest.
class PhaseBox {
 public:
  PhaseBox() = default;
  explicit PhaseBox(const std::array<int64_t, 3> &nmax);

  torch::Tensor triples() const;    // [n1 n2 n3, 3] f64
  int64_t rows() const { return n1_ * n2_; }
  int64_t columns() const { return n3_; }

  // sum_i (q_i + 2 pi i n.u_i - 2 pi^2 n.Q_i.n) exp(2 pi i n.s_i), re and im [C, 2, n1 n2, n3].
  //   fractional [n, 3] f64: s;  sources [n, C, 1, 4 or 13]: q, u and Q in fractional components, whose type is that of the sum
  torch::Tensor structure_factors(const torch::Tensor &fractional, const torch::Tensor &sources) const;

  // Re sum_n G exp(2 pi i n.s) of G [C, 2, n1 n2, n3] and its gradients by s up to `order`, in the type of G:
  // [n, C], [n, C, 3], ...
  std::vector<torch::Tensor> fields(const torch::Tensor &fractional, const torch::Tensor &g, int order) const;

 private:
  std::array<int64_t, 3> nmax_{};
  int64_t n1_ = 0, n2_ = 0, n3_ = 0;

  // What depends on the box alone, for the type and device of a sum: made anew when these change.
  struct Tables {
    std::array<torch::Tensor, 3> axes{};      // [n] f64
    std::array<torch::Tensor, 3> powers{};    // [4, n] 1, n, n^2, n^3
    // of gradients up to an order, by exponents: where their sums stand in `fields`, and the factors of these
    std::array<torch::Tensor, 4> places{}, factors{};
  };
  mutable Tables tables_{};

  // exp(2 pi i n s) of one tile of atoms on the three axes.
  struct Phases;
  struct Multipoles;
  // of the atoms at hand, as far as they are not too many to keep: the way back takes them again
  mutable torch::Tensor kept_of_{};
  mutable std::vector<std::shared_ptr<const Phases>> kept_{};
  const Tables &tables(const torch::TensorOptions &type) const;
  int64_t tile() const;    // how many atoms
  std::shared_ptr<const Phases> phases(const torch::Tensor &fractional, int64_t first, int64_t size,
                                       const torch::TensorOptions &type) const;
  torch::Tensor with_axis3(const torch::Tensor &g, int order) const;
};

}    // namespace les

// Reciprocal sum in matrix-product form.
//
// With fractional coordinates s and integer triples n, exp(i k.r) = E1(n1) E2(n2) E3(n3), E_m(n) = exp(2 pi i n s_m). Structure factors
// are a matrix product of the tables E1 E2 [atoms, n1 n2] and E3 [atoms, n3]; potential and forces undo it axis by axis: a matrix
// product over n3, a batched one over n2, a short sum over n1. So nearly all work is done by BLAS, in real numbers (real and imaginary
// parts side by side). k and -k contribute alike: only n1 >= 0 is kept, with weight 2 for n1 > 0. Atoms are taken in tiles, so memory
// does not grow with their number times the number of wave vectors.

#include "solver.h"
#include "wave_vectors.h"

namespace les {

namespace {

using torch::Tensor;

// exp(2 pi i n s) of one tile of atoms on the three axes.
struct Phases {
  Tensor c1, s1;    // [t, n1], n >= 0
  Tensor c2, s2;    // [t, n2]
  Tensor e3;        // [t, 2 n3], cosines then sines
};

class DirectSum : public Solver {
 public:
  DirectSum(const LongRangeParameters &p, const Communicator &comm) : p_(p), comm_(comm) {}

  void setup(const Tensor &cell) override
  {
    nmax_ = largest_triple(p_, cell);
    const auto f64 = torch::dtype(torch::kFloat64);
    const auto grid = torch::meshgrid({axis(0, 0, f64), axis(1, -nmax_[1], f64), axis(2, -nmax_[2], f64)}, "ij");
    vectors_ = WaveVectors(p_, torch::stack({grid[0], grid[1], grid[2]}, -1).reshape({-1, 3}), cell);
    weight_ = 1.0 + (vectors_.triples().select(1, 0) > 0).to(torch::kFloat64);
    n_vectors_ = static_cast<int64_t>(weight_.sum().item<double>());
    influence_ = {};
    ready_ = true;
  }

  Fields apply(const Tensor &positions, const Tensor &sources, const Tensor &cell, int order, bool atom_virial,
               const Fields *earlier) const override
  {
    const Tensor q = charges_of(sources, order);
    const int64_t n = q.size(0), channels = q.size(1);
    const Influence &influence = influence_of(cell, q.options());
    const Tensor fractional = positions.matmul(influence.inverse);
    const Tensor s = structure_factors(fractional, q), other = earlier ? earlier->spectrum[0] : s;

    // ---- fields and their gradients by fractional coordinates, at fixed S
    Fields out;
    Tensor potential = torch::zeros_like(q), slopes = torch::zeros({n, channels, 3}, positions.options());
    std::vector<Tensor> back;    // [2 n3, 4 n12] a channel
    for (int64_t c = 0; c < channels; c++)
      back.push_back(with_axis3(2.0 * influence.f * s[c][0], -2.0 * influence.f * s[c][1]));
    for_tiles(n, [&](int64_t first, int64_t size) {
      const Phases e = phases(fractional.narrow(0, first, size), q.options());
      for (int64_t c = 0; c < channels; c++) {
        const auto [phi, slope] = potential_and_slope(e, back[c]);
        potential.narrow(0, first, size).select(1, c).copy_(phi);
        slopes.narrow(0, first, size).select(1, c).copy_(slope);
      }
    });
    // s = r inverse, so d/dr_b = sum_m inverse[b, m] d/ds_m
    out.derivatives = {potential, slopes.matmul(influence.inverse.t())};

    // ---- virial: sum_k f Re[S S'*] T_ab(k)
    out.virial = torch::zeros({3, 3}, positions.options());
    if (comm_.rank() == 0) {
      const Tensor product = earlier ? s.to(torch::kFloat64) * other : s.to(torch::kFloat64).square();
      const Tensor power = product.sum(torch::IntArrayRef({0, 1})).view({-1});
      out.virial = power.index_select(0, influence.inside).matmul(influence.f_strain).view({3, 3});
    }
    if (atom_virial) out.atom_virial = share_virial(fractional, q, other, influence, positions.options());
    out.sources = sources;
    out.spectrum = {s};
    return out;
  }

  Tensor moments(const Tensor &positions, const Tensor &sources, const Tensor &cell) const override
  {
    const Tensor q = charges_of(sources);
    const Influence &influence = influence_of(cell, q.options());
    const Tensor fractional = positions.matmul(influence.inverse);
    const Tensor s = structure_factors(fractional, q);
    const auto weights = vectors_.weights(cell);
    const Tensor slope =
        ((weight_ * weights.f).unsqueeze(1) * weights.slope).to(positions.options());    // [k', 3] -df/dk
    Tensor out = torch::zeros({q.size(0), q.size(1), 3}, positions.options());
    for (int a = 0; a < 3; a++) {
      const Tensor fa = 2.0 * in_box(slope.select(1, a), influence.inside).to(q.options());
      for (int64_t c = 0; c < q.size(1); c++) {
        const Tensor back = with_axis3(fa * s[c][1], fa * s[c][0]);    // i S*
        for_tiles(q.size(0), [&](int64_t first, int64_t size) {
          const Phases e = phases(fractional.narrow(0, first, size), q.options());
          out.narrow(0, first, size).select(1, c).select(1, a).copy_(potential_and_slope(e, back).first);
        });
      }
    }
    return out;
  }

  std::string description() const override
  {
    return "direct sum over " + std::to_string(n_vectors_) + " wave vectors, |n| <= " + std::to_string(nmax_[0]) + " " +
           std::to_string(nmax_[1]) + " " + std::to_string(nmax_[2]);
  }

 private:
  LongRangeParameters p_;
  const Communicator &comm_;
  std::array<int64_t, 3> nmax_{};
  int64_t n_vectors_ = 0;
  bool ready_ = false;
  WaveVectors vectors_;    // of the box of triples |n_m| <= nmax_m with n1 >= 0, n3 fastest
  Tensor weight_;          // [k'] f64: 2 where -k is left out, else 1

  // What depends on the cell alone, on the device of the sources: made anew when the cell changes.
  struct Influence {
    Tensor cell;
    Tensor inverse;     // [3, 3] f64: fractional coordinates are r inverse
    Tensor f;           // [n1 n2, n3] weight (N/V) f(k), zero outside the cutoff; type of the charges
    Tensor inside;      // [k'] i64, which are inside; and of these
    Tensor f_strain;    // [k', 9] f64, f times T_ab of WaveVectors
  };
  mutable Influence influence_;

  const Influence &influence_of(const Tensor &cell, const torch::TensorOptions &type) const
  {
    TORCH_CHECK(ready_, "direct sum: setup() was not called");
    if (influence_.cell.defined() && torch::equal(influence_.cell, cell)) return influence_;
    const auto weights = vectors_.weights(cell);
    const Tensor f = weight_ * weights.f;
    const auto f64 = type.dtype(torch::kFloat64);
    const Tensor inside = vectors_.inside().to(type.device());
    influence_ = {cell.clone(), torch::inverse(cell).to(f64), in_box(f.to(f64), inside).to(type), inside,
                  (f.unsqueeze(1) * weights.strain).to(f64)};
    return influence_;
  }

  // Of the atoms of all ranks, re and im: [channels, 2, n1 n2, n3].
  Tensor structure_factors(const Tensor &fractional, const Tensor &q) const
  {
    const int64_t channels = q.size(1);
    const int64_t n1 = nmax_[0] + 1, n2 = 2 * nmax_[1] + 1, n3 = 2 * nmax_[2] + 1, n12 = n1 * n2;
    Tensor s = torch::zeros({channels, 2, n12, n3}, q.options());
    for_tiles(q.size(0), [&](int64_t first, int64_t size) {
      const Phases e = phases(fractional.narrow(0, first, size), q.options());
      const Tensor c1 = e.c1.unsqueeze(2), s1 = e.s1.unsqueeze(2), c2 = e.c2.unsqueeze(1), s2 = e.s2.unsqueeze(1);
      const Tensor e12 = torch::stack({c1 * c2 - s1 * s2, s1 * c2 + c1 * s2}, 1).view({size, 2 * n12});
      for (int64_t c = 0; c < channels; c++) {
        const Tensor qc = q.narrow(0, first, size).select(1, c).unsqueeze(1);
        const Tensor p = e12.t().matmul(e.e3 * qc).view({2, n12, 2, n3});    // (re|im of E1 E2) x (re|im of E3)
        s[c][0] += p[0].select(1, 0) - p[1].select(1, 1);
        s[c][1] += p[1].select(1, 0) + p[0].select(1, 1);
      }
    });
    return comm_.sum(s);
  }

  // Values of the wave vectors inside [k'] in their places of the box, [n1 n2, n3].
  Tensor in_box(const Tensor &values, const Tensor &inside) const
  {
    const int64_t n12 = (nmax_[0] + 1) * (2 * nmax_[1] + 1), n3 = 2 * nmax_[2] + 1;
    return torch::zeros({n12 * n3}, values.options()).index_copy_(0, inside, values).view({n12, n3});
  }

  template <class F> void for_tiles(int64_t n, F &&work) const
  {
    const int64_t columns = 4 * (nmax_[0] + 1) * (2 * nmax_[1] + 1);    // of the widest table
    const int64_t tile = std::max<int64_t>(64, (1 << 20) / columns);
    for (int64_t first = 0; first < n; first += tile) work(first, std::min(tile, n - first));
  }

  Tensor axis(int m, int64_t first, const torch::TensorOptions &options) const
  {
    return torch::arange(first, nmax_[m] + 1, options);
  }

  // Phases are formed in double from wrapped coordinates, whatever the type of the tables.
  Phases phases(const Tensor &fractional, const torch::TensorOptions &type) const
  {
    const Tensor wrapped = TWO_PI * (fractional - fractional.round());    // [t, 3]
    const auto angle = [&](int m, int64_t first) {
      return wrapped.select(1, m).unsqueeze(1) * axis(m, first, wrapped.options());
    };
    const Tensor a1 = angle(0, 0), a2 = angle(1, -nmax_[1]), a3 = angle(2, -nmax_[2]);
    return {a1.cos().to(type), a1.sin().to(type), a2.cos().to(type), a2.sin().to(type),
            torch::cat({a3.cos(), a3.sin()}, 1).to(type)};
  }

  // Matrix by which e3 gives M(n1, n2) = sum_n3 G E3 and M3 = sum_n3 n3 G E3 (re and im of either), for gr, gi [n12, n3].
  // [2 n3, n2 * 4 * n1]: the order that the batched product over n2 likes best
  Tensor with_axis3(const Tensor &gr, const Tensor &gi) const
  {
    const Tensor n3 = axis(2, -nmax_[2], gr.options());
    const int64_t n1 = nmax_[0] + 1, n2 = 2 * nmax_[1] + 1, rows = gr.size(1);
    const auto rearranged = [&](torch::TensorList parts) {
      return torch::stack(parts).view({4, n1, n2, rows}).permute({3, 2, 0, 1}).reshape({rows, n2 * 4 * n1});
    };
    return torch::cat({rearranged({gr, gi, n3 * gr, n3 * gi}), rearranged({-gi, gr, -n3 * gi, n3 * gr})}, 0);
  }

  // phi = Re sum_n G exp(2 pi i n.s) [t], and d phi/ds [t, 3] = -2 pi Im sum_n n G exp(2 pi i n.s)
  std::pair<Tensor, Tensor> potential_and_slope(const Phases &e, const Tensor &back) const
  {
    const int64_t t = e.c1.size(0), n1 = e.c1.size(1), n2 = e.c2.size(1);
    const Tensor index1 = axis(0, 0, e.c1.options()), index2 = axis(1, -nmax_[1], e.c2.options());
    const Tensor m = e.e3.matmul(back).view({t, n2, 4 * n1});                         // re, im of M, then of M3
    const Tensor e2 = torch::stack({e.c2, e.s2, index2 * e.c2, index2 * e.s2}, 1);    // [t, 4, n2]
    const Tensor r = e2.bmm(m).view({t, 4, 4, n1});
    // complex sums over n2, re and im [t, n1]: A of E2 M, B of n2 E2 M, D of E2 M3
    const auto sums = [&](int of_e2, int of_m) {
      const auto part = [&](int a, int b) { return r.select(1, of_e2 + a).select(1, of_m + b); };
      return std::make_pair(part(0, 0) - part(1, 1), part(0, 1) + part(1, 0));
    };
    const auto [ar, ai] = sums(0, 0);
    const auto [br, bi] = sums(2, 0);
    const auto [dr, di] = sums(0, 2);
    const Tensor ai1 = e.c1 * ai + e.s1 * ar;    // Im(E1 A) [t, n1]
    const Tensor slope =
        torch::stack({ai1.matmul(index1), (e.c1 * bi + e.s1 * br).sum(1), (e.c1 * di + e.s1 * dr).sum(1)}, 1);
    return {(e.c1 * ar - e.s1 * ai).sum(1), -TWO_PI * slope};
  }

  // W_i = sum_k f T Re[q_i conj(S) exp(i k.r_i)]: sums to the virial, since sum_i q_i exp(i k.r_i) = S.
  Tensor share_virial(const Tensor &fractional, const Tensor &q, const Tensor &s, const Influence &influence,
                      const torch::TensorOptions &f64) const
  {
    const int64_t n = fractional.size(0);
    Tensor w = torch::zeros({n, 3, 3}, f64);
    for (int a = 0; a < 3; a++)
      for (int b = 0; b <= a; b++) {
        const Tensor ft = in_box(influence.f_strain.select(1, 3 * a + b), influence.inside).to(s.options());
        for (int64_t c = 0; c < q.size(1); c++) {
          const Tensor back = with_axis3(ft * s[c][0], -ft * s[c][1]);
          for_tiles(n, [&](int64_t first, int64_t size) {
            const Phases e = phases(fractional.narrow(0, first, size), s.options());
            const Tensor share = potential_and_slope(e, back).first;
            w.narrow(0, first, size).select(1, a).select(1, b) +=
                (q.narrow(0, first, size).select(1, c) * share).to(f64);
          });
        }
        w.select(1, b).select(1, a).copy_(w.select(1, a).select(1, b));
      }
    return w;
  }
};

}    // namespace

std::unique_ptr<Solver> make_direct_sum(const LongRangeParameters &parameters, const Communicator &communicator)
{
  return std::make_unique<DirectSum>(parameters, communicator);
}

}    // namespace les

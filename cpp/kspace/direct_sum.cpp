// Reciprocal sum in matrix-product form.
//
// With fractional coordinates s and integer triples n, exp(i k.r) = E1(n1) E2(n2) E3(n3), E_a(n) = exp(2 pi i n s_a). Per atom the
// table over (n2, n3) is an outer product, and the sums over atoms (S) and over n1 (potential, forces) are matrix products, so that
// nearly all work is done by BLAS. k and -k contribute alike: only n1 >= 0 is kept, with weight 2 for n1 > 0. Atoms are taken in
// tiles, so memory does not grow with their number times the number of wave vectors.

#include "long_range.h"

#include <cmath>

namespace les {

namespace {

using torch::Tensor;
constexpr double TWO_PI = 2.0 * M_PI;
constexpr double SHELL_TOLERANCE = 1e-6;    // relative; a shell that sits on the cutoff counts as inside

// Tables of one tile of atoms, real and imaginary parts apart. n23 runs over (n2, n3), n3 fastest.
struct PhaseTables {
  Tensor e1;             // [t, 2 n1]    cos | sin
  Tensor c23, s23;       // [t, n23]
};

class DirectSum : public LongRangeSolver {
 public:
  DirectSum(const LongRangeParameters &p, const Communicator &comm) : p_(p), comm_(comm) {}

  void setup(const Tensor &cell) override
  {
    const double kmax = TWO_PI / p_.dl * (1.0 + SHELL_TOLERANCE);
    // k.a_m = 2 pi n_m, so |n_m| <= |k| |a_m| / 2 pi
    const Tensor lengths = cell.norm(2, 1);
    for (int m = 0; m < 3; m++)
      nmax_[m] = static_cast<int64_t>(std::floor(kmax * lengths[m].item<double>() / TWO_PI));
    const auto axis = [](int64_t first, int64_t last) {
      return torch::arange(first, last + 1, torch::kFloat64);
    };
    const Tensor n1 = axis(0, nmax_[0]), n2 = axis(-nmax_[1], nmax_[1]), n3 = axis(-nmax_[2], nmax_[2]);
    const auto grid = torch::meshgrid({n1, n2, n3}, "ij");
    triples_ = torch::stack({grid[0], grid[1], grid[2]}, -1).reshape({-1, 3});
    const Tensor k2 = wave_vectors(cell).square().sum(-1);
    const Tensor inside = (k2 <= kmax * kmax) & (triples_ != 0).any(-1);
    weight_ = inside.to(torch::kFloat64) * torch::where(triples_.select(1, 0) > 0, 2.0, 1.0);
    n_vectors_ = static_cast<int64_t>(weight_.sum().item<double>());
    ready_ = true;
  }

  LongRange compute(const Tensor &positions, const Tensor &charges, const Tensor &cell,
                    bool atom_virial) const override
  {
    TORCH_CHECK(ready_, "direct sum: setup() was not called");
    const int64_t n = positions.size(0), channels = charges.size(1);
    const auto f64 = positions.options().dtype(torch::kFloat64);
    const auto type = charges.options();
    const int64_t n1 = nmax_[0] + 1, n2 = 2 * nmax_[1] + 1, n3 = 2 * nmax_[2] + 1, n23 = n2 * n3;

    const double volume = std::abs(torch::det(cell).item<double>());
    const Tensor k = wave_vectors(cell);                                            // [k, 3]
    const Tensor k2 = k.square().sum(-1);
    const Tensor f = torch::where(weight_ > 0,
                                  weight_ * (p_.norm / volume) *
                                      torch::exp(-0.5 * p_.sigma * p_.sigma * k2) / k2,
                                  0.0);                                             // [k]
    const Tensor inverse = torch::inverse(cell).to(f64);                            // r = s cell
    const Tensor fractional = positions.matmul(inverse);

    // ---- structure factors, summed over ranks
    const Tensor q = charges.detach();
    Tensor s = torch::zeros({channels, 2, n1, n23}, type);                          // re, im
    for_tiles(n, n23, [&](int64_t first, int64_t size) {
      const PhaseTables t = tables(fractional.narrow(0, first, size), type);
      for (int64_t c = 0; c < channels; c++) {
        const Tensor qc = q.narrow(0, first, size).select(1, c).unsqueeze(1);
        const Tensor b = torch::cat({t.c23 * qc, t.s23 * qc}, 1);                   // [t, 2 n23]
        const Tensor p = t.e1.t().matmul(b).view({2, n1, 2, n23});                  // cos|sin x cos|sin
        s[c][0] += p[0].select(1, 0) - p[1].select(1, 1);
        s[c][1] += p[1].select(1, 0) + p[0].select(1, 1);
      }
    });
    s = comm_.sum(s);

    // ---- potential and its gradient in fractional coordinates, at fixed S
    const Tensor fk = f.view({n1, n23}).to(type);
    const Tensor index1 = torch::arange(n1, type).unsqueeze(1);                     // n1 [n1, 1]
    const Tensor index23 = triples_.narrow(0, 0, n23).narrow(1, 1, 2).to(type);     // (n2, n3) [n23, 2]
    LongRange out;
    out.potential = torch::zeros({n, channels}, type);
    Tensor gradient = torch::zeros({n, 3}, f64);                                    // sum_c q_c dphi_c/ds
    for_tiles(n, n23, [&](int64_t first, int64_t size) {
      const PhaseTables t = tables(fractional.narrow(0, first, size), type);
      for (int64_t c = 0; c < channels; c++) {
        // M = sum_n1 2 f conj(S) E1, and the same with a factor n1
        const Tensor gr = 2.0 * fk * s[c][0], gi = -2.0 * fk * s[c][1];             // [n1, n23]
        const Tensor top = torch::cat({gr, gi, index1 * gr, index1 * gi}, 1);       // times cos
        const Tensor bottom = torch::cat({-gi, gr, -index1 * gi, index1 * gr}, 1);  // times sin
        const Tensor m = t.e1.matmul(torch::cat({top, bottom}, 0)).view({size, 4, n23});
        const Tensor mr = m.select(1, 0), mi = m.select(1, 1);
        const Tensor imaginary = mr * t.s23 + mi * t.c23;                           // Im(M E23) [t, n23]
        const Tensor qc = q.narrow(0, first, size).select(1, c).to(torch::kFloat64).unsqueeze(1);
        out.potential.narrow(0, first, size).select(1, c).copy_(
            (mr * t.c23 - mi * t.s23).sum(1));
        const Tensor d1 = (m.select(1, 2) * t.s23 + m.select(1, 3) * t.c23).sum(1, true);
        const Tensor d23 = imaginary.matmul(index23);
        gradient.narrow(0, first, size) -= TWO_PI * qc * torch::cat({d1, d23}, 1).to(torch::kFloat64);
      }
    });
    // s = r inverse, so d/dr_b = sum_m inverse[b, m] d/ds_m
    out.forces = -gradient.matmul(inverse.t());

    // ---- virial: sum_k f |S|^2 T_ab(k), T = delta - 2 k k (1/k^2 + sigma^2/2)
    const Tensor kk = k.unsqueeze(2) * k.unsqueeze(1);
    const Tensor bracket = torch::where(k2 > 0, 1.0 / k2 + 0.5 * p_.sigma * p_.sigma, 0.0);
    const Tensor tensor = torch::eye(3, torch::kFloat64) - 2.0 * kk * bracket.view({-1, 1, 1});    // [k, 3, 3]
    out.virial = torch::zeros({3, 3}, torch::kFloat64);
    if (comm_.rank() == 0) {
      const Tensor power = s.to(torch::kCPU, torch::kFloat64).square().sum({0, 1}).view({-1});
      out.virial = ((f * power).view({-1, 1, 1}) * tensor).sum(0);
    }
    if (atom_virial)
      out.atom_virial = share_virial(fractional, q, s, f.view({-1, 1, 1}) * tensor, f64);

    if (p_.remove_self) {
      const double factor = 2.0 * p_.self_factor * p_.norm / (p_.sigma * std::pow(TWO_PI, 1.5));
      out.potential -= factor * q;
    }
    out.energy = 0.5 * (q.to(torch::kFloat64) * out.potential.to(torch::kFloat64)).sum(1);
    return out;
  }

  std::string description() const override
  {
    return "direct sum over " + std::to_string(n_vectors_) + " wave vectors, |n| <= " +
           std::to_string(nmax_[0]) + " " + std::to_string(nmax_[1]) + " " + std::to_string(nmax_[2]);
  }

 private:
  LongRangeParameters p_;
  const Communicator &comm_;
  int64_t nmax_[3] = {0, 0, 0};
  int64_t n_vectors_ = 0;
  bool ready_ = false;
  Tensor triples_;    // [k, 3] f64, integer triples with n1 >= 0, n3 fastest
  Tensor weight_;     // [k] f64: 0 outside the cutoff, 2 where -k is left out, else 1

  Tensor wave_vectors(const Tensor &cell) const
  {
    return TWO_PI * triples_.matmul(torch::inverse(cell).t());    // [k, 3]
  }

  template <class F> static void for_tiles(int64_t n, int64_t n23, F &&work)
  {
    const int64_t tile = std::max<int64_t>(64, (1 << 18) / std::max<int64_t>(n23, 1));
    for (int64_t first = 0; first < n; first += tile) work(first, std::min(tile, n - first));
  }

  // Phases are formed in double from wrapped coordinates, whatever the type of the tables.
  PhaseTables tables(const Tensor &fractional, const torch::TensorOptions &type) const
  {
    const Tensor angle = TWO_PI * (fractional - fractional.round());    // [t, 3]
    const auto axis = [&](int m, int64_t first) {
      const Tensor n = torch::arange(first, nmax_[m] + 1, angle.options());
      return angle.select(1, m).unsqueeze(1) * n;
    };
    const auto cosine = [&](const Tensor &a) { return torch::cos(a).to(type.dtype()); };
    const auto sine = [&](const Tensor &a) { return torch::sin(a).to(type.dtype()); };
    const Tensor a1 = axis(0, 0), a2 = axis(1, -nmax_[1]), a3 = axis(2, -nmax_[2]);
    const Tensor c2 = cosine(a2).unsqueeze(2), s2 = sine(a2).unsqueeze(2);
    const Tensor c3 = cosine(a3).unsqueeze(1), s3 = sine(a3).unsqueeze(1);
    const int64_t t = fractional.size(0);
    return {torch::cat({cosine(a1), sine(a1)}, 1), (c2 * c3 - s2 * s3).reshape({t, -1}),
            (s2 * c3 + c2 * s3).reshape({t, -1})};
  }

  // W_i = sum_k f T Re[q_i conj(S) exp(i k.r_i)]: sums to the virial, since sum_i q_i exp(i k.r_i) = S.
  Tensor share_virial(const Tensor &fractional, const Tensor &q, const Tensor &s,
                      const Tensor &f_tensor, const torch::TensorOptions &f64) const
  {
    const int64_t n = fractional.size(0), channels = q.size(1);
    const int64_t n1 = nmax_[0] + 1, n23 = (2 * nmax_[1] + 1) * (2 * nmax_[2] + 1);
    Tensor w = torch::zeros({n, 3, 3}, f64);
    for (int a = 0; a < 3; a++)
      for (int b = 0; b <= a; b++) {
        const Tensor ft = f_tensor.select(1, a).select(1, b).reshape({n1, n23}).to(s.options());
        Tensor column = torch::zeros({n}, f64);
        for_tiles(n, n23, [&](int64_t first, int64_t size) {
          const PhaseTables t = tables(fractional.narrow(0, first, size), s.options());
          for (int64_t c = 0; c < channels; c++) {
            const Tensor gr = ft * s[c][0], gi = -ft * s[c][1];
            const Tensor m = t.e1.matmul(torch::cat({torch::cat({gr, gi}, 1),
                                                     torch::cat({-gi, gr}, 1)}, 0)).view({size, 2, n23});
            const Tensor share = (m.select(1, 0) * t.c23 - m.select(1, 1) * t.s23).sum(1);
            column.narrow(0, first, size) += (q.narrow(0, first, size).select(1, c) * share).to(f64);
          }
        });
        w.select(1, a).select(1, b).copy_(column);
        w.select(1, b).select(1, a).copy_(column);
      }
    return w;
  }
};

}    // namespace

std::unique_ptr<LongRangeSolver> make_direct_sum(const LongRangeParameters &parameters,
                                                 const Communicator &communicator)
{
  return std::make_unique<DirectSum>(parameters, communicator);
}

}    // namespace les

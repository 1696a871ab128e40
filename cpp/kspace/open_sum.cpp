// Pair sum for open boundaries. Every rank needs the charges of all ranks; it computes the rows of its own atoms.

#include "solver.h"

namespace les {

namespace {

using torch::Tensor;

class OpenSum : public Solver {
 public:
  OpenSum(const LongRangeParameters &p, const Communicator &comm) :
      p_(p), comm_(comm), a_(1.0 / (std::sqrt(2.0) * p.sigma))
  {
  }

  void setup(const Tensor &) override {}

  Fields apply(const Tensor &positions, const Tensor &sources, const Tensor &, int order, bool atom_virial,
               const Fields *earlier) const override
  {
    const Tensor q = charges_of(sources, order).to(torch::kFloat64), all_q = comm_.gather_rows(q),
                 others = earlier ? earlier->spectrum[0] : all_q;
    const int64_t n = q.size(0), channels = q.size(1);
    Fields out;
    Tensor phi = torch::zeros_like(q), gradients = torch::zeros({n, channels, 3}, positions.options()),
           virial = torch::zeros({n, 3, 3}, positions.options());
    for_pairs(positions, [&](int64_t first, int64_t size, const Pairs &pairs) {
      const auto &[d, r, weight, erf, shifted] = pairs;
      const Tensor potential = pairs.potential();
      const Tensor gauss = weight * torch::exp(-(a_ * a_) * r.square());
      const Tensor slope = (2.0 * a_ / std::sqrt(M_PI) * gauss - potential) / shifted;
      const Tensor along = (slope / r).unsqueeze(2) * d;    // [t, N, 3] gradient at i of the potential of j
      phi.narrow(0, first, size) += potential.matmul(all_q);
      gradients.narrow(0, first, size) += all_q.t().matmul(along);
      // half of each pair's r (x) F to either atom
      const Tensor qq = q.narrow(0, first, size).matmul(others.t());    // sum_c q_i q_j
      virial.narrow(0, first, size).sub_(d.transpose(1, 2).matmul(qq.unsqueeze(2) * along), 0.5);
    });
    out.derivatives = {phi, gradients};
    out.virial = virial.sum(0);
    if (atom_virial) out.atom_virial = virial;
    out.sources = sources;
    out.spectrum = {all_q};
    return out;
  }

  Tensor moments(const Tensor &positions, const Tensor &sources, const Tensor &) const override
  {
    const Tensor all_q = comm_.gather_rows(charges_of(sources).to(torch::kFloat64));
    Tensor out = torch::zeros({positions.size(0), sources.size(1), 3}, positions.options());
    for_pairs(positions, [&](int64_t first, int64_t size, const Pairs &pairs) {
      const Tensor weighed = pairs.potential().unsqueeze(2) * pairs.d;    // [t, N, 3]
      out.narrow(0, first, size) -= torch::einsum("ija,jc->ica", {weighed, all_q});
    });
    return out;
  }

  std::string description() const override { return "pair sum, open boundaries"; }

 private:
  LongRangeParameters p_;
  const Communicator &comm_;
  double a_;    // 1/A, erf(a r)

  // Some atoms i of this rank and all atoms j of the system; the atom itself has a harmless distance and no weight.
  struct Pairs {
    Tensor d;          // [t, N, 3] r_i - r_j
    Tensor r;          // [t, N]
    Tensor weight;     // [t, N] N / 2 pi, or 0
    Tensor erf;        // [t, N]
    Tensor shifted;    // [t, N] r + open_shift
    Tensor potential() const { return weight * erf / shifted; }
  };

  // Collective: work(first, size, pairs) for tiles of this rank's atoms.
  template <class F> void for_pairs(const Tensor &positions, F &&work) const
  {
    const Tensor all_r = comm_.gather_rows(positions.contiguous());
    const int64_t n = positions.size(0), total = all_r.size(0), offset = first_row(n);
    const int64_t tile = std::max<int64_t>(1, (1 << 20) / std::max<int64_t>(total, 1));
    for (int64_t first = 0; first < n; first += tile) {
      const int64_t size = std::min(tile, n - first);
      const Tensor d = positions.narrow(0, first, size).unsqueeze(1) - all_r.unsqueeze(0);
      const Tensor own = torch::arange(offset + first, offset + first + size, all_r.options().dtype(torch::kInt64));
      const Tensor other = torch::ones({size, total}, all_r.options()).scatter_(1, own.unsqueeze(1), 0.0);
      const Tensor r = (d.square().sum(-1) + (1.0 - other)).sqrt();
      work(first, size, Pairs{d, r, p_.norm / TWO_PI * other, torch::erf(a_ * r), r + p_.open_shift});
    }
  }

  // Index of this rank's first atom in the gathered rows.
  int64_t first_row(int64_t n) const
  {
    const Tensor counts = comm_.gather_rows(torch::full({1}, n, torch::kInt64));    // on the host
    return counts.narrow(0, 0, comm_.rank()).sum().item<int64_t>();
  }
};

}    // namespace

std::unique_ptr<Solver> make_open_sum(const LongRangeParameters &parameters, const Communicator &communicator)
{
  return std::make_unique<OpenSum>(parameters, communicator);
}

}    // namespace les

// Pair sum for open boundaries. Every rank needs the charges of all ranks; it computes the rows of its own atoms.

#include "wave_vectors.h"

namespace les {

namespace {

using torch::Tensor;

class OpenSum : public LongRangeSolver {
 public:
  OpenSum(const LongRangeParameters &p, const Communicator &comm) :
      p_(p), comm_(comm), a_(1.0 / (std::sqrt(2.0) * p.sigma))
  {
  }

  void setup(const Tensor &) override {}

  LongRange compute(const Tensor &positions, const Tensor &charges, const Tensor &, bool atom_virial) const override
  {
    const int64_t n = positions.size(0);
    const Tensor q = charges.detach().to(torch::kFloat64), all_q = comm_.gather_rows(q);

    LongRange out;
    Tensor phi = torch::zeros_like(q);
    out.forces = torch::zeros_like(positions);
    Tensor virial = torch::zeros({n, 3, 3}, positions.options());
    for_pairs(positions, [&](int64_t first, int64_t size, const Pairs &pairs) {
      const auto &[d, r, weight, erf, shifted] = pairs;
      const Tensor slope =
          weight * (2.0 * a_ / std::sqrt(M_PI) * torch::exp(-(a_ * a_) * r.square()) - erf / shifted) / shifted;
      phi.narrow(0, first, size) += pairs.potential().matmul(all_q);
      const Tensor qq = q.narrow(0, first, size).matmul(all_q.t());    // sum_c q_i q_j
      const Tensor pull = -(qq * slope / r).unsqueeze(2) * d;          // force on i from j
      out.forces.narrow(0, first, size) += pull.sum(1);
      // half of each pair's r (x) F to either atom
      virial.narrow(0, first, size) += 0.5 * d.transpose(1, 2).matmul(pull);
    });
    if (!p_.remove_self) phi += self_potential(p_) * q;
    out.energy = 0.5 * (q * phi).sum(1);
    out.potential = phi.to(charges.options());
    out.virial = virial.sum(0);
    if (atom_virial) out.atom_virial = virial;
    return out;
  }

  Tensor potential_moments(const Tensor &positions, const Tensor &charges, const Tensor &) const override
  {
    const Tensor all_q = comm_.gather_rows(charges.detach().to(torch::kFloat64));
    Tensor out = torch::zeros({positions.size(0), charges.size(1), 3}, positions.options());
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

std::unique_ptr<LongRangeSolver> make_open_sum(const LongRangeParameters &parameters, const Communicator &communicator)
{
  return std::make_unique<OpenSum>(parameters, communicator);
}

}    // namespace les

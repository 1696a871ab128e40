// Pair sum for open boundaries. Every rank needs the sources of all ranks; it computes the rows of its own atoms.

#include "open_pairs.h"
#include "powers.h"
#include "sources.h"

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
    check_order(sources, order, earlier);
    const Tensor all = comm_.gather_rows(sources.detach().to(torch::kFloat64)),
                 others = earlier ? earlier->spectrum[0] : all;
    Fields out = order <= 1 && all.size(2) == 1 && others.size(2) == 1
                     ? of_charges(positions, sources, all.select(2, 0), others.select(2, 0))
                     : of_multipoles(positions, sources, all, others, order, earlier != nullptr, atom_virial);
    out.virial = out.atom_virial.sum(0);
    if (!atom_virial) out.atom_virial = Tensor();
    out.sources = sources;
    out.spectrum = {all};
    return out;
  }

  Tensor moments(const Tensor &positions, const Tensor &sources, const Tensor &) const override
  {
    const Tensor all_q = comm_.gather_rows(charges_of(sources).to(torch::kFloat64));
    Tensor out = torch::zeros({positions.size(0), sources.size(1), 3}, positions.options());
    for_pairs(positions, comm_.gather_rows(positions.contiguous()), 1,
              [&](int64_t first, int64_t size, const Pairs &pairs) {
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

  // Charges alone: potential and field.
  Fields of_charges(const Tensor &positions, const Tensor &sources, const Tensor &all_q, const Tensor &others) const
  {
    const Tensor q = sources.detach().select(2, 0).to(torch::kFloat64);
    const int64_t n = q.size(0), channels = q.size(1);
    Fields out;
    Tensor phi = torch::zeros_like(q), gradients = torch::zeros({n, channels, 3}, positions.options()),
           virial = torch::zeros({n, 3, 3}, positions.options());
    for_pairs(positions, comm_.gather_rows(positions.contiguous()), 1,
              [&](int64_t first, int64_t size, const Pairs &pairs) {
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
    out.atom_virial = virial;
    return out;
  }

  // With V the gradients of the pair potential, by exponents e, and s_j likewise (open_pairs.h):
  //
  //   d^e phi_i = sum_j,e' V^(e + e')(x) s_je',   x = r_i - r_j
  //   W_i,ab = -1/2 s_i.(grad_a sum_j,e' V^(e + e')(x) x_b s'_je')   half of each pair's r (x) F to either atom
  //
  // where x_b s'_j is taken apart into r_ib s'_j and r_jb s'_j, from the middle of all atoms. Where shares of the virial are not asked
  // for, sum_i F_i r_i is the same in less time; F_i = -1/2 (s_i.grad phi' + s'_i.grad phi).
  Fields of_multipoles(const Tensor &positions, const Tensor &sources, const Tensor &all, const Tensor &others,
                       int order, bool two_sets, bool shares) const
  {
    TORCH_CHECK(p_.open_shift == 0.0, "open_shift is for charges alone; it must be 0 with multipoles");
    const int mine = highest_moment(all), theirs = highest_moment(others);
    const int degree = std::max(order + mine, mine + 1 + theirs);
    const int64_t n = positions.size(0), channels = all.size(1), total = all.size(0), count = count_of_powers(degree);
    const Tensor all_r = comm_.gather_rows(positions.contiguous());
    const Tensor middle = total > 0 ? all_r.mean(0) : torch::zeros({3}, positions.options());
    const Tensor s = by_exponents(all), t = two_sets ? by_exponents(others) : s;
    std::vector<Tensor> sets{s};    // [N, C, components] each; then the other sources, then these by r_x, r_y, r_z
    if (two_sets) sets.push_back(t);
    for (int b = 0; shares && b < 3; b++) sets.push_back((all_r - middle).select(1, b).view({-1, 1, 1}) * t);
    std::vector<Tensor> flat;
    for (const Tensor &set : sets) flat.push_back(set.flatten(1));
    const Tensor columns = torch::cat(flat, 1), own = sources.detach();
    const Tensor own_others = two_sets && !shares ? others.narrow(0, first_row(n), n) : Tensor();

    Fields out;
    Tensor derivatives = torch::zeros({n, channels, count_of_powers(order)}, positions.options());
    out.atom_virial = torch::zeros({n, 3, 3}, positions.options());
    for_pairs(positions, all_r, count, [&](int64_t first, int64_t size, const Pairs &pairs) {
      const Tensor gradients = potential_gradients(pairs.d, pairs.weight, a_, degree);    // [count, t, N]
      const Tensor sums = gradients.view({count * size, total}).matmul(columns).view({count, size, columns.size(1)});
      std::vector<Tensor> of_sets;    // [t, C, components, count]
      int64_t begin = 0;
      for (const Tensor &set : sets) {
        const int64_t width = channels * set.size(2);
        of_sets.push_back(sums.narrow(2, begin, width).permute({1, 2, 0}).unflatten(1, {channels, set.size(2)}));
        begin += width;
      }
      derivatives.narrow(0, first, size).copy_(gradients_of_sums(of_sets[0], order));
      const auto pull = [&](const Tensor &at_atoms, size_t set) {    // [t, 3]: s_i.grad of the potential of a set
        const int up_to = highest_moment(at_atoms) + 1;
        return act_on(at_atoms.narrow(0, first, size), full_tensors(gradients_of_sums(of_sets[set], up_to), up_to), 1);
      };
      const Tensor at = positions.narrow(0, first, size) - middle;
      Tensor w = out.atom_virial.narrow(0, first, size);
      Tensor there = pull(own, two_sets ? 1 : 0);
      if (!shares) {
        if (two_sets) there = 0.5 * (there + pull(own_others, 0));
        w.copy_(-there.unsqueeze(2) * at.unsqueeze(1));
      }
      for (int b = 0; shares && b < 3; b++)
        w.select(2, b).copy_(-0.5 * (at.narrow(1, b, 1) * there - pull(own, sets.size() - 3 + b)));
    });
    out.atom_virial = 0.5 * (out.atom_virial + out.atom_virial.transpose(1, 2));
    out.derivatives = full_tensors(derivatives, order);
    return out;
  }

  // Some atoms i of this rank and all atoms j of the system; the atom itself has a harmless distance and no weight.
  struct Pairs {
    Tensor d;          // [t, N, 3] r_i - r_j
    Tensor r;          // [t, N]
    Tensor weight;     // [t, N] N / 2 pi, or 0
    Tensor erf;        // [t, N]
    Tensor shifted;    // [t, N] r + open_shift
    Tensor potential() const { return weight * erf / shifted; }
  };

  // Collective: work(first, size, pairs) for tiles of this rank's atoms, where each pair has so many numbers.
  template <class F> void for_pairs(const Tensor &positions, const Tensor &all_r, int64_t numbers, F &&work) const
  {
    const int64_t n = positions.size(0), total = all_r.size(0), offset = first_row(n);
    const int64_t tile = std::max<int64_t>(1, (1 << 20) / std::max<int64_t>(total * numbers, 1));
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

// Reciprocal sum in matrix-product form (direct_phases.h). k and -k contribute alike: only n1 >= 0 is kept, with weight 2 for n1 > 0.

#include "direct_phases.h"
#include "sources.h"
#include "wave_vectors.h"

namespace les {

namespace {

using torch::Tensor;

class DirectSum : public Solver {
 public:
  DirectSum(const LongRangeParameters &p, const Communicator &comm) : p_(p), comm_(comm) {}

  void setup(const Tensor &cell) override
  {
    nmax_ = largest_triple(p_, cell);
    box_ = PhaseBox(nmax_);
    vectors_ = WaveVectors(p_, box_.triples(), cell);
    weight_ = 1.0 + (vectors_.triples().select(1, 0) > 0).to(torch::kFloat64);
    n_vectors_ = static_cast<int64_t>(weight_.sum().item<double>());
    influence_ = {};
    ready_ = true;
  }

  Fields apply(const Tensor &positions, const Tensor &sources, const Tensor &cell, int order, bool atom_virial,
               const Fields *earlier) const override
  {
    check_order(sources, order, earlier);
    const Tensor mine = sources.detach();
    const Influence &influence = influence_of(cell, mine.options());
    const Tensor fractional = positions.matmul(influence.inverse);
    const Tensor s = comm_.sum(box_.structure_factors(fractional, in_fractions(mine, influence))),
                 other = earlier ? earlier->spectrum[0] : s;
    Fields out;
    out.derivatives = in_space(box_.fields(fractional, weighed(2.0 * influence.f, s), order), influence);
    out.sources = sources;
    out.spectrum = {s};

    // sum_k f Re[S S'*] T_ab(k), and what moments have of the strain at fixed components
    out.virial = torch::zeros({3, 3}, positions.options());
    if (comm_.rank() == 0) {
      const Tensor product = earlier ? s.to(torch::kFloat64) * other : s.to(torch::kFloat64).square();
      const Tensor power = product.sum(torch::IntArrayRef({0, 1})).view({-1});
      out.virial = power.index_select(0, influence.inside).matmul(influence.f_strain).view({3, 3});
    }
    const Tensor local = moment_virial(out, earlier);
    if (local.defined()) out.virial = out.virial + local.sum(0);
    if (!atom_virial) return out;
    out.atom_virial = share_virial(fractional, mine, other, influence);
    if (local.defined()) out.atom_virial = out.atom_virial + local;
    return out;
  }

  Tensor moments(const Tensor &positions, const Tensor &sources, const Tensor &cell) const override
  {
    const Tensor q = charges_of(sources);
    const Influence &influence = influence_of(cell, q.options());
    const Tensor fractional = positions.matmul(influence.inverse);
    const Tensor s = comm_.sum(box_.structure_factors(fractional, q.unsqueeze(2)));
    const Tensor i_s = torch::stack({-s.select(1, 1), s.select(1, 0)}, 1);
    const auto weights = vectors_.weights(cell);
    const Tensor slope =
        ((weight_ * weights.f).unsqueeze(1) * weights.slope).to(positions.options());    // [k', 3] -df/dk
    Tensor out = torch::empty({q.size(0), q.size(1), 3}, positions.options());
    for (int a = 0; a < 3; a++) {
      const Tensor fa = in_box(slope.select(1, a), influence.inside).to(q.options());
      out.select(2, a).copy_(box_.fields(fractional, weighed(-2.0 * fa, i_s), 0)[0]);
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
  PhaseBox box_;
  WaveVectors vectors_;    // of the box
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

  // Values of the wave vectors inside [k'] in their places of the box, [n1 n2, n3].
  Tensor in_box(const Tensor &values, const Tensor &inside) const
  {
    const int64_t n12 = box_.rows(), n3 = box_.columns();
    return torch::zeros({n12 * n3}, values.options()).index_copy_(0, inside, values).view({n12, n3});
  }

  // G = f S* of Re sum_n G exp(i k.r)
  static Tensor weighed(const Tensor &f, const Tensor &s)
  {
    return torch::stack({f * s.select(1, 0), -f * s.select(1, 1)}, 1);
  }

  // Components of dipoles on the lattice vectors, u inverse; of quadrupoles inverse^T Q inverse: k.u = 2 pi n.(u inverse).
  static Tensor in_fractions(const Tensor &sources, const Influence &influence)
  {
    if (sources.size(2) == 1) return sources;
    const Tensor inverse = influence.inverse, s = sources.to(torch::kFloat64);
    std::vector<Tensor> parts{s.narrow(2, 0, 1), s.narrow(2, 1, 3).matmul(inverse)};
    if (s.size(2) > 4)
      parts.push_back(inverse.t().matmul(s.narrow(2, 4, 9).unflatten(2, {3, 3})).matmul(inverse).flatten(2));
    return torch::cat(parts, 2).to(sources.options());
  }

  // Gradients by positions, f64, from those by fractional coordinates: s = r inverse, so d/dr_b = sum_m inverse[b, m] d/ds_m.
  static std::vector<Tensor> in_space(std::vector<Tensor> fields, const Influence &influence)
  {
    const Tensor turn = influence.inverse.t();
    for (size_t d = 1; d < fields.size(); d++) {
      Tensor &field = fields[d];
      field = field.to(torch::kFloat64);
      for (size_t m = 0; m < d; m++)    // the last index becomes the first one: after d turns all are where they were
        field = field.matmul(turn).movedim(-1, 2);
    }
    return fields;
  }

  // W_i = sum_k f T Re[s_i conj(S) exp(i k.r_i)]: sums to the virial, since sum_i s_i exp(i k.r_i) = S.
  Tensor share_virial(const Tensor &fractional, const Tensor &sources, const Tensor &s,
                      const Influence &influence) const
  {
    const int moments = highest_moment(sources);
    Tensor w = torch::zeros({sources.size(0), 3, 3}, fractional.options());
    for (int a = 0; a < 3; a++)
      for (int b = 0; b <= a; b++) {
        const Tensor ft = in_box(influence.f_strain.select(1, 3 * a + b), influence.inside).to(s.options());
        const auto fields = in_space(box_.fields(fractional, weighed(ft, s), moments), influence);
        const Tensor share = act_on(sources, fields);
        w.select(1, a).select(1, b).copy_(share);
        w.select(1, b).select(1, a).copy_(share);
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

#include "direct_phases.h"

#include "parameters.h"
#include "powers.h"

#include <cmath>

namespace les {

using torch::Tensor;

namespace {

struct Complex {
  Tensor re, im;
};

Complex operator*(const Complex &a, const Complex &b) { return {a.re * b.re - a.im * b.im, a.re * b.im + a.im * b.re}; }

// work(first, size) for tiles of atoms.
template <class F> void for_tiles(int64_t n, int64_t tile, F &&work)
{
  for (int64_t first = 0; first < n; first += tile) work(first, std::min(tile, n - first));
}

constexpr int64_t MOST_KEPT = 1 << 21;    // numbers

}    // namespace

struct PhaseBox::Phases {
  Complex e1;    // [t, n1], n >= 0
  Complex e2;    // [t, n2]
  Tensor e3;     // [t, 2 n3], cosines then sines

  // E1 E2, re and im side by side
  Tensor e12() const
  {
    const Complex e = Complex{e1.re.unsqueeze(2), e1.im.unsqueeze(2)} * Complex{e2.re.unsqueeze(1), e2.im.unsqueeze(1)};
    return torch::stack({e.re, e.im}, 1).view({e1.re.size(0), -1});    // [t, 2 n1 n2]
  }
};

// p(n) = q + 2 pi i n.u - 2 pi^2 n.Q.n = p_3(n3) + p_12(n1, n2) + n3 p_x(n1, n2), so that
//   S = (E1 E2)^T (p_3 E3) + (p_12 E1 E2)^T E3 + (p_x E1 E2)^T (n3 E3)
struct PhaseBox::Multipoles {
  const PhaseBox &box;
  const Phases &e;
  Tensor index2, index3, n3_e3;    // n2; n3; [t, 2 n3]
  Tensor e1;    // [t, 2 n1, 2 A]: multiplies A complex rows (re, then im) by n1^a E1, giving re and im

  Multipoles(const PhaseBox &of, const Phases &phases, int64_t components) : box(of), e(phases)
  {
    const auto &all = box.tables(e.e3.options()).powers;
    index2 = all[1][1], index3 = all[2][1];
    const Tensor powers = all[0].narrow(0, 0, components > 4 ? 3 : 2).t();    // [n1, A]
    const Tensor re = e.e1.re.unsqueeze(2) * powers, im = e.e1.im.unsqueeze(2) * powers;
    e1 = torch::cat({torch::cat({re, -im}, 2), torch::cat({im, re}, 2)}, 1);
    if (components > 4) n3_e3 = index3.repeat({2}) * e.e3;
  }

  // p_3 E3 [t, 2 n3], for sources [t, M] of one channel
  Tensor along3(const Tensor &s) const
  {
    Tensor re = s.narrow(1, 0, 1);
    if (s.size(1) > 4) re = re - 0.5 * TWO_PI * TWO_PI * s.narrow(1, 12, 1) * index3.square();
    const Tensor im = TWO_PI * s.narrow(1, 3, 1) * index3;
    const Complex weighed = Complex{e.e3.narrow(1, 0, box.n3_), e.e3.narrow(1, box.n3_, box.n3_)} * Complex{re, im};
    return torch::cat({weighed.re, weighed.im}, 1);
  }

  // p_12 E1 E2 [t, 2 n1 n2]
  Tensor in12(const Tensor &s) const
  {
    const auto component = [&](int m) { return s.narrow(1, m, 1); };    // [t, 1]
    const Tensor none = torch::zeros_like(e.e2.re);
    Complex constant{none, TWO_PI * component(2) * index2}, linear{none, (TWO_PI * component(1)).expand_as(none)};
    if (s.size(1) == 4) return times_e12({constant, linear});
    const double half = -0.5 * TWO_PI * TWO_PI;
    constant.re = half * component(8) * index2.square();
    linear.re = 2.0 * half * component(5) * index2;
    return times_e12({constant, linear, {(half * component(4)).expand_as(none), none}});
  }

  // p_x E1 E2 [t, 2 n1 n2]
  Tensor mixed12(const Tensor &s) const
  {
    const auto component = [&](int m) { return -TWO_PI * TWO_PI * s.narrow(1, m, 1); };
    const Tensor none = torch::zeros_like(e.e2.re);
    return times_e12({{component(9) * index2, none}, {component(6).expand_as(none), none}, {none, none}});
  }

  // sum_a n1^a w_a(n2) E1 E2
  Tensor times_e12(const std::vector<Complex> &w) const
  {
    std::vector<Tensor> re, im;    // [t, n2] each
    for (const Complex &a : w) {
      const Complex row = a * e.e2;
      re.push_back(row.re);
      im.push_back(row.im);
    }
    re.insert(re.end(), im.begin(), im.end());
    return e1.bmm(torch::stack(re, 1)).view({e1.size(0), -1});
  }
};

PhaseBox::PhaseBox(const std::array<int64_t, 3> &nmax) :
    nmax_(nmax), n1_(nmax[0] + 1), n2_(2 * nmax[1] + 1), n3_(2 * nmax[2] + 1)
{
}

const PhaseBox::Tables &PhaseBox::tables(const torch::TensorOptions &type) const
{
  const Tensor &made = tables_.powers[0];
  if (made.defined() && made.scalar_type() == type.dtype() && made.device() == type.device()) return tables_;
  const auto f64 = type.dtype(torch::kFloat64);
  for (int m = 0; m < 3; m++) {
    const Tensor n = torch::arange(m == 0 ? 0 : -nmax_[m], nmax_[m] + 1, f64);
    tables_.axes[m] = n;
    tables_.powers[m] = torch::stack({torch::ones_like(n), n, n * n, n * n * n}).to(type);
  }
  // gradients are (2 pi)^d times Re, -Im, -Re, Im of the sums over powers of n
  for (int64_t order = 0; order <= 3; order++) {
    const int64_t k = order + 1;
    std::vector<int64_t> places;
    std::vector<double> factors;
    for (const Exponents &e : powers_up_to(order)) {
      const int64_t degree = e[0] + e[1] + e[2];
      places.push_back((((degree % 2) * k + e[1]) * k + e[2]) * k + e[0]);
      factors.push_back((degree == 1 || degree == 2 ? -1.0 : 1.0) * std::pow(TWO_PI, degree));
    }
    tables_.places[order] = torch::tensor(places, torch::kInt64).to(type.device());
    tables_.factors[order] = torch::tensor(factors, torch::kFloat64).to(type);
  }
  return tables_;
}

Tensor PhaseBox::triples() const
{
  const auto &n = tables(torch::dtype(torch::kFloat64)).axes;
  const auto grid = torch::meshgrid({n[0], n[1], n[2]}, "ij");
  return torch::stack({grid[0], grid[1], grid[2]}, -1).reshape({-1, 3});
}

int64_t PhaseBox::tile() const { return std::max<int64_t>(64, (1 << 20) / (4 * rows())); }

// Phases are formed in double from wrapped coordinates, whatever the type of the tables.
std::shared_ptr<const PhaseBox::Phases> PhaseBox::phases(const Tensor &fractional, int64_t first, int64_t size,
                                                         const torch::TensorOptions &type) const
{
  if (!kept_of_.is_same(fractional)) {
    kept_of_ = fractional;
    kept_.clear();
  }
  const auto place = static_cast<size_t>(first / tile());
  if (place < kept_.size() && kept_[place]->e3.scalar_type() == type.dtype()) return kept_[place];
  const Tensor s = fractional.narrow(0, first, size), wrapped = TWO_PI * (s - s.round());    // [t, 3]
  const auto &axes = tables(type).axes;
  const auto angle = [&](int m) { return wrapped.select(1, m).unsqueeze(1) * axes[m]; };
  const Tensor a1 = angle(0), a2 = angle(1), a3 = angle(2);
  auto made = std::make_shared<const Phases>(Phases{{a1.cos().to(type), a1.sin().to(type)},
                                                    {a2.cos().to(type), a2.sin().to(type)},
                                                    torch::cat({a3.cos(), a3.sin()}, 1).to(type)});
  if (place == kept_.size() && 2 * (first + size) * (n1_ + n2_ + n3_) <= MOST_KEPT) kept_.push_back(made);
  return made;
}

Tensor PhaseBox::structure_factors(const Tensor &fractional, const Tensor &sources) const
{
  const int64_t channels = sources.size(1), components = sources.size(2), n12 = rows();
  Tensor out = torch::zeros({channels, 2, n12, n3_}, sources.options());
  for_tiles(sources.size(0), tile(), [&](int64_t first, int64_t size) {
    const auto kept = phases(fractional, first, size, sources.options());
    const Phases &e = *kept;
    const Tensor e12 = e.e12();
    std::optional<Multipoles> multipoles;
    if (components > 1) multipoles.emplace(*this, e, components);
    for (int64_t c = 0; c < channels; c++) {
      const Tensor s = sources.narrow(0, first, size).select(1, c);    // [t, M]
      Tensor p = e12.t().matmul(multipoles ? multipoles->along3(s) : e.e3 * s);
      if (components > 1) p.addmm_(multipoles->in12(s).t(), e.e3);
      if (components > 4) p.addmm_(multipoles->mixed12(s).t(), multipoles->n3_e3);
      p = p.view({2, n12, 2, n3_});    // (re|im of E1 E2) x (re|im of E3)
      out[c][0] += p[0].select(1, 0) - p[1].select(1, 1);
      out[c][1] += p[1].select(1, 0) + p[0].select(1, 1);
    }
  });
  return out;
}

// Matrix by which e3 gives sum_n3 n3^c G E3 for c up to `order`, re and im of each, for G [2, n12, n3].
// [2 n3, n2 * (c, re|im) * n1]: the order that the batched product over n2 likes best
Tensor PhaseBox::with_axis3(const Tensor &g, int order) const
{
  const Tensor n3 = tables(g.options()).powers[2].narrow(0, 0, order + 1);    // [c, n3]
  const auto rearranged = [&](const Tensor &parts) {
    return (parts.unsqueeze(0) * n3.view({-1, 1, 1, n3_}))    // [c, re|im, n12, n3]
        .view({2 * (order + 1), n1_, n2_, n3_})
        .permute({3, 2, 0, 1})
        .reshape({n3_, n2_ * 2 * (order + 1) * n1_});
  };
  return torch::cat({rearranged(g), rearranged(torch::stack({-g[1], g[0]}))}, 0);
}

std::vector<Tensor> PhaseBox::fields(const Tensor &fractional, const Tensor &g, int order) const
{
  const int64_t n = fractional.size(0), channels = g.size(0), k = order + 1;
  const Tables &table = tables(g.options());
  const Tensor powers1 = table.powers[0].narrow(0, 0, k).t(), powers2 = table.powers[1].narrow(0, 0, k);
  std::vector<Tensor> back;    // a channel
  for (int64_t c = 0; c < channels; c++) back.push_back(with_axis3(g[c], order));
  Tensor out = torch::empty({n, channels, count_of_powers(order)}, g.options());
  for_tiles(n, tile(), [&](int64_t first, int64_t size) {
    const auto kept = phases(fractional, first, size, g.options());
    const Phases &e = *kept;
    // [t, (re|im, b), n2]
    const Tensor e2 = (torch::stack({e.e2.re, e.e2.im}, 1).unsqueeze(2) * powers2).view({size, 2 * k, n2_});
    const Complex e1{e.e1.re.view({size, 1, 1, n1_}), e.e1.im.view({size, 1, 1, n1_})};
    for (int64_t c = 0; c < channels; c++) {
      const Tensor m = e.e3.matmul(back[c]).view({size, n2_, 2 * k * n1_});
      const Tensor r = e2.bmm(m).view({size, 2, k, k, 2, n1_});    // (re|im of E2), b, c, (re|im of E3 G), n1
      const auto part = [&](int a, int b) { return r.select(1, a).select(3, b); };
      const Complex sum = e1 * Complex{part(0, 0) - part(1, 1), part(0, 1) + part(1, 0)};    // [t, b, c, n1]
      const Tensor moments = torch::stack({sum.re, sum.im}, 1).matmul(powers1);              // [t, re|im, b, c, a]
      out.narrow(0, first, size)
          .select(1, c)
          .copy_(moments.view({size, -1}).index_select(1, table.places[order]) * table.factors[order]);
    }
  });
  return full_tensors(out, order);
}

}    // namespace les

#include "open_pairs.h"

#include "powers.h"

#include <cmath>

namespace les {

using torch::Tensor;

namespace {

// Below, the recursion upwards, F_n = [(2n-1) F_(n-1) - exp(-t)]/(2t), loses digits; there the series for the highest,
// F_m = exp(-t) sum_k (2t)^k / [(2m+1)(2m+3) ... (2m+2k+1)], and downwards.
constexpr double SHORT = 4.0;
constexpr int TERMS = 40;

std::vector<Tensor> upwards(const Tensor &t, int count)
{
  const Tensor root = t.sqrt(), exponential = torch::exp(-t);
  std::vector<Tensor> out{0.5 * std::sqrt(M_PI) * torch::erf(root) / root};
  for (int n = 1; n < count; n++) out.push_back(((2 * n - 1) * out[n - 1] - exponential) / (2.0 * t));
  return out;
}

std::vector<Tensor> downwards(const Tensor &t, int count)
{
  const int m = count - 1;
  const Tensor exponential = torch::exp(-t);
  Tensor sum = torch::ones_like(t);    // Horner
  for (int k = TERMS; k > 0; k--) sum = 1.0 + sum * (2.0 * t / (2 * m + 2 * k + 1));
  std::vector<Tensor> out(count);
  out[m] = exponential * sum / (2 * m + 1);
  for (int n = m; n > 0; n--) out[n - 1] = (2.0 * t * out[n] + exponential) / (2 * n - 1);
  return out;
}

}    // namespace

std::vector<Tensor> boys_functions(const Tensor &t, int count)
{
  const Tensor flat = t.reshape({-1}), close = (flat < SHORT).nonzero().select(1, 0);
  std::vector<Tensor> out = upwards(flat.clamp_min(SHORT), count);
  const std::vector<Tensor> there = downwards(flat.index_select(0, close), count);
  for (int n = 0; n < count; n++) out[n] = out[n].index_copy(0, close, there[n]).view(t.sizes());
  return out;
}

Tensor potential_gradients(const Tensor &x, const Tensor &weight, double a, int degree)
{
  const std::vector<Tensor> boys = boys_functions(a * a * x.square().sum(-1), degree + 1);
  std::vector<int64_t> shape{count_of_powers(degree)};
  shape.insert(shape.end(), weight.sizes().begin(), weight.sizes().end());
  Tensor out = torch::empty(shape, x.options());
  const std::vector<Tensor> along{x.select(-1, 0).contiguous(), x.select(-1, 1).contiguous(),
                                  x.select(-1, 2).contiguous()};
  std::vector<Tensor> above;    // V^(n+1)_e, degrees up to that of n + 1
  for (int n = degree; n >= 0; n--) {
    std::vector<Tensor> here;
    for (const Exponents &e : powers_up_to(degree - n)) {
      Tensor value = n == 0 ? out[static_cast<int64_t>(here.size())] : torch::empty_like(weight);
      if (here.empty()) {
        const double factor = 2.0 * a / std::sqrt(M_PI) * std::pow(-2.0 * a * a, n);
        torch::mul_out(value, boys[n], factor * weight);
      } else {
        const int m = e[0] > 0 ? 0 : e[1] > 0 ? 1 : 2;
        Exponents lower = e;
        lower[m]--;
        torch::mul_out(value, along[m], above[place_of(lower)]);
        if (const int64_t times = lower[m]; times > 0) {
          lower[m]--;
          value.add_(above[place_of(lower)], times);
        }
      }
      here.push_back(value);
    }
    above = std::move(here);
  }
  return out;
}

Tensor by_exponents(const Tensor &sources)
{
  std::vector<Tensor> parts{sources.narrow(2, 0, 1)};
  if (sources.size(2) > 1) parts.push_back(-sources.narrow(2, 1, 3));
  if (sources.size(2) > 4) {
    const Tensor Q = sources.narrow(2, 4, 9).unflatten(2, {3, 3});
    for (const Exponents &e : powers_up_to(2)) {
      if (e[0] + e[1] + e[2] < 2) continue;
      const int first = e[0] > 0 ? 0 : e[1] > 0 ? 1 : 2, last = e[2] > 0 ? 2 : e[1] > 0 ? 1 : 0;
      const Tensor entry = Q.select(2, first).select(2, last), mirrored = Q.select(2, last).select(2, first);
      parts.push_back((first == last ? 0.5 * entry : 0.5 * (entry + mirrored)).unsqueeze(2));
    }
  }
  return torch::cat(parts, 2);
}

Tensor gradients_of_sums(const Tensor &sums, int order)
{
  const int64_t components = sums.size(2), count = sums.size(3);
  const auto exponents = powers_up_to(2);
  std::vector<int64_t> places;
  for (const Exponents &e : powers_up_to(order))
    for (int64_t s = 0; s < components; s++) {
      const Exponents &of = exponents[s];
      places.push_back(s * count + place_of({e[0] + of[0], e[1] + of[1], e[2] + of[2]}));
    }
  const Tensor index = torch::tensor(places, torch::kInt64).to(sums.device());
  return sums.flatten(2).index_select(2, index).unflatten(2, {count_of_powers(order), components}).sum(3);
}

}    // namespace les

#include "total_charge.h"

namespace les {

using torch::Tensor;

std::pair<Tensor, Tensor> TotalCharge::mean(const Tensor &values) const
{
  const Tensor own = values.to(torch::kFloat64).sum(0);
  const Tensor count = torch::full({1}, static_cast<double>(values.size(0)), own.options());
  const Tensor totals = comm_.sum(torch::cat({own, count}));
  const Tensor atoms = totals[-1].clamp_min(1.0);
  return {totals.narrow(0, 0, own.size(0)) / atoms, atoms};
}

Tensor TotalCharge::shifted(const Tensor &latents) const
{
  const auto [average, count] = mean(latents);
  return latents + (about_.sign[0] * *about_.total / about_.unit / count - average).to(latents.options());
}

Tensor TotalCharge::by_latents(const Tensor &gradient) const
{
  return gradient - mean(gradient).first.to(gradient.options());
}

Tensor TotalCharge::moments_by_latents(const Tensor &moments, const Tensor &gradient, const Tensor &positions) const
{
  const Tensor r = positions.unsqueeze(1), phi = gradient.to(torch::kFloat64).unsqueeze(2);
  const Tensor shared = mean(gradient).first.view({1, -1, 1});
  return moments + r * shared - mean((moments + r * phi).flatten(1)).first.view({1, -1, 3});
}

}    // namespace les

#include "window.h"

#include <algorithm>
#include <cmath>

namespace les {

Window::Window(int order, double oversampling) : order_(order), beta_(0.97 * M_PI * order * (1.0 - 0.5 / oversampling))
{
}

std::pair<torch::Tensor, torch::Tensor> Window::evaluate(const torch::Tensor &frac, torch::ScalarType type) const
{
  const double scale = 2.0 / order_;
  const torch::Tensor z = (scale * (frac.unsqueeze(-1) - torch::arange(order_, frac.options()))).to(type);
  const torch::Tensor root = (1.0 - z.square()).clamp_min(1e-12).sqrt();
  const torch::Tensor w = (beta_ * (root - 1.0)).exp();
  return {w, -beta_ * scale * z / root * w};
}

double Window::error(int order, double oversampling)
{
  return std::exp(-5.4 - (M_PI * order - 14.0) * std::sqrt(1.0 - 1.0 / oversampling));
}

double Window::oversampling_for(int order, double accuracy)
{
  const double root = (-std::log(accuracy) - 5.4) / (M_PI * order - 14.0);
  TORCH_CHECK(root < 0.9, "a window of ", order,
              " points cannot reach the accuracy asked for; take a larger order, or a larger accuracy");
  return std::max(MIN_OVERSAMPLING, 1.0 / (1.0 - root * std::abs(root)));
}

torch::Tensor Window::transform(const torch::Tensor &n, int64_t mesh_size) const
{
  // x = P/2 sin(t) takes the square root out of w, so the midpoint rule in t converges fast
  constexpr int64_t POINTS = 400;
  const torch::Tensor t = (torch::arange(POINTS, torch::kFloat64) + 0.5) * (M_PI / POINTS) - 0.5 * M_PI;
  const torch::Tensor x = 0.5 * order_ * t.sin();
  const torch::Tensor weight = torch::exp(beta_ * (t.cos() - 1.0)) * t.cos() * (0.5 * order_ * M_PI / POINTS);
  const torch::Tensor k = n.to(torch::kFloat64) * (2.0 * M_PI / static_cast<double>(mesh_size));
  return (torch::cos(k.unsqueeze(-1) * x) * weight).sum(-1);
}

}    // namespace les

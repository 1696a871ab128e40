#include "window.h"

#include "stencil_kernels.h"

#include <cmath>

namespace les {

using torch::Tensor;

namespace {

double i0(double x) { return torch::special_i0(torch::full({}, x, torch::kFloat64)).item<double>(); }

// What a unit box makes of a function that is a polynomial on each unit interval: column j of `pieces` [degree + 1, n] has the
// coefficients on interval j, of powers of u in [-1/2, 1/2]. -> [degree + 2, n + 1], on intervals shifted by half a unit
Tensor convolved_with_box(const Tensor &pieces)
{
  const int64_t degree = pieces.size(0) - 1, n = pieces.size(1);
  const Tensor power = torch::arange(1, degree + 2, torch::kFloat64).unsqueeze(1);
  const Tensor integral = pieces / power;    // of u^1 ... u^(degree + 1), from u = 0
  const Tensor to_right = (integral * torch::pow(0.5, power)).sum(0),
               to_left = (integral * torch::pow(-0.5, power)).sum(0);
  Tensor out = torch::zeros({degree + 2, n + 1}, torch::kFloat64);
  // the box around u of the new interval j ends at u of the old interval j and begins at u of the one before
  out.narrow(0, 1, degree + 1).narrow(1, 0, n) += integral;
  out.narrow(0, 1, degree + 1).narrow(1, 1, n) -= integral;
  out[0].narrow(0, 0, n) -= to_left;
  out[0].narrow(0, 1, n) += to_right;
  return out;
}

}    // namespace

Window::Window(int order, double oversampling, int boxes) :
    order_(order), boxes_(boxes), beta_(beta(order, oversampling, boxes))
{
  const int width = order - boxes, degree = DEGREE - boxes;
  // KB on its unit intervals, through the Chebyshev points of each
  const Tensor k = torch::arange(degree + 1, torch::kFloat64);
  const Tensor v = ((k + 0.5) * (M_PI / (degree + 1))).cos();    // 2u
  const Tensor centers = torch::arange(width, torch::kFloat64) - 0.5 * (width - 1);
  const Tensor z = (2.0 / width) * (0.5 * v.unsqueeze(1) + centers);    // [node, interval]
  const Tensor values = torch::special_i0(beta_ * (1.0 - z.square()).sqrt()) / i0(beta_);
  const Tensor scaled = torch::linalg_solve(torch::pow(v.unsqueeze(1), k), values);
  Tensor pieces = scaled * torch::pow(2.0, k).unsqueeze(1);
  for (int box = 0; box < boxes; box++) pieces = convolved_with_box(pieces);
  // point p sees the interval of x around (P-1)/2 - p
  coefficients_ = pieces.flip(1).contiguous();
  for (const torch::ScalarType type : {torch::kFloat32, torch::kFloat64}) {
    const double least = type == torch::kFloat32 ? 1e-9 : 1e-17;
    const Tensor powers = torch::arange(DEGREE + 1, torch::kFloat64);
    const Tensor slopes = powers * torch::pow(0.5, powers) * coefficients_.abs().amax(1);
    const int64_t kept = (slopes > least * coefficients_.max()).nonzero().max().item<int64_t>() + 1;
    Tensor &padded = padded_[type == torch::kFloat64];
    padded = torch::zeros({kept, StencilWindow<double>::ROW}, torch::kFloat64);
    padded.narrow(1, 0, order) = coefficients_.narrow(0, 0, kept);
    padded = padded.to(type);
  }
}

Tensor Window::evaluate(const Tensor &frac, int derivatives, torch::ScalarType type) const
{
  const auto options = frac.options().dtype(type);
  const int64_t columns = (derivatives + 1) * order_;
  if (!table_.defined() || table_.device() != options.device() || table_.scalar_type() != type ||
      table_.size(1) != columns) {
    const Tensor power = torch::arange(DEGREE + 1, torch::kFloat64).unsqueeze(1);
    std::vector<Tensor> tables{coefficients_};
    while (static_cast<int>(tables.size()) <= derivatives) {
      const Tensor slope = torch::zeros_like(coefficients_);
      slope.narrow(0, 0, DEGREE) += (power * tables.back()).narrow(0, 1, DEGREE);
      tables.push_back(slope);
    }
    table_ = torch::cat(tables, 1).to(options);
  }
  const Tensor u = (frac - 0.5 * (order_ - 1)).to(type).unsqueeze(-1);
  const Tensor all = torch::pow(u, torch::arange(DEGREE + 1, options)).matmul(table_);
  return all.unflatten(-1, {derivatives + 1, order_}).movedim(-2, 0);
}

double Window::transform(int order, int boxes, double beta, double wave_number)
{
  const double width = order - boxes, x = M_PI * wave_number;
  const double square = beta * beta - width * width * x * x, root = std::sqrt(std::abs(square));
  const double kaiser_bessel = root < 1e-8 ? 1.0 : (square > 0.0 ? std::sinh(root) : std::sin(root)) / root;
  const double box = x == 0.0 ? 1.0 : std::sin(x) / x;
  return kaiser_bessel * std::pow(box, boxes);
}

Tensor Window::transform(const Tensor &n, int64_t mesh_size) const
{
  Tensor out = n / static_cast<double>(mesh_size);
  double *values = out.data_ptr<double>();
  for (int64_t i = 0; i < n.numel(); i++) values[i] = transform(order_, boxes_, beta_, values[i]);
  return (order_ - boxes_) / i0(beta_) * out;
}

}    // namespace les

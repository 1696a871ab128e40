#include "stencils.h"

#include "mesh_choice.h"

#include <ATen/Dispatch.h>

namespace les {

using torch::Tensor;

namespace {

// f with the number of window points as a constant: loops over points then become vector instructions.
template <class F> void with_order(int order, F &&f)
{
  static_assert(MeshSettings::MIN_ORDER == 5 && MeshSettings::MAX_ORDER + 2 == 12);
  switch (order) {
  case 5: return f(std::integral_constant<int, 5>());
  case 6: return f(std::integral_constant<int, 6>());
  case 7: return f(std::integral_constant<int, 7>());
  case 8: return f(std::integral_constant<int, 8>());
  case 9: return f(std::integral_constant<int, 9>());
  case 10: return f(std::integral_constant<int, 10>());
  case 11: return f(std::integral_constant<int, 11>());    // of a mesh that is a reference for another
  case 12: return f(std::integral_constant<int, 12>());
  default: TORCH_INTERNAL_ASSERT(false);    // choose_mesh has seen to it
  }
}

Tensor products(const Tensor &a, const Tensor &b, const Tensor &c)
{
  return (a.unsqueeze(2).unsqueeze(3) * b.unsqueeze(1).unsqueeze(3) * c.unsqueeze(1).unsqueeze(2))
      .reshape({a.size(0), -1});
}

}    // namespace

Stencils::Stencils(const Window &window, const Tensor &fractional, const Tensor &size,
                   const std::array<int64_t, 3> &mesh, torch::ScalarType type, bool loops, bool whole) :
    order_(window.order()), loops_(loops), size_(size)
{
  const int64_t n = fractional.size(0);
  Tensor u = fractional * size;    // [n, 3], mesh units
  if (n > 0 && !whole) {           // atoms that spread over more than the cell are put back into it
    const Tensor extent = std::get<0>(u.max(0)) - std::get<0>(u.min(0));
    u = torch::where(extent > size - 1.0, u - (fractional.floor() * size), u);
  }
  // points first ... first + order - 1 lie within order/2 of the atom
  const Tensor first = torch::ceil(u - 0.5 * order_);
  first_ = first.to(torch::kInt64);
  if (whole) region_.high = mesh;
  else if (n > 0) {
    const Tensor low = std::get<0>(first.min(0)), high = std::get<0>(first.max(0)) + order_;
    const Tensor bounds = torch::stack({low, high}).to(torch::kCPU);
    TORCH_CHECK(bounds.isfinite().all().item<bool>(), "a position is not finite");
    const double *b = bounds.data_ptr<double>();
    for (int a = 0; a < 3; a++) {
      region_.low[a] = static_cast<int64_t>(b[a]);
      region_.high[a] = static_cast<int64_t>(b[3 + a]);
    }
    first_ = first_ - low.to(torch::kInt64);
  }
  const Tensor fraction = (u - first).contiguous();    // atom minus first point, mesh units
  if (!loops) {
    points_ = flat_points(mesh);
    std::tie(w_, dw_) = window.evaluate(fraction, type);
    return;
  }
  const auto options = fraction.options().dtype(type);
  w_ = torch::empty({n, 3, order_}, options);
  dw_ = torch::empty({n, 3, order_}, options);
  AT_DISPATCH_FLOATING_TYPES(type, "windows", [&] {
    with_order(order_, [&](auto order) {
      window.evaluate<order>(fraction.data_ptr<double>(), 3 * n, w_.data_ptr<scalar_t>(), dw_.data_ptr<scalar_t>());
    });
  });
}

// Flat indices into the region of all points of all atoms, [n P^3]. On the whole mesh also a position that is not finite gets some
// of its points: the energy then shows it.
Tensor Stencils::flat_points(const std::array<int64_t, 3> &mesh) const
{
  const Tensor p = torch::arange(order_, first_.options());
  const auto along = [&](int axis) {    // [n, P]
    const Tensor points = first_.select(1, axis).unsqueeze(1) + p;
    return region_.length(axis) == mesh[axis] ? points.remainder(mesh[axis]) : points;
  };
  const Tensor line = (along(0) * region_.length(1)).unsqueeze(2) + along(1).unsqueeze(1);    // [n, P, P]
  return ((line * region_.length(2)).unsqueeze(3) + along(2).unsqueeze(1).unsqueeze(2)).view({-1});
}

Tensor Stencils::spread(const Tensor &charges) const
{
  Tensor mesh = torch::zeros(region_.shape(), charges.options());
  const int64_t n = charges.size(0);
  if (n == 0) return mesh;
  if (!loops_) {
    const Tensor values = products(w_.select(1, 0), w_.select(1, 1), w_.select(1, 2)) * charges.unsqueeze(1);
    mesh.view({-1}).index_add_(0, points_, values.view({-1}));
    return mesh;
  }
  const Tensor q = charges.contiguous();
  const int64_t s0 = mesh.stride(0), s1 = mesh.stride(1);
  const int64_t *first = first_.data_ptr<int64_t>();
  AT_DISPATCH_FLOATING_TYPES(q.scalar_type(), "spread", [&] {
    const scalar_t *charge = q.data_ptr<scalar_t>(), *weights = w_.data_ptr<scalar_t>();
    scalar_t *out = mesh.data_ptr<scalar_t>();
    with_order(order_, [&](auto order) {
      constexpr int P = order;
      for (int64_t i = 0; i < n; i++) {
        const scalar_t *wx = weights + 3 * P * i, *wy = wx + P;
        scalar_t wz[P];
        std::copy_n(wy + P, P, wz);
        scalar_t *base = out + first[3 * i] * s0 + first[3 * i + 1] * s1 + first[3 * i + 2];
        for (int a = 0; a < P; a++)
          for (int b = 0; b < P; b++) {
            const scalar_t v = charge[i] * wx[a] * wy[b];
            scalar_t *row = base + a * s0 + b * s1;
            for (int c = 0; c < P; c++) row[c] += v * wz[c];
          }
      }
    });
  });
  return mesh;
}

Tensor Stencils::gather(const Tensor &mesh) const { return gather_with_slope(mesh).first; }

std::pair<Tensor, Tensor> Stencils::gather_with_slope(const Tensor &values) const
{
  const int64_t n = first_.size(0);
  const auto options = values.options();
  Tensor f = torch::zeros({n}, options), slope = torch::zeros({n, 3}, options);
  if (n == 0) return {f, slope.to(torch::kFloat64)};
  if (!loops_) {
    const Tensor around = values.reshape({-1}).index_select(0, points_).view({n, -1});
    const auto x = w_.select(1, 0), y = w_.select(1, 1), z = w_.select(1, 2);
    f = (around * products(x, y, z)).sum(1);
    slope = torch::stack({(around * products(dw_.select(1, 0), y, z)).sum(1),
                          (around * products(x, dw_.select(1, 1), z)).sum(1),
                          (around * products(x, y, dw_.select(1, 2))).sum(1)},
                         1);
    return {f, slope.to(torch::kFloat64) * size_};
  }
  const Tensor mesh = values.contiguous();
  const int64_t s0 = mesh.stride(0), s1 = mesh.stride(1);
  const int64_t *first = first_.data_ptr<int64_t>();
  AT_DISPATCH_FLOATING_TYPES(mesh.scalar_type(), "gather", [&] {
    const scalar_t *in = mesh.data_ptr<scalar_t>(), *weights = w_.data_ptr<scalar_t>(),
                   *slopes = dw_.data_ptr<scalar_t>();
    scalar_t *out = f.data_ptr<scalar_t>(), *grad = slope.data_ptr<scalar_t>();
    with_order(order_, [&](auto order) {
      constexpr int P = order;
      for (int64_t i = 0; i < n; i++) {
        const scalar_t *wx = weights + 3 * P * i, *wy = wx + P, *wz = wy + P;
        const scalar_t *dx = slopes + 3 * P * i, *dy = dx + P, *dz = dy + P;
        const scalar_t *base = in + first[3 * i] * s0 + first[3 * i + 1] * s1 + first[3 * i + 2];
        // along the last axis, summed over the others with the values and with either slope
        scalar_t line[P] = {}, tilt_x[P] = {}, tilt_y[P] = {};
        for (int a = 0; a < P; a++) {
          scalar_t sum[P] = {}, tilt[P] = {};
          for (int b = 0; b < P; b++) {
            const scalar_t *row = base + a * s0 + b * s1;
            for (int c = 0; c < P; c++) {
              sum[c] += wy[b] * row[c];
              tilt[c] += dy[b] * row[c];
            }
          }
          for (int c = 0; c < P; c++) {
            line[c] += wx[a] * sum[c];
            tilt_x[c] += dx[a] * sum[c];
            tilt_y[c] += wx[a] * tilt[c];
          }
        }
        scalar_t value = 0, gx = 0, gy = 0, gz = 0;
        for (int c = 0; c < P; c++) {
          value += line[c] * wz[c];
          gx += tilt_x[c] * wz[c];
          gy += tilt_y[c] * wz[c];
          gz += line[c] * dz[c];
        }
        out[i] = value;
        grad[3 * i] = gx;
        grad[3 * i + 1] = gy;
        grad[3 * i + 2] = gz;
      }
    });
  });
  return {f, slope.to(torch::kFloat64) * size_};
}

}    // namespace les

// Stencils by tensor operations; those by loops over atoms are in stencil_loops.cpp.
#include "stencils.h"

namespace les {

using torch::Tensor;

namespace {

Tensor products(const Tensor &a, const Tensor &b, const Tensor &c)
{
  return (a.unsqueeze(2).unsqueeze(3) * b.unsqueeze(1).unsqueeze(3) * c.unsqueeze(1).unsqueeze(2))
      .reshape({a.size(0), -1});
}

}    // namespace

Stencils::Stencils(const Window &window, const Tensor &fractional, const Tensor &size,
                   const std::array<int64_t, 3> &mesh, torch::ScalarType type, bool loops, bool whole) :
    order_(window.order()), loops_(loops), mesh_(mesh), size_(size)
{
  Tensor u = fractional * size;              // [n, 3], mesh units
  if (fractional.size(0) > 0 && !whole) {    // atoms that spread over more than the cell are put back into it
    const Tensor extent = std::get<0>(u.max(0)) - std::get<0>(u.min(0));
    u = torch::where(extent > size - 1.0, u - (fractional.floor() * size), u);
  }
  if (whole) region_.high = mesh;
  if (loops) place_by_loops(window, u.contiguous(), type, whole);
  else place_by_tensors(window, u, type, whole);
}

void Stencils::place_by_tensors(const Window &window, const Tensor &u, torch::ScalarType type, bool whole)
{
  // points first ... first + order - 1 lie within order/2 of the atom
  const Tensor first = torch::ceil(u - 0.5 * order_);
  first_ = first.to(torch::kInt64);
  if (!whole && u.size(0) > 0) {
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
  points_ = flat_points();
  std::tie(w_, dw_) = window.evaluate(u - first, type);
}

// Flat indices into the region of all points of all atoms, [n P^3]. On the whole mesh also a position that is not finite gets some
// of its points: the energy then shows it.
Tensor Stencils::flat_points() const
{
  const Tensor p = torch::arange(order_, first_.options());
  const auto along = [&](int axis) {    // [n, P]
    const Tensor points = first_.select(1, axis).unsqueeze(1) + p;
    return region_.length(axis) == mesh_[axis] ? points.remainder(mesh_[axis]) : points;
  };
  const Tensor line = (along(0) * region_.length(1)).unsqueeze(2) + along(1).unsqueeze(1);    // [n, P, P]
  return ((line * region_.length(2)).unsqueeze(3) + along(2).unsqueeze(1).unsqueeze(2)).view({-1});
}

Tensor Stencils::spread(const Tensor &charges) const
{
  Tensor mesh = torch::zeros(region_.shape(), charges.options());
  if (charges.size(0) == 0) return mesh;
  if (loops_) {
    spread_by_loops(charges.contiguous(), mesh);
    return mesh;
  }
  const Tensor values = products(w_.select(1, 0), w_.select(1, 1), w_.select(1, 2)) * charges.unsqueeze(1);
  mesh.view({-1}).index_add_(0, points_, values.view({-1}));
  return mesh;
}

Tensor Stencils::gather(const Tensor &mesh) const
{
  const int64_t n = first_.size(0);
  Tensor f = torch::zeros({n}, mesh.options()), none;
  if (n == 0) return f;
  if (loops_) {
    gather_by_loops<false>(mesh.contiguous(), f, none);
    return f;
  }
  const Tensor around = mesh.reshape({-1}).index_select(0, points_).view({n, -1});
  return (around * products(w_.select(1, 0), w_.select(1, 1), w_.select(1, 2))).sum(1);
}

std::pair<Tensor, Tensor> Stencils::gather_with_slope(const Tensor &mesh) const
{
  const int64_t n = first_.size(0);
  const auto f64 = mesh.options().dtype(torch::kFloat64);
  if (n == 0 || loops_) {
    Tensor f = torch::empty({n}, mesh.options()), slope = torch::empty({n, 3}, f64);
    if (n > 0) gather_by_loops<true>(mesh.contiguous(), f, slope);
    return {f, slope};
  }
  const Tensor around = mesh.reshape({-1}).index_select(0, points_).view({n, -1});
  const auto x = w_.select(1, 0), y = w_.select(1, 1), z = w_.select(1, 2);
  const Tensor slope = torch::stack({(around * products(dw_.select(1, 0), y, z)).sum(1),
                                     (around * products(x, dw_.select(1, 1), z)).sum(1),
                                     (around * products(x, y, dw_.select(1, 2))).sum(1)},
                                    1);
  return {(around * products(x, y, z)).sum(1), slope.to(torch::kFloat64) * size_};
}

}    // namespace les

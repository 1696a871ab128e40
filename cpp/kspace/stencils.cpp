// Stencils by tensor operations; those by loops over atoms are in stencil_loops.cpp.
#include "stencils.h"

#include "powers.h"

namespace les {

using torch::Tensor;

Stencils::Stencils(const Window &window, const Tensor &positions, const Tensor &inverse, const Tensor &size,
                   const std::array<int64_t, 3> &mesh, torch::ScalarType type, bool loops, bool whole,
                   int derivatives) : window_(window), order_(window.order()), loops_(loops), mesh_(mesh)
{
  if (whole) region_.high = mesh;
  if (loops) place_by_loops(positions, inverse, type, whole);
  else place_by_tensors(positions.matmul(inverse), size, type, whole, derivatives);
}

void Stencils::place_by_tensors(const Tensor &fractional, const Tensor &size, torch::ScalarType type, bool whole,
                                int derivatives)
{
  Tensor u = fractional * size;              // [n, 3], mesh units
  if (fractional.size(0) > 0 && !whole) {    // atoms that spread over more than the cell are put back into it
    const Tensor extent = std::get<0>(u.max(0)) - std::get<0>(u.min(0));
    u = torch::where(extent > size - 1.0, u - (fractional.floor() * size), u);
  }
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
  w_ = window_.evaluate(u - first, derivatives, type);
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

Tensor Stencils::spread(const Tensor &weights) const
{
  Tensor mesh = torch::zeros(region_.shape(), weights.options());
  if (weights.size(0) == 0) return mesh;
  if (loops_) {
    spread_by_loops(weights.contiguous(), mesh);
    return mesh;
  }
  // axis by axis: sums over derivatives along x [n, P], then along y [n, P, P], then along z [n, P, P, P]
  const auto w = [&](int derivative, int axis) { return w_[derivative].select(1, axis); };
  const auto add = [](Tensor &sum, const Tensor &term) { sum = sum.defined() ? sum + term : term; };
  Tensor values;
  for (int k = 0; count_of_powers(k) <= weights.size(1); k++) {
    Tensor plane;
    for (int j = 0; count_of_powers(j + k) <= weights.size(1); j++) {
      Tensor line;
      for (int i = 0; count_of_powers(i + j + k) <= weights.size(1); i++)
        add(line, weights.select(1, place_of({i, j, k})).unsqueeze(1) * w(i, 0));
      add(plane, line.unsqueeze(2) * w(j, 1).unsqueeze(1));
    }
    add(values, plane.unsqueeze(3) * w(k, 2).unsqueeze(1).unsqueeze(1));
  }
  mesh.view({-1}).index_add_(0, points_, values.view({-1}));
  return mesh;
}

Tensor Stencils::gather(const Tensor &mesh, int order) const
{
  const int64_t n = first_.size(0), d = order + 1;
  Tensor f = torch::empty({n, count_of_powers(order)}, mesh.options().dtype(torch::kFloat64));
  if (n == 0) return f;
  if (loops_) {
    gather_by_loops(mesh.contiguous(), order, f);
    return f;
  }
  // sums over the points along z, then y, then x: all products of derivatives, [n, x, y, z]
  const auto w = [&](int axis) { return w_.narrow(0, 0, d).select(2, axis).permute({1, 2, 0}); };    // [n, P, d]
  Tensor sum = mesh.reshape({-1}).index_select(0, points_).view({n, order_ * order_, order_}).bmm(w(2));
  sum = sum.view({n, order_, order_, d}).transpose(2, 3).reshape({n, order_ * d, order_}).bmm(w(1));    // [n, x z, y]
  sum = sum.view({n, order_, d * d}).transpose(1, 2).bmm(w(0)).view({n, d, d, d});                      // [n, z, y, x]
  for (const Exponents &e : powers_up_to(order))
    f.select(1, place_of(e)).copy_(sum.select(1, e[2]).select(1, e[1]).select(1, e[0]));
  return f;
}

}    // namespace les

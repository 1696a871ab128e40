// Stencils by loops over atoms, on a CPU.
//
// Rows of points along the last axis are padded to whole vectors, with a window of zero: where such a row would reach beyond the
// region, or over the end of a periodic mesh, its points are taken one by one.
#include "mesh_choice.h"
#include "stencils.h"

#include <ATen/Dispatch.h>

#include <cmath>
#include <limits>

namespace les {

using torch::Tensor;

namespace {

// f with the number of window points as a constant.
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

// Offsets into a region of the points around one atom, which may pass over the end of an axis.
template <int P, class T> struct Offsets {
  int64_t x[P], y[P], z[P];
  bool row;    // whether padded rows begin at z[0] and stay inside

  Offsets(const int64_t *first, const std::array<int64_t, 3> &length)
  {
    const int64_t stride[3] = {length[1] * length[2], length[2], 1};
    int64_t *offsets[3] = {x, y, z};
    for (int a = 0; a < 3; a++)
      for (int p = 0; p < P; p++) {
        const int64_t at = first[a] + p;
        offsets[a][p] = (at < length[a] ? at : at - length[a]) * stride[a];
      }
    row = first[2] + Row<P, T>::SIZE <= length[2];
  }
};

std::array<int64_t, 3> lengths(const Brick &b) { return {b.length(0), b.length(1), b.length(2)}; }

}    // namespace

void Stencils::place_by_loops(const Window &window, const Tensor &u, torch::ScalarType type, bool whole)
{
  const int64_t n = u.size(0);
  first_ = torch::empty({n, 3}, torch::kInt64);
  const double *at = u.data_ptr<double>();
  int64_t *first = first_.data_ptr<int64_t>();
  std::array<int64_t, 3> low, high;
  low.fill(std::numeric_limits<int64_t>::max());
  high.fill(std::numeric_limits<int64_t>::min());
  for (int64_t k = 0; k < 3 * n; k++) {
    TORCH_CHECK(std::abs(at[k]) < 1e15, "a position is not finite");
    // points first ... first + order - 1 lie within order/2 of the atom
    first[k] = static_cast<int64_t>(std::ceil(at[k] - 0.5 * order_));
    low[k % 3] = std::min(low[k % 3], first[k]);
    high[k % 3] = std::max(high[k % 3], first[k] + order_);
  }
  AT_DISPATCH_FLOATING_TYPES(type, "windows", [&] {
    with_order(order_, [&](auto order) {
      using Points = Row<order, scalar_t>;
      const auto polynomials = window.polynomials<order, scalar_t>();
      w_ = torch::empty({n, 3, Points::SIZE}, type);
      dw_ = torch::empty({n, 3, Points::SIZE}, type);
      scalar_t *w = w_.data_ptr<scalar_t>(), *dw = dw_.data_ptr<scalar_t>();
      for (int64_t k = 0; k < 3 * n; k++) {
        Points value, slope;
        polynomials.evaluate(at[k] - static_cast<double>(first[k]), value, slope);
        value.store(w + Points::SIZE * k);
        slope.store(dw + Points::SIZE * k);
      }
    });
  });
  if (!whole && n > 0) {
    region_.low = low;
    region_.high = high;
  }
  for (int64_t k = 0; k < 3 * n; k++) {
    const int64_t size = mesh_[k % 3];
    first[k] = whole ? (first[k] % size + size) % size : first[k] - low[k % 3];
  }
}

void Stencils::spread_by_loops(const Tensor &charges, Tensor &mesh) const
{
  const int64_t n = charges.size(0), *first = first_.data_ptr<int64_t>();
  const auto length = lengths(region_);
  AT_DISPATCH_FLOATING_TYPES(charges.scalar_type(), "spread", [&] {
    const scalar_t *charge = charges.data_ptr<scalar_t>(), *windows = w_.data_ptr<scalar_t>();
    scalar_t *out = mesh.data_ptr<scalar_t>();
    with_order(order_, [&](auto order) {
      constexpr int P = order;
      using Points = Row<P, scalar_t>;
      for (int64_t i = 0; i < n; i++) {
        const Offsets<P, scalar_t> at(first + 3 * i, length);
        const scalar_t *wx = windows + 3 * Points::SIZE * i, *wy = wx + Points::SIZE, *wz = wy + Points::SIZE;
        Points z;
        z.load(wz);
        for (int a = 0; a < P; a++)
          for (int b = 0; b < P; b++) {
            const scalar_t v = charge[i] * wx[a] * wy[b];
            scalar_t *points = out + at.x[a] + at.y[b];
            if (at.row) {
              Points sum;
              sum.load(points + at.z[0]);
              sum.add(v, z);
              sum.store(points + at.z[0]);
            } else
              for (int c = 0; c < P; c++) points[at.z[c]] += v * wz[c];
          }
      }
    });
  });
}

template <bool WITH_SLOPE> void Stencils::gather_by_loops(const Tensor &mesh, Tensor &f, Tensor &slope) const
{
  const int64_t n = first_.size(0), *first = first_.data_ptr<int64_t>();
  const auto length = lengths(region_);
  const auto size = mesh_;
  AT_DISPATCH_FLOATING_TYPES(mesh.scalar_type(), "gather", [&] {
    const scalar_t *in = mesh.data_ptr<scalar_t>(), *windows = w_.data_ptr<scalar_t>(),
                   *slopes = dw_.data_ptr<scalar_t>();
    scalar_t *out = f.data_ptr<scalar_t>();
    double *rise = WITH_SLOPE ? slope.data_ptr<double>() : nullptr;
    with_order(order_, [&](auto order) {
      constexpr int P = order;
      using Points = Row<P, scalar_t>;
      for (int64_t i = 0; i < n; i++) {
        const Offsets<P, scalar_t> at(first + 3 * i, length);
        const scalar_t *wx = windows + 3 * Points::SIZE * i, *wy = wx + Points::SIZE;
        const scalar_t *dx = slopes + 3 * Points::SIZE * i, *dy = dx + Points::SIZE;
        Points line, tilt_x,
            tilt_y;    // along the last axis, summed over the others with the window and with either slope
        for (int a = 0; a < P; a++) {
          Points sum, tilt;
          for (int b = 0; b < P; b++) {
            const scalar_t *points = in + at.x[a] + at.y[b];
            Points row;
            if (at.row) row.load(points + at.z[0]);
            else {
              scalar_t one_by_one[Points::SIZE] = {};
              for (int c = 0; c < P; c++) one_by_one[c] = points[at.z[c]];
              row.load(one_by_one);
            }
            sum.add(wy[b], row);
            if (WITH_SLOPE) tilt.add(dy[b], row);
          }
          line.add(wx[a], sum);
          if (WITH_SLOPE) tilt_x.add(dx[a], sum);
          if (WITH_SLOPE) tilt_y.add(wx[a], tilt);
        }
        Points z, dz;
        z.load(wy + Points::SIZE);
        out[i] = line.dot(z);
        if (!WITH_SLOPE) continue;
        dz.load(dy + Points::SIZE);
        rise[3 * i] = static_cast<double>(size[0]) * tilt_x.dot(z);
        rise[3 * i + 1] = static_cast<double>(size[1]) * tilt_y.dot(z);
        rise[3 * i + 2] = static_cast<double>(size[2]) * line.dot(dz);
      }
    });
  });
}

template void Stencils::gather_by_loops<true>(const Tensor &, Tensor &, Tensor &) const;
template void Stencils::gather_by_loops<false>(const Tensor &, Tensor &, Tensor &) const;

}    // namespace les

// Stencils by loops over atoms, on a CPU.
//
// Rows of points along the last axis are padded to whole vectors, with a window of zero: where such a row would reach beyond the
// region, or over the end of a periodic mesh, its points are taken one by one.
#include "mesh_choice.h"
#include "powers.h"
#include "stencils.h"

#include <ATen/Dispatch.h>

#include <cmath>
#include <limits>
#include <utility>

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

// f with the highest derivative as a constant.
template <class F> void with_derivatives(int derivatives, F &&f)
{
  switch (derivatives) {
  case 0: return f(std::integral_constant<int, 0>());
  case 1: return f(std::integral_constant<int, 1>());
  case 2: return f(std::integral_constant<int, 2>());
  case 3: return f(std::integral_constant<int, 3>());
  default: TORCH_INTERNAL_ASSERT(false);    // MeshSum has seen to it
  }
}

// f(0) ... f(N - 1) one after the other, with constants: what these index stays in registers.
template <int N, class F> inline void unrolled(F &&f)
{
  [&]<int... I>(std::integer_sequence<int, I...>) {
    (f(std::integral_constant<int, I>()), ...);
  }(std::make_integer_sequence<int, N>());
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

// The window and its derivatives around one atom, on the three axes.
template <int P, int D, class T> struct Windows {
  const T *x[D + 1], *y[D + 1], *z[D + 1];

  Windows(const T *w, int64_t n, int64_t i)
  {
    for (int d = 0; d <= D; d++) {
      x[d] = w + 3 * Row<P, T>::SIZE * (n * d + i);
      y[d] = x[d] + Row<P, T>::SIZE;
      z[d] = y[d] + Row<P, T>::SIZE;
    }
  }
};

// Derivatives of the window up to the L-th, by weights [n, count_of_powers(L)]: a sum over those along x for each plane of points, over
// those along y for each line, over those along z for each row.
template <int P, int L, class T>
void spread_atoms(const Tensor &first, const T *windows, const Tensor &weights, const std::array<int64_t, 3> &length,
                  T *out)
{
  const int64_t n = first.size(0);
  for (int64_t i = 0; i < n; i++) {
    const Offsets<P, T> at(first.data_ptr<int64_t>() + 3 * i, length);
    const Windows<P, L, T> w(windows, n, i);
    const T *weight = weights.data_ptr<T>() + count_of_powers(L) * i;
    Row<P, T> z[L + 1];
    for (int k = 0; k <= L; k++) z[k].load(w.z[k]);
    for (int a = 0; a < P; a++) {
      T plane[L + 1][L + 1];    // by derivatives along y, z
      unrolled<L + 1>([&](auto k) {
        unrolled<L + 1 - k>([&](auto j) {
          plane[j][k] = weight[place_of({0, j, k})] * w.x[0][a];
          unrolled<L - k - j>([&](auto m) { plane[j][k] += weight[place_of({m + 1, j, k})] * w.x[m + 1][a]; });
        });
      });
      for (int b = 0; b < P; b++) {
        T line[L + 1];
        unrolled<L + 1>([&](auto k) {
          line[k] = plane[0][k] * w.y[0][b];
          unrolled<L - k>([&](auto j) { line[k] += plane[j + 1][k] * w.y[j + 1][b]; });
        });
        T *points = out + at.x[a] + at.y[b];
        if (at.row) {
          Row<P, T> sum;
          sum.load(points + at.z[0]);
          unrolled<L + 1>([&](auto k) { sum.add(line[k], z[k]); });
          sum.store(points + at.z[0]);
        } else
          for (int c = 0; c < P; c++)
            for (int k = 0; k <= L; k++) points[at.z[c]] += line[k] * w.z[k][c];
      }
    }
  }
}

// f and its derivatives up to the D-th: rows along z, summed over y with the derivatives along y, these over x with those along x, and at
// the end with those along z.
template <int P, int D, class T>
void gather_atoms(const Tensor &first, const T *windows, const T *in, const std::array<int64_t, 3> &length, double *f)
{
  using Points = Row<P, T>;
  const int64_t n = first.size(0);
  for (int64_t i = 0; i < n; i++) {
    const Offsets<P, T> at(first.data_ptr<int64_t>() + 3 * i, length);
    const Windows<P, D, T> w(windows, n, i);
    Points sums[D + 1][D + 1];    // by derivatives along x, y
    for (int a = 0; a < P; a++) {
      Points lines[D + 1];
      for (int b = 0; b < P; b++) {
        const T *points = in + at.x[a] + at.y[b];
        Points row;
        if (at.row) row.load(points + at.z[0]);
        else {
          T one_by_one[Points::SIZE] = {};
          for (int c = 0; c < P; c++) one_by_one[c] = points[at.z[c]];
          row.load(one_by_one);
        }
        unrolled<D + 1>([&](auto j) { lines[j].add(w.y[j][b], row); });
      }
      unrolled<D + 1>([&](auto m) { unrolled<D + 1 - m>([&](auto j) { sums[m][j].add(w.x[m][a], lines[j]); }); });
    }
    double *out = f + count_of_powers(D) * i;
    unrolled<D + 1>([&](auto k) {
      Points z;
      z.load(w.z[k]);
      unrolled<D + 1 - k>(
          [&](auto m) { unrolled<D + 1 - k - m>([&](auto j) { out[place_of({m, j, k})] = sums[m][j].dot(z); }); });
    });
  }
}

std::array<int64_t, 3> lengths(const Brick &b) { return {b.length(0), b.length(1), b.length(2)}; }

}    // namespace

void Stencils::place_by_loops(const Window &window, const Tensor &u, torch::ScalarType type, bool whole,
                              int derivatives)
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
      w_ = torch::empty({derivatives + 1, n, 3, Points::SIZE}, type);
      scalar_t *w = w_.data_ptr<scalar_t>();
      with_derivatives(derivatives, [&](auto highest) {
        for (int64_t k = 0; k < 3 * n; k++) {
          std::array<Points, highest + 1> rows;
          polynomials.template evaluate<highest>(at[k] - static_cast<double>(first[k]), rows);
          for (int d = 0; d <= highest; d++) rows[d].store(w + Points::SIZE * (3 * n * d + k));
        }
      });
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

void Stencils::spread_by_loops(const Tensor &weights, Tensor &mesh) const
{
  const auto length = lengths(region_);
  AT_DISPATCH_FLOATING_TYPES(weights.scalar_type(), "spread", [&] {
    with_order(order_, [&](auto order) {
      const auto spread = [&](auto highest) {
        spread_atoms<order, highest>(first_, w_.data_ptr<scalar_t>(), weights, length, mesh.data_ptr<scalar_t>());
      };
      switch (weights.size(1)) {
      case count_of_powers(0): return spread(std::integral_constant<int, 0>());
      case count_of_powers(1): return spread(std::integral_constant<int, 1>());
      case count_of_powers(2): return spread(std::integral_constant<int, 2>());
      default: TORCH_INTERNAL_ASSERT(false);
      }
    });
  });
}

void Stencils::gather_by_loops(const Tensor &mesh, int order, Tensor &f) const
{
  const auto length = lengths(region_);
  AT_DISPATCH_FLOATING_TYPES(mesh.scalar_type(), "gather", [&] {
    with_order(order_, [&](auto points) {
      with_derivatives(order, [&](auto highest) {
        gather_atoms<points, highest>(first_, w_.data_ptr<scalar_t>(), mesh.data_ptr<scalar_t>(), length,
                                      f.data_ptr<double>());
      });
    });
  });
}

}    // namespace les

// Made once for each instruction set, LES_ISA, with vectors of LES_BYTES. Functions that other object files may have too must not come in
// here (those of headers that are not inlined always), or a machine may meet instructions that it does not know.
//
// Rows of points along the last axis are padded to whole vectors, with a window of zero: where such a row would reach beyond the
// region, or over the end of a periodic mesh, its points are taken one by one.
#include "stencil_kernels.h"

#include "components.h"

#include <cstring>
#include <utility>

namespace les {
namespace {

#define LES_INLINE __attribute__((always_inline))

template <int N> using Number = std::integral_constant<int, N>;

// f(0) ... f(N - 1) one after the other, with constants: what these index stays in registers.
template <int N, class F> LES_INLINE inline void unrolled(F &&f)
{
  [&]<int... I>(std::integer_sequence<int, I...>)
      LES_INLINE { (f(Number<I>()), ...); }(std::make_integer_sequence<int, N>());
}

// P numbers, and zeros up to whole vectors. Compilers do not find vectors by themselves in loops over a few points.
template <int P, class T> struct Row {
  typedef T Vector __attribute__((vector_size(LES_BYTES)));    // of gcc and clang
  static constexpr int LANES = LES_BYTES / sizeof(T), VECTORS = (P + LANES - 1) / LANES, SIZE = LANES * VECTORS;
  Vector v[VECTORS];

  LES_INLINE Row()
  {
    unrolled<VECTORS>([&](auto n) LES_INLINE { v[n] = Vector{}; });
  }
  LES_INLINE void load(const T *from)
  {
    unrolled<VECTORS>([&](auto n) LES_INLINE { std::memcpy(&v[n], from + n * LANES, sizeof(Vector)); });
  }
  LES_INLINE void store(T *to) const
  {
    unrolled<VECTORS>([&](auto n) LES_INLINE { std::memcpy(to + n * LANES, &v[n], sizeof(Vector)); });
  }
  LES_INLINE void add(T factor, const Row &other)
  {
    unrolled<VECTORS>([&](auto n) LES_INLINE { v[n] += factor * other.v[n]; });
  }
  LES_INLINE T dot(const Row &other) const
  {
    Vector sum = v[0] * other.v[0];
    unrolled<VECTORS - 1>([&](auto n) LES_INLINE { sum += v[n + 1] * other.v[n + 1]; });
    T total = sum[0];
    for (int n = 1; n < LANES; n++) total += sum[n];
    return total;
  }
};

// The points around one atom: offsets into the region, whose ends may meet between them; and the window with its derivatives up to the D-th
template <int P, int D, class T> struct Stencil {
  using Points = Row<P, T>;
  int64_t x[P], y[P], z[P];
  bool row;    // whether padded rows begin at z[0] and stay inside
  Points w_z[D + 1];
  T w_x[D + 1][Points::SIZE], w_y[D + 1][Points::SIZE];

  LES_INLINE Stencil(const StencilWindow<T> &window, const StencilAtoms<T> &atoms, const int64_t (&length)[3],
                     int64_t i)
  {
    const int32_t *first = atoms.first + 3 * i;
    const int64_t stride[3] = {length[1] * length[2], length[2], 1};
    int64_t *const offsets[3] = {x, y, z};
    for (int a = 0; a < 3; a++)
      for (int p = 0; p < P; p++) {
        const int64_t at = first[a] + p;
        offsets[a][p] = (at < length[a] ? at : at - length[a]) * stride[a];
      }
    row = first[2] + Points::SIZE <= length[2];

    const T *u = atoms.u + 3 * i;
    for (int n = 0; n < Points::VECTORS; n++) {
      using Vector = typename Points::Vector;
      Vector taylor[3][D + 1] = {};    // w^(d)/d! on the axes
      for (int power = window.degree; power >= 0; power--) {
        Vector c;
        std::memcpy(&c, window.coefficients[power] + n * Points::LANES, sizeof(c));
        unrolled<3>([&](auto a) LES_INLINE {
          for (int d = D; d > 0; d--) taylor[a][d] = taylor[a][d] * u[a] + taylor[a][d - 1];
          taylor[a][0] = taylor[a][0] * u[a] + c;
        });
      }
      T factorial = 1;
      for (int d = 0; d <= D; d++) {
        const Vector wx = factorial * taylor[0][d], wy = factorial * taylor[1][d];
        std::memcpy(w_x[d] + n * Points::LANES, &wx, sizeof(wx));
        std::memcpy(w_y[d] + n * Points::LANES, &wy, sizeof(wy));
        w_z[d].v[n] = factorial * taylor[2][d];
        factorial *= static_cast<T>(d + 1);
      }
    }
  }
};

// A sum over derivatives along x for each plane of points, over those along y for each line, over those along z for each row.
template <int P, int L, class T>
void spread_atoms(const StencilWindow<T> &window, const StencilAtoms<T> &atoms, const int64_t (&length)[3],
                  const T *weights, T *mesh)
{
  for (int64_t i = 0; i < atoms.n; i++) {
    const Stencil<P, L, T> at(window, atoms, length, i);
    const T *weight = weights + count_of_powers(L) * i;
    for (int a = 0; a < P; a++) {
      T plane[L + 1][L + 1];    // by derivatives along y, z
      unrolled<L + 1>([&](auto k) LES_INLINE {
        unrolled<L + 1 - k>([&](auto j) LES_INLINE {
          plane[j][k] = weight[place_of(0, j, k)] * at.w_x[0][a];
          unrolled<L - k - j>([&](auto m)
                                  LES_INLINE { plane[j][k] += weight[place_of(m + 1, j, k)] * at.w_x[m + 1][a]; });
        });
      });
      for (int b = 0; b < P; b++) {
        T line[L + 1];
        unrolled<L + 1>([&](auto k) LES_INLINE {
          line[k] = plane[0][k] * at.w_y[0][b];
          unrolled<L - k>([&](auto j) LES_INLINE { line[k] += plane[j + 1][k] * at.w_y[j + 1][b]; });
        });
        T *points = mesh + at.x[a] + at.y[b];
        if (at.row) {
          Row<P, T> sum;
          sum.load(points + at.z[0]);
          unrolled<L + 1>([&](auto k) LES_INLINE { sum.add(line[k], at.w_z[k]); });
          sum.store(points + at.z[0]);
        } else {
          Row<P, T> sum;
          unrolled<L + 1>([&](auto k) LES_INLINE { sum.add(line[k], at.w_z[k]); });
          T one_by_one[Row<P, T>::SIZE];
          sum.store(one_by_one);
          for (int c = 0; c < P; c++) points[at.z[c]] += one_by_one[c];
        }
      }
    }
  }
}

// Rows along z, summed over y with the derivatives along y, these over x with those along x, and at the end with those along z.
template <int P, int D, class T>
void gather_atoms(const StencilWindow<T> &window, const StencilAtoms<T> &atoms, const int64_t (&length)[3],
                  const T *mesh, double *f)
{
  using Points = Row<P, T>;
  for (int64_t i = 0; i < atoms.n; i++) {
    const Stencil<P, D, T> at(window, atoms, length, i);
    Points sums[D + 1][D + 1];    // by derivatives along x, y
    for (int a = 0; a < P; a++) {
      Points lines[D + 1];
      for (int b = 0; b < P; b++) {
        const T *points = mesh + at.x[a] + at.y[b];
        Points row;
        if (at.row) row.load(points + at.z[0]);
        else {
          T one_by_one[Points::SIZE] = {};
          for (int c = 0; c < P; c++) one_by_one[c] = points[at.z[c]];
          row.load(one_by_one);
        }
        unrolled<D + 1>([&](auto j) LES_INLINE { lines[j].add(at.w_y[j][b], row); });
      }
      unrolled<D + 1>([&](auto m) LES_INLINE {
        unrolled<D + 1 - m>([&](auto j) LES_INLINE { sums[m][j].add(at.w_x[m][a], lines[j]); });
      });
    }
    double *out = f + count_of_powers(D) * i;
    unrolled<D + 1>([&](auto k) LES_INLINE {
      unrolled<D + 1 - k>([&](auto m) LES_INLINE {
        unrolled<D + 1 - k - m>([&](auto j) LES_INLINE { out[place_of(m, j, k)] = sums[m][j].dot(at.w_z[k]); });
      });
    });
  }
}

// f with a number from LOW to HIGH as a constant.
template <int LOW, int HIGH, class F> LES_INLINE inline void with_constant(int number, F &&f)
{
  unrolled<HIGH - LOW + 1>([&](auto n) LES_INLINE {
    if (number == LOW + n) f(Number<LOW + n>());
  });
}

template <class T>
void spread(const StencilWindow<T> &window, const StencilAtoms<T> &atoms, const int64_t (&length)[3], int L,
            const T *weights, T *mesh)
{
  with_constant<StencilWindow<T>::FEWEST_POINTS, StencilWindow<T>::MOST_POINTS>(
      window.order, [&](auto points) LES_INLINE {
        with_constant<0, 2>(L,
                            [&](auto l) LES_INLINE { spread_atoms<points, l>(window, atoms, length, weights, mesh); });
      });
}

template <class T>
void gather(const StencilWindow<T> &window, const StencilAtoms<T> &atoms, const int64_t (&length)[3], int L,
            const T *mesh, double *f)
{
  with_constant<StencilWindow<T>::FEWEST_POINTS, StencilWindow<T>::MOST_POINTS>(
      window.order, [&](auto points) LES_INLINE {
        with_constant<0, 3>(L, [&](auto l) LES_INLINE { gather_atoms<points, l>(window, atoms, length, mesh, f); });
      });
}

}    // namespace

#define LES_JOIN(a, b) a##_##b
#define LES_NAME(isa, type) LES_JOIN(isa, type)
extern const StencilKernels<float> LES_NAME(LES_ISA, float);
extern const StencilKernels<double> LES_NAME(LES_ISA, double);
const StencilKernels<float> LES_NAME(LES_ISA, float) { spread<float>, gather<float> };
const StencilKernels<double> LES_NAME(LES_ISA, double) { spread<double>, gather<double> };

}    // namespace les

// The loops over atoms of stencils.h, made for several instruction sets: the best that the processor has is taken.
#pragma once

#include <cstdint>

namespace les {

// Polynomials of a window of `order` points: point p, at the distance x from the atom, has sum_d coefficients[d][p] u^d
template <class T> struct StencilWindow {
  static constexpr int FEWEST_POINTS = 5, MOST_POINTS = 12, ROW = 16;
  int order, degree;
  const T (*coefficients)[ROW];    // [degree + 1], zero from p = order on
};

// Where they stand: the first of their points, inside the region, and u in [-1/2, 1/2] on each axis
template <class T> struct StencilAtoms {
  int64_t n;
  const int32_t *first;    // [n, 3]
  const T *u;              // [n, 3]
};

template <class T> struct StencilKernels {
  // Both for a region with so many points along its axes, whose ends meet where atoms reach over them. Derivatives of w up to the order L
  // have count_of_powers(L) components, see powers.h.
  //   spread: mesh += sum_i sum_p weights_ip w^(p)(x_i - m), weights [n, .], L = 0 ... 2
  //   gather: f_i, and its derivatives up to the order L = 0 ... 3, [n, .]
  void (*spread)(const StencilWindow<T> &window, const StencilAtoms<T> &atoms, const int64_t (&length)[3], int L,
                 const T *weights, T *mesh);
  void (*gather)(const StencilWindow<T> &window, const StencilAtoms<T> &atoms, const int64_t (&length)[3], int L,
                 const T *mesh, double *f);
};

template <class T> const StencilKernels<T> &stencil_kernels();

}    // namespace les

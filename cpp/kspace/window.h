// Window function that carries charges to a mesh and potentials back: a Kaiser-Bessel function, made smooth at its ends by two
// unit boxes,
//
//   w = KB * box * box,  KB(x) = I0(beta sqrt(1 - (2x/W)^2)) / I0(beta), |x| < W/2,  W = P - 2, x in mesh units, P points wide
//
// With the mesh finer than the wave vectors need by the factor s, the best beta is pi W (1 - 1/(2s)). KB is a polynomial on each
// unit interval, fitted to rounding; what two boxes make of polynomials is exact: w and its slope are continuous everywhere, also
// where an atom lies on a plane of the mesh.
#pragma once

#include "row.h"

#include <torch/types.h>

#include <cmath>
#include <utility>

namespace les {

class Window {
 public:
  static constexpr int KB_DEGREE = 11, DEGREE = KB_DEGREE + 2;    // of the polynomials of KB and of w

  Window(int order, double oversampling);

  int order() const { return order_; }
  // For loops of a known order P: w and dw/dx at x = frac - p for the points p = 0 ... P-1; frac in [P/2 - 1, P/2]
  template <int P, class T> struct Polynomials {
    Row<P, T> c[DEGREE + 1];
    void evaluate(double frac, Row<P, T> &w, Row<P, T> &slope) const;
  };
  template <int P, class T> Polynomials<P, T> polynomials() const;
  // The same by tensor operations, on the device of frac: [...] -> [..., P], of `type`
  std::pair<torch::Tensor, torch::Tensor> evaluate(const torch::Tensor &frac, torch::ScalarType type) const;
  // Continuous Fourier transform of w at the wave numbers n / N (per mesh unit, times 2 pi). n [any number] f64
  torch::Tensor transform(const torch::Tensor &n, int64_t mesh_size) const;

  static double beta(int order, double oversampling) { return M_PI * (order - 2) * (1.0 - 0.5 / oversampling); }
  // The transform at one wave number, but for a constant factor
  static double transform(int order, double beta, double wave_number);

 private:
  int order_;
  double beta_;
  torch::Tensor coefficients_;     // [DEGREE + 1, P] f64: of u^d, u = frac - (P-1)/2 in [-1/2, 1/2], at point p
  mutable torch::Tensor table_;    // [DEGREE + 1, 2P], of w and of its slope, where tensor operations last needed them
};

template <int P, class T> Window::Polynomials<P, T> Window::polynomials() const
{
  Polynomials<P, T> out;
  for (int d = 0; d <= DEGREE; d++) {
    T row[Row<P, T>::SIZE] = {};
    for (int p = 0; p < P; p++) row[p] = static_cast<T>(coefficients_.data_ptr<double>()[d * P + p]);
    out.c[d].load(row);
  }
  return out;
}

template <int P, class T>
inline void Window::Polynomials<P, T>::evaluate(double frac, Row<P, T> &w, Row<P, T> &slope) const
{
  const T u = static_cast<T>(frac - 0.5 * (P - 1));
  for (int n = 0; n < Row<P, T>::VECTORS; n++) {
    auto value = c[DEGREE].v[n], rise = value * T(0);
    for (int d = DEGREE - 1; d >= 0; d--) {
      rise = rise * u + value;
      value = value * u + c[d].v[n];
    }
    w.v[n] = value;
    slope.v[n] = rise;
  }
}

}    // namespace les

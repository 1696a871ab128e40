// Window function that carries charges to a mesh and potentials back: a Kaiser-Bessel function, made smooth at its ends by two
// unit boxes,
//
//   w = KB * box * box,  KB(x) = I0(beta sqrt(1 - (2x/W)^2)) / I0(beta), |x| < W/2,  W = P - 2, x in mesh units, P points wide
//
// With the mesh finer than the wave vectors need by the factor s, the best beta is pi W (1 - 1/(2s)). KB is a polynomial on each
// unit interval, fitted to rounding; what two boxes make of polynomials is exact: w and its slope are continuous everywhere, also
// where an atom lies on a plane of the mesh.
#pragma once

#include <torch/types.h>

#include <algorithm>
#include <utility>

namespace les {

class Window {
 public:
  static constexpr double MIN_OVERSAMPLING = 1.25;

  Window(int order, double oversampling);

  int order() const { return order_; }
  // The oversampling that a window of `order` points needs for a relative error of forces, and the error that it gives: fitted to
  // liquid and superionic water (within a factor of two), for P = 5 ... 10 and 1.2 < s < 2. Potentials are ten
  // times more accurate; crystals whose forces nearly vanish are some times less so.
  static double oversampling_for(int order, double accuracy);
  static double error(int order, double oversampling);

  // w and dw/dx at x = frac - p for the points p = 0 ... P-1 of `count` atoms; frac in [P/2 - 1, P/2]. -> [count, P] each
  template <int P, class T> void evaluate(const double *frac, int64_t count, T *w, T *slope) const;
  // The same by tensor operations, on the device of frac: [...] -> [..., P], of `type`
  std::pair<torch::Tensor, torch::Tensor> evaluate(const torch::Tensor &frac, torch::ScalarType type) const;
  // Continuous Fourier transform of w at wave numbers 2 pi n / N (per mesh unit). n [any shape] f64
  torch::Tensor transform(const torch::Tensor &n, int64_t mesh_size) const;

 private:
  static constexpr int KB_DEGREE = 11, DEGREE = KB_DEGREE + 2;    // of the polynomials of KB and of w

  int order_;
  double beta_;
  torch::Tensor coefficients_;     // [DEGREE + 1, P] f64: of u^d, u = frac - (P-1)/2 in [-1/2, 1/2], at point p
  mutable torch::Tensor table_;    // [DEGREE + 1, 2P], of w and of its slope, where tensor operations last needed them
};

template <int P, class T> void Window::evaluate(const double *frac, int64_t count, T *w, T *slope) const
{
  T c[DEGREE + 1][P];
  for (int d = 0; d <= DEGREE; d++)
    for (int p = 0; p < P; p++) c[d][p] = static_cast<T>(coefficients_.data_ptr<double>()[d * P + p]);
  for (int64_t i = 0; i < count; i++, w += P, slope += P) {
    const T u = static_cast<T>(frac[i] - 0.5 * (P - 1));
    T value[P], rise[P] = {};
    for (int p = 0; p < P; p++) value[p] = c[DEGREE][p];
    for (int d = DEGREE - 1; d >= 0; d--)
      for (int p = 0; p < P; p++) {
        rise[p] = rise[p] * u + value[p];
        value[p] = value[p] * u + c[d][p];
      }
    std::copy_n(value, P, w);
    std::copy_n(rise, P, slope);
  }
}

}    // namespace les

// Window function that carries charges to a mesh and potentials back: exponential of semicircle,
//
//   w(x) = exp(beta (sqrt(1 - (2x/P)^2) - 1)),  |x| < P/2,  x in mesh units, P points wide
//
// (Barnett, Magland and af Klinteberg, SIAM J. Sci. Comput. 41, C479 (2019)). With the mesh finer than the wave vectors need by
// the factor s, the best beta is about pi P (1 - 1/(2s)). Forces come from the slope of w, which its ends make ten times less
// accurate than potentials; their relative rms error is about exp(-5.4 - (pi P - 14) sqrt(1 - 1/s)), fitted to water, ice and
// perovskites for P = 6 ... 8 and 1.25 < s < 1.8.
#pragma once

#include <torch/types.h>

#include <utility>

namespace les {

class Window {
 public:
  static constexpr double MIN_OVERSAMPLING = 1.25;

  Window(int order, double oversampling);

  int order() const { return order_; }
  // The oversampling that a window of `order` points needs for a relative error of forces, and the error that it gives.
  static double oversampling_for(int order, double accuracy);
  static double error(int order, double oversampling);

  // w and dw/dx at x = frac - p for the points p = 0 ... P-1 of an atom; frac in [P/2 - 1, P/2).
  template <class T> void evaluate(T frac, T *w, T *slope) const;
  // The same by tensor operations, on the device of frac: [...] -> [..., P], of `type`
  std::pair<torch::Tensor, torch::Tensor> evaluate(const torch::Tensor &frac, torch::ScalarType type) const;
  // Continuous Fourier transform of w at wave numbers 2 pi n / N (per mesh unit). n [any shape] f64
  torch::Tensor transform(const torch::Tensor &n, int64_t mesh_size) const;

 private:
  int order_;
  double beta_;
};

template <class T> void Window::evaluate(T frac, T *w, T *slope) const
{
  const T scale = T(2.0) / T(order_), beta = T(beta_);
  for (int p = 0; p < order_; p++) {
    const T z = scale * (frac - T(p));
    const T root = std::sqrt(std::max(T(1.0) - z * z, T(1e-12)));
    w[p] = std::exp(beta * (root - T(1.0)));
    slope[p] = -beta * scale * z / root * w[p];
  }
}

}    // namespace les

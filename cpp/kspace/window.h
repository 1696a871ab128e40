// Window function that carries sources to a mesh and potentials back: a Kaiser-Bessel function, made smooth at its ends by b unit
// boxes,
//
//   w = KB * box * ... * box,  KB(x) = I0(beta sqrt(1 - (2x/W)^2)) / I0(beta), |x| < W/2,  W = P - b, x in mesh units, P points wide
//
// With the mesh finer than the wave vectors need by the factor s, the best beta is pi W (1 - 1/(2s)). KB is a polynomial on each
// unit interval, fitted far below the error of the mesh; what boxes make of polynomials is exact: w and its derivatives up to b - 1
// are continuous everywhere, also where an atom lies on a plane of the mesh. The energy holds as many derivatives of w as its sources
// have moments.
#pragma once

#include <torch/types.h>

#include <array>
#include <cmath>

namespace les {

class Window {
 public:
  static constexpr int DEGREE = 13;    // of the polynomials of w; those of KB have one less for each box
  // Boxes for sources up to charges, dipoles or quadrupoles (0, 1, 2)
  static int boxes_for(int moments) { return moments < 2 ? 2 : 3; }

  Window(int order, double oversampling, int boxes);

  int order() const { return order_; }
  // [DEGREE + 1, P] f64: of u^d, u = frac - (P-1)/2 in [-1/2, 1/2], at point p; on the host
  const torch::Tensor &coefficients() const { return coefficients_; }
  // [.., 16] of `type`: the same, without powers that make no difference in that type
  torch::Tensor coefficients(torch::ScalarType type) const { return padded_[type == torch::kFloat64]; }
  // w and its derivatives by x, at x = frac - p for the points p = 0 ... P-1, frac in [P/2 - 1, P/2], on its device:
  // [...] -> [derivatives + 1, ..., P], of `type`
  torch::Tensor evaluate(const torch::Tensor &frac, int derivatives, torch::ScalarType type) const;
  // Continuous Fourier transform of w at the wave numbers n / N (per mesh unit, times 2 pi). n [any number] f64
  torch::Tensor transform(const torch::Tensor &n, int64_t mesh_size) const;

  static double beta(int order, double oversampling, int boxes)
  {
    return M_PI * (order - boxes) * (1.0 - 0.5 / oversampling);
  }
  // The transform at one wave number, but for a constant factor
  static double transform(int order, int boxes, double beta, double wave_number);

 private:
  int order_, boxes_;
  double beta_;
  torch::Tensor coefficients_;
  std::array<torch::Tensor, 2> padded_;    // coefficients for float and double
  mutable torch::Tensor table_;            // [DEGREE + 1, (derivatives + 1) P] as tensor operations last needed it
};

}    // namespace les

#include "aliasing.h"

#include "parameters.h"
#include "window.h"

namespace les {

double aliasing_error(int order, double oversampling, double sigma_by_dl, int moments)
{
  constexpr double OF_MATTER = 2.0, OF_CHARGES = 0.25;    // moments by charges, in units of sigma
  // Gauss-Legendre, on [0, 1]
  constexpr int NODES = 8;
  constexpr double NODE[NODES] = {0.0198550717512319, 0.1016667612931866, 0.2372337950418355, 0.4082826787521751,
                                  0.5917173212478249, 0.7627662049581645, 0.8983332387068134, 0.9801449282487681};
  constexpr double WEIGHT[NODES] = {0.0506142681451881, 0.1111905172266872, 0.1568533229389436, 0.1813418916891810,
                                    0.1813418916891810, 0.1568533229389436, 0.1111905172266872, 0.0506142681451881};
  const int boxes = Window::boxes_for(moments);
  const double beta = Window::beta(order, oversampling, boxes), sigma = 2.0 * TWO_PI * oversampling * sigma_by_dl;
  const auto power = [&](double f2) {    // s(k), of the square of a wave number per mesh unit
    const double x = OF_CHARGES * sigma * sigma * f2;
    return 1.0 + (moments > 0 ? OF_CHARGES * x : 0.0) + (moments > 1 ? 0.3 * x * x : 0.0);
  };
  double errors = 0.0, forces = 0.0;
  for (int i = 0; i < NODES; i++) {    // |k|, wave numbers per mesh unit
    const double f = 0.5 * NODE[i] / oversampling, k = TWO_PI * NODE[i] * sigma_by_dl;    // k sigma
    const double weight = WEIGHT[i] * std::exp(-k * k) / (NODE[i] * NODE[i]);
    const double s = power(f * f);
    forces += weight * f * f * s * s;
    for (int j = 0; j < NODES; j++) {    // direction to one axis; the three are alike
      const double along = f * NODE[j], w = Window::transform(order, boxes, beta, along);
      for (const int m : {-2, -1, 1, 2}) {
        const double ratio = Window::transform(order, boxes, beta, along + m) / w;
        const double image = m * m + 2.0 * m * along + f * f;    // |k + mK|^2
        errors += 3.0 * weight * WEIGHT[j] * ratio * ratio * (image + f * f) * s * power(image);
      }
    }
  }
  return OF_MATTER * std::sqrt(errors / forces);
}

double oversampling_for(int order, double accuracy, double sigma_by_dl, int moments, double most)
{
  double low = MIN_OVERSAMPLING, high = most;
  if (aliasing_error(order, low, sigma_by_dl, moments) <= accuracy) return low;
  if (aliasing_error(order, high, sigma_by_dl, moments) > accuracy) return 0.0;
  while (high - low > 1e-4) {
    const double middle = 0.5 * (low + high);
    (aliasing_error(order, middle, sigma_by_dl, moments) > accuracy ? low : high) = middle;
  }
  return high;
}

}    // namespace les

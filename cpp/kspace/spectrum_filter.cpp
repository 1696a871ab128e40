#include "spectrum_filter.h"

#include <ATen/Dispatch.h>

#include <algorithm>

namespace les {

using torch::Tensor;

namespace {

// sum of e, and of e decay n_m n_n
struct Sums {
  double energy = 0.0, moments[3][3] = {};
};

template <class T>
Sums filter(const SpectrumFilter &f, const T *rho, int64_t plane, int64_t line, const T *other, T *phi)
{
  const auto n1 = static_cast<int64_t>(f.n[0].size()), n2 = static_cast<int64_t>(f.n[1].size()),
             n3 = static_cast<int64_t>(f.n[2].size());
  const T *green = f.green.data_ptr<T>(), *decay = f.decay.data_ptr<T>();
  // of a plane, by n3: sums of e, and of e decay times 1, n_2, n_2^2
  std::vector<double> rows(4 * n3);
  double *energy = rows.data(), *moment = energy + n3, *by_n2 = moment + n3, *by_n2_n2 = by_n2 + n3;
  Sums out;
  for (int64_t i = 0; i < n1; i++) {
    std::fill(rows.begin(), rows.end(), 0.0);
    for (int64_t j = 0; j < n2; j++) {
      const int64_t at = (i * n2 + j) * n3, columns = f.columns[i * n2 + j];
      const T *in = rho + 2 * (i * plane + j * line), *g = green + at, *d = decay + at;
      const T *with = other ? other + 2 * at : nullptr;
      T *to = phi + 2 * at;
      const double y = f.n[1][j], y2 = y * y;
      const auto add = [&](int64_t k, double e) {
        const double w = e * d[k];
        energy[k] += e;
        moment[k] += w;
        by_n2[k] += w * y;
        by_n2_n2[k] += w * y2;
      };
      if (with)
        for (int64_t k = 0; k < columns; k++) add(k, in[2 * k] * with[2 * k] + in[2 * k + 1] * with[2 * k + 1]);
      else
        for (int64_t k = 0; k < columns; k++) add(k, g[k] * (in[2 * k] * in[2 * k] + in[2 * k + 1] * in[2 * k + 1]));
      for (int64_t k = 0; k < columns; k++) {
        to[2 * k] = g[k] * in[2 * k];
        to[2 * k + 1] = g[k] * in[2 * k + 1];
      }
      std::fill(to + 2 * columns, to + 2 * n3, T(0));
    }
    const double x = f.n[0][i];
    for (int64_t k = 0; k < n3; k++) {
      // k and -k: the half that the real transform keeps stands for both, but for n3 = 0
      const double z = f.n[2][k], weight = z > 0.0 ? 1.0 : 0.5;
      const double m = weight * moment[k], my = weight * by_n2[k];
      out.energy += weight * energy[k];
      out.moments[0][0] += m * x * x;
      out.moments[0][1] += my * x;
      out.moments[0][2] += m * x * z;
      out.moments[1][1] += weight * by_n2_n2[k];
      out.moments[1][2] += my * z;
      out.moments[2][2] += m * z * z;
    }
  }
  return out;
}

}    // namespace

Tensor SpectrumFilter::apply(const Tensor &rho, const Tensor &other, Tensor &virial) const
{
  const Tensor in = rho.stride(2) == 1 ? rho : rho.contiguous();
  Tensor phi = torch::empty(green.sizes(), rho.options());
  Sums sums;
  AT_DISPATCH_FLOATING_TYPES(green.scalar_type(), "influence", [&] {
    const auto numbers = [](const Tensor &t) { return reinterpret_cast<scalar_t *>(t.data_ptr()); };
    sums = filter(*this, numbers(in), in.stride(0), in.stride(1), other.defined() ? numbers(other) : nullptr,
                  numbers(phi));
  });
  double *w = virial.data_ptr<double>();
  for (int a = 0; a < 3; a++)
    for (int b = 0; b < 3; b++) {
      double tensor = 0.0;
      for (int m = 0; m < 3; m++)
        for (int n = 0; n < 3; n++) tensor += k[a][m] * k[b][n] * sums.moments[std::min(m, n)][std::max(m, n)];
      w[3 * a + b] += (a == b ? sums.energy : 0.0) - 2.0 * tensor;
    }
  return phi;
}

}    // namespace les

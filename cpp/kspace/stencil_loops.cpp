// Stencils by loops over atoms, on a CPU.
#include "stencil_kernels.h"

#include "instruction_set.h"
#include "mesh_choice.h"
#include "stencils.h"

#include <ATen/Dispatch.h>

#include <cmath>

namespace les {

using torch::Tensor;

extern const StencilKernels<float> baseline_float;
extern const StencilKernels<double> baseline_double;
#ifdef __x86_64__
extern const StencilKernels<float> avx2_float;
extern const StencilKernels<double> avx2_double;
#endif

// of a mesh that is a reference for another: two points more
static_assert(StencilWindow<float>::FEWEST_POINTS == MeshSettings::MIN_ORDER &&
              StencilWindow<float>::MOST_POINTS == MeshSettings::MAX_ORDER + 2);

template <> const StencilKernels<float> &stencil_kernels()
{
#ifdef __x86_64__
  if (instruction_set() >= InstructionSet::Avx2) return avx2_float;
#endif
  return baseline_float;
}

template <> const StencilKernels<double> &stencil_kernels()
{
#ifdef __x86_64__
  if (instruction_set() >= InstructionSet::Avx2) return avx2_double;
#endif
  return baseline_double;
}

namespace {

// floor of numbers below 1e15, which is a function of a library where the processor is not known
int64_t whole_below(double v)
{
  const auto towards_zero = static_cast<int64_t>(v);
  return towards_zero - (static_cast<double>(towards_zero) > v);
}

template <class T> StencilWindow<T> window_of(const Tensor &coefficients, int order)
{
  return {order, static_cast<int>(coefficients.size(0)) - 1,
          reinterpret_cast<const T(*)[StencilWindow<T>::ROW]>(coefficients.data_ptr<T>())};
}

}    // namespace

void Stencils::place_by_loops(const Tensor &positions, const Tensor &inverse, torch::ScalarType type, bool whole)
{
  const int64_t n = positions.size(0);
  const Tensor r = positions.contiguous(), to_mesh = inverse.contiguous();
  const double *x = r.data_ptr<double>(), *by = to_mesh.data_ptr<double>();
  std::vector<double> at(3 * n);    // mesh units
  double low[3], high[3];
  bool finite = true;
  for (int a = 0; a < 3; a++) {
    const double size = static_cast<double>(mesh_[a]);
    const double row[3] = {by[a] * size, by[3 + a] * size, by[6 + a] * size};
    low[a] = HUGE_VAL;
    high[a] = -HUGE_VAL;
    for (int64_t i = 0; i < n; i++) {
      const double v = x[3 * i] * row[0] + x[3 * i + 1] * row[1] + x[3 * i + 2] * row[2];
      finite &= std::abs(v) < 1e15;
      at[3 * i + a] = v;
      low[a] = std::min(low[a], v);
      high[a] = std::max(high[a], v);
    }
    TORCH_CHECK(finite, "a position is not finite");
    // atoms that spread over more than the cell are put back into it
    if (!whole && !(high[a] - low[a] > size - 1.0)) continue;
    low[a] = HUGE_VAL;
    high[a] = -HUGE_VAL;
    for (int64_t i = 0; i < n; i++) {
      double &v = at[3 * i + a];
      v -= static_cast<double>(whole_below(v * (1.0 / size))) * size;
      low[a] = std::min(low[a], v);
      high[a] = std::max(high[a], v);
    }
  }
  // points first ... first + order - 1 lie within order/2 of the atom
  const auto first_of = [&](double v) { return -whole_below(0.5 * order_ - v); };
  if (!whole && n > 0)
    for (int a = 0; a < 3; a++) {
      region_.low[a] = first_of(low[a]);
      region_.high[a] = first_of(high[a]) + order_;
    }
  first_ = torch::empty({n, 3}, torch::kInt32);
  u_ = torch::empty({n, 3}, type);
  int32_t *first = first_.data_ptr<int32_t>();
  AT_DISPATCH_FLOATING_TYPES(type, "place", [&] {
    scalar_t *u = u_.data_ptr<scalar_t>();
    for (int64_t k = 0; k < 3 * n; k++) {
      const int64_t point = first_of(at[k]), a = k % 3, from_low = point - region_.low[a];
      first[k] = static_cast<int32_t>(!whole || from_low >= 0 ? from_low : from_low + mesh_[a]);
      u[k] = static_cast<scalar_t>(at[k] - static_cast<double>(point) - 0.5 * (order_ - 1));
    }
  });
}

void Stencils::spread_by_loops(const Tensor &weights, Tensor &mesh) const
{
  const int64_t length[3] = {region_.length(0), region_.length(1), region_.length(2)};
  const int moments = weights.size(1) == 1 ? 0 : weights.size(1) == 4 ? 1 : 2;
  AT_DISPATCH_FLOATING_TYPES(weights.scalar_type(), "spread", [&] {
    const Tensor coefficients = window_.coefficients(weights.scalar_type());
    stencil_kernels<scalar_t>().spread(window_of<scalar_t>(coefficients, order_),
                                       {first_.size(0), first_.data_ptr<int32_t>(), u_.data_ptr<scalar_t>()}, length,
                                       moments, weights.data_ptr<scalar_t>(), mesh.data_ptr<scalar_t>());
  });
}

void Stencils::gather_by_loops(const Tensor &mesh, int order, Tensor &f) const
{
  const int64_t length[3] = {region_.length(0), region_.length(1), region_.length(2)};
  AT_DISPATCH_FLOATING_TYPES(mesh.scalar_type(), "gather", [&] {
    const Tensor coefficients = window_.coefficients(mesh.scalar_type());
    stencil_kernels<scalar_t>().gather(window_of<scalar_t>(coefficients, order_),
                                       {first_.size(0), first_.data_ptr<int32_t>(), u_.data_ptr<scalar_t>()}, length,
                                       order, mesh.data_ptr<scalar_t>(), f.data_ptr<double>());
  });
}

}    // namespace les

#include "graph.h"

#include <ATen/Dispatch.h>

namespace les {

using torch::Tensor;

void add_rows(Tensor &out, const Tensor &index, const Tensor &rows, double scale)
{
  if (!out.is_cpu()) {
    out.index_add_(0, index, rows, scale);
    return;
  }
  // index_add_ of torch takes several times as long on a CPU
  const Tensor source = rows.contiguous(), target = index.contiguous();
  TORCH_CHECK(out.is_contiguous() && out.scalar_type() == source.scalar_type());
  const int64_t n = target.size(0), width = n ? source.numel() / n : 0;
  const int64_t *to = target.data_ptr<int64_t>();
  AT_DISPATCH_FLOATING_TYPES(out.scalar_type(), "add_rows", [&] {
    const scalar_t *from = source.data_ptr<scalar_t>();
    scalar_t *sum = out.data_ptr<scalar_t>();
    const auto factor = static_cast<scalar_t>(scale);
    for (int64_t e = 0; e < n; e++)
      for (int64_t k = 0; k < width; k++) sum[to[e] * width + k] += factor * from[e * width + k];
  });
}

void add_products(Tensor &out, const Tensor &index, const Tensor &a, const Tensor &b, double scale)
{
  if (!out.is_cpu()) {
    out.index_add_(0, index, a.unsqueeze(2) * b.unsqueeze(1), scale);
    return;
  }
  const Tensor left = a.contiguous(), right = b.contiguous(), target = index.contiguous();
  TORCH_CHECK(out.is_contiguous() && out.scalar_type() == torch::kFloat64 && left.scalar_type() == torch::kFloat64 &&
              right.scalar_type() == torch::kFloat64);
  const int64_t n = target.size(0), k = left.size(1);
  const int64_t *to = target.data_ptr<int64_t>();
  const double *x = left.data_ptr<double>(), *y = right.data_ptr<double>();
  double *sum = out.data_ptr<double>();
  for (int64_t e = 0; e < n; e++)
    for (int64_t i = 0; i < k; i++)
      for (int64_t j = 0; j < 3; j++) sum[(to[e] * k + i) * 3 + j] += scale * x[k * e + i] * y[3 * e + j];
}

}    // namespace les

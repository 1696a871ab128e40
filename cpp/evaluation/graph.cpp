#include "graph.h"

#include <ATen/Dispatch.h>

#include <algorithm>

namespace les {

using torch::Tensor;

namespace {

template <class T>
void edges_on_atoms(int64_t edges, const int64_t *center, const int64_t *neighbor, const double *r, const T *gradient,
                    double *out, double *strain)
{
  double sums[3][3] = {};
  for (int64_t e = 0; e < edges;) {
    const int64_t c = center[e];
    double on_center[3] = {};
    for (; e < edges && center[e] == c; e++) {
      double *on_neighbor = out + 3 * neighbor[e];
      for (int b = 0; b < 3; b++) {
        const double g = gradient[3 * e + b];
        on_center[b] += g;
        on_neighbor[b] += g;
        for (int a = 0; a < 3; a++) sums[a][b] += r[3 * e + a] * g;
      }
    }
    for (int b = 0; b < 3; b++) out[3 * c + b] -= on_center[b];
  }
  if (strain) std::copy_n(sums[0], 9, strain);
}

}    // namespace

Tensor on_atoms(const Graph &graph, const Tensor &edge_gradient, Tensor *strain)
{
  Tensor out = torch::zeros_like(graph.positions);
  if (!out.is_cpu()) {
    const Tensor g = edge_gradient.to(out.scalar_type());
    out.index_add_(0, graph.edge_index[1], g);
    out.index_add_(0, graph.edge_index[0], g, -1.0);
    if (strain) *strain = graph.edge_vectors.t().matmul(g);
    return out;
  }
  if (strain) *strain = torch::empty({3, 3}, torch::kFloat64);
  const Tensor g = edge_gradient.contiguous(), r = graph.edge_vectors.contiguous(),
               center = graph.edge_index[0].contiguous(), neighbor = graph.edge_index[1].contiguous();
  AT_DISPATCH_FLOATING_TYPES(g.scalar_type(), "on_atoms", [&] {
    edges_on_atoms(graph.n_edges(), center.data_ptr<int64_t>(), neighbor.data_ptr<int64_t>(), r.data_ptr<double>(),
                   g.data_ptr<scalar_t>(), out.data_ptr<double>(), strain ? strain->data_ptr<double>() : nullptr);
  });
  return out;
}

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
  TORCH_CHECK(out.is_contiguous() && out.scalar_type() == torch::kFloat64 && left.scalar_type() == torch::kFloat64);
  const int64_t n = target.size(0), k = left.size(1);
  const int64_t *to = target.data_ptr<int64_t>();
  const double *x = left.data_ptr<double>();
  double *sum = out.data_ptr<double>();
  AT_DISPATCH_FLOATING_TYPES(right.scalar_type(), "add_products", [&] {
    const scalar_t *y = right.data_ptr<scalar_t>();
    for (int64_t e = 0; e < n; e++)
      for (int64_t i = 0; i < k; i++)
        for (int64_t j = 0; j < 3; j++) sum[(to[e] * k + i) * 3 + j] += scale * x[k * e + i] * y[3 * e + j];
  });
}

}    // namespace les

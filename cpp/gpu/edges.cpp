#include "edges.h"

#include "kernels/edges.h"
#include "program.h"

namespace les::gpu {

SelectedEdges select_edges(const ListedEdges &list, const torch::Tensor &x, double cutoff, int64_t width)
{
  static const Program program("edges", {{"REAL", "double"}});
  const int64_t n = list.own.size(0);
  const auto i64 = x.options().dtype(torch::kInt64);
  SelectedEdges out{torch::empty({n * width, 3}, x.options()), torch::empty({2, n * width}, i64),
                    torch::zeros({}, i64)};
  program.launch("select_edges", x.device(), blocks_for(n * WARP, SELECT_THREADS), SELECT_THREADS,
                 SelectEdges{x.const_data_ptr<double>(), list.own.const_data_ptr<int>(),
                             list.first.const_data_ptr<int64_t>(), list.atom.const_data_ptr<int>(),
                             list.number.const_data_ptr<int>(), out.vectors.mutable_data_ptr<double>(),
                             out.index.mutable_data_ptr<int64_t>(), out.most.mutable_data_ptr<int64_t>(), cutoff,
                             static_cast<int>(n), static_cast<int>(width)});
  return out;
}

}    // namespace les::gpu

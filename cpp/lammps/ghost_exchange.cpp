#include "ghost_exchange.h"

#include "host_copy.h"

#include <algorithm>

namespace les {

using torch::Tensor;

// Rows of graph atoms, of the device and back. A ghost that is merged with its owner has no row of its own: LAMMPS's is zero, or not read.
Tensor GhostExchange::moved(const Tensor &rows, int64_t n_result, bool forward) const
{
  const Tensor from = to_host(rows.to(torch::kFloat64));
  const auto width = static_cast<size_t>(rows.size(1));
  std::vector<double> values(static_cast<size_t>(nall_) * width, 0.0);
  const double *source = from.data_ptr<double>();
  for (int64_t g = 0; g < rows.size(0); g++)
    std::copy_n(source + g * width, width, &values[width * graph_->lammps_index(static_cast<int>(g))]);
  const Tensor out = torch::empty({n_result, rows.size(1)}, torch::kFloat64);
  comm_.require_all_well();    // after what may fail on this rank alone
  move_all(values, width, forward);
  double *target = out.data_ptr<double>();
  for (int64_t g = 0; g < n_result; g++)
    std::copy_n(&values[width * graph_->lammps_index(static_cast<int>(g))], width, target + g * width);
  return to_device(out, rows.device()).to(rows.scalar_type());
}

void GhostExchange::move_all(std::vector<double> &rows, size_t width, bool forward) const
{
  rows_.values = &rows;
  rows_.width = width;
  for (rows_.first = 0; rows_.first < width; rows_.first += rows_.columns) {
    rows_.columns = std::min<size_t>(GhostRows::COLUMNS, width - rows_.first);
    move_(forward, static_cast<int>(rows_.columns));
  }
}

}    // namespace les

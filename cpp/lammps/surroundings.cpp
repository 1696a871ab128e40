#include "surroundings.h"

namespace les {

Surroundings::Surroundings(const LocalGraph::Atoms &owned, const Cell &h, const Boundary &periodic, double cutoff,
                           double reach, const Communicator &comm) :
    comm_(comm), nlocal_(owned.nlocal), excluded_(owned.excluded)
{
  const int64_t n = nlocal_;
  const auto f64 = torch::dtype(torch::kFloat64), i64 = torch::dtype(torch::kInt64);
  torch::Tensor r = torch::empty({n, 3}, f64), kinds = torch::empty({n, 3}, i64);
  for (int64_t i = 0; i < n; i++) {
    std::copy(owned.x[i], owned.x[i] + 3, r.data_ptr<double>() + 3 * i);
    const int64_t row[3] = {owned.type[i], owned.mask[i], static_cast<int64_t>(owned.tag[i])};
    std::copy(row, row + 3, kinds.data_ptr<int64_t>() + 3 * i);
  }
  const torch::Tensor counts = comm.gather_rows(torch::full({1}, n, i64));
  const torch::Tensor all_r = comm.gather_rows(r).contiguous(), all_kinds = comm.gather_rows(kinds).contiguous();
  n_system_ = all_r.size(0);
  offset_ = counts.narrow(0, 0, comm.rank()).sum().item<int64_t>();
  if (n == 0) return;

  // the box of this rank's atoms along the lattice vectors, and what they reach
  std::array<double, 3> low, high;
  const std::array<double, 3> width = widths(h);
  low.fill(HUGE_VAL);
  high.fill(-HUGE_VAL);
  for (int64_t i = 0; i < n; i++) {
    const auto s = fractional(owned.x[i], h);
    for (int m = 0; m < 3; m++) {
      low[m] = std::min(low[m], s[m] - reach / width[m]);
      high[m] = std::max(high[m], s[m] + reach / width[m]);
    }
  }
  const auto add = [&](int64_t system_index, const int (&image)[3]) {
    const double *x = all_r.data_ptr<double>() + 3 * system_index;
    const int64_t *kind = all_kinds.data_ptr<int64_t>() + 3 * system_index;
    positions_.push_back(x[0] + image[0] * h[0] + image[1] * h[5] + image[2] * h[4]);
    positions_.push_back(x[1] + image[1] * h[1] + image[2] * h[3]);
    positions_.push_back(x[2] + image[2] * h[2]);
    type_.push_back(static_cast<int>(kind[0]));
    mask_.push_back(static_cast<int>(kind[1]));
    tag_.push_back(static_cast<LAMMPS_NS::tagint>(kind[2]));
    system_index_.push_back(system_index);
  };
  for (int64_t i = 0; i < n; i++) add(offset_ + i, {0, 0, 0});
  for (int64_t j = 0; j < n_system_; j++) {
    const auto s = fractional(all_r.data_ptr<double>() + 3 * j, h);
    int from[3], to[3];
    for (int m = 0; m < 3; m++) {
      from[m] = periodic[m] ? static_cast<int>(std::ceil(low[m] - s[m])) : 0;
      to[m] = periodic[m] ? static_cast<int>(std::floor(high[m] - s[m])) : 0;
    }
    const bool own = j >= offset_ && j < offset_ + n;
    for (int a = from[0]; a <= to[0]; a++)
      for (int b = from[1]; b <= to[1]; b++)
        for (int c = from[2]; c <= to[2]; c++)
          if (!own || a != 0 || b != 0 || c != 0) add(j, {a, b, c});
  }
  for (size_t i = 0; i < system_index_.size(); i++) x_.push_back(&positions_[3 * i]);
  find_neighbors(cutoff);
}

LocalGraph::Atoms Surroundings::atoms() const
{
  return {const_cast<double **>(x_.data()), type_.data(), tag_.data(), mask_.data(), excluded_, nlocal_,
          static_cast<int>(x_.size())};
}

// By way of bins that are no smaller than the cutoff.
void Surroundings::find_neighbors(double cutoff)
{
  const int nall = static_cast<int>(x_.size()), most = 1 + static_cast<int>(std::cbrt(nall));
  double low[3], size[3];
  int bins[3];
  for (int m = 0; m < 3; m++) {
    low[m] = HUGE_VAL;
    double high = -HUGE_VAL;
    for (const double *x : x_) {
      low[m] = std::min(low[m], x[m]);
      high = std::max(high, x[m]);
    }
    bins[m] = static_cast<int>(std::clamp(std::floor((high - low[m]) / cutoff), 1.0, static_cast<double>(most)));
    size[m] = std::max((high - low[m]) / bins[m], cutoff);
  }
  const auto bin_of = [&](int i, int m) {
    return std::clamp(static_cast<int>((x_[i][m] - low[m]) / size[m]), 0, bins[m] - 1);
  };
  std::vector<std::vector<int>> members(static_cast<size_t>(bins[0]) * bins[1] * bins[2]);
  const auto in_bin = [&](int a, int b, int c) -> std::vector<int> & {
    return members[(static_cast<size_t>(a) * bins[1] + b) * bins[2] + c];
  };
  for (int i = 0; i < nall; i++) in_bin(bin_of(i, 0), bin_of(i, 1), bin_of(i, 2)).push_back(i);

  std::vector<size_t> begins;
  for (int i = 0; i < nall; i++) {
    begins.push_back(neighbors_.size());
    int from[3], to[3];
    for (int m = 0; m < 3; m++) {
      from[m] = std::max(bin_of(i, m) - 1, 0);
      to[m] = std::min(bin_of(i, m) + 1, bins[m] - 1);
    }
    for (int a = from[0]; a <= to[0]; a++)
      for (int b = from[1]; b <= to[1]; b++)
        for (int c = from[2]; c <= to[2]; c++)
          for (const int j : in_bin(a, b, c)) {
            const double d[3] = {x_[j][0] - x_[i][0], x_[j][1] - x_[i][1], x_[j][2] - x_[i][2]};
            if (j != i && d[0] * d[0] + d[1] * d[1] + d[2] * d[2] < cutoff * cutoff) neighbors_.push_back(j);
          }
    count_.push_back(static_cast<int>(neighbors_.size() - begins.back()));
  }
  for (const size_t begin : begins) first_.push_back(neighbors_.data() + begin);
}

void Surroundings::add_to_owners(std::vector<double> &rows, int width) const
{
  torch::Tensor sums = torch::zeros({n_system_, width}, torch::kFloat64);
  double *sum = sums.data_ptr<double>();
  for (size_t i = 0; i < x_.size(); i++)
    for (int k = 0; k < width; k++) sum[system_index_[i] * width + k] += rows[width * i + k];
  sums = comm_.sum(sums);
  const double *own = sums.data_ptr<double>() + offset_ * width;
  rows.assign(own, own + static_cast<int64_t>(nlocal_) * width);
}

}    // namespace les

#include "edge_rows.h"

#include "host_copy.h"

#include <algorithm>

namespace les {

using torch::Tensor;

void EdgeRows::list(const LocalGraph &graph, double cutoff, torch::Device device)
{
  cutoff_ = cutoff;
  const int64_t n = graph.n_owned();
  const Tensor index = graph.edge_index(), atoms = graph.atoms().narrow(0, 0, n);
  const Tensor center = index[0], count = torch::bincount(center, {}, n);                  // [n]
  const int64_t listed = n > 0 ? std::max<int64_t>(1, count.max().item<int64_t>()) : 1;    // columns, at least one

  const Tensor skipped =
      torch::arange(n) * (listed + 1) - count.cumsum(0) + count;    // places before a row, beyond edges
  const Tensor place = torch::arange(center.size(0)) + skipped.index_select(0, center);
  const auto in_rows = [&](const Tensor &values, const Tensor &otherwise) {    // [n, listed + 1]
    const Tensor rows = otherwise.unsqueeze(1).repeat({1, listed + 1}).view({-1});
    return rows.index_copy_(0, place, values).view({n, listed + 1});
  };
  const Tensor squares = in_rows(graph.edge_vectors().square().sum(1), torch::full({n}, INFINITY, torch::kFloat64));
  const Tensor is_edge = squares.narrow(1, 0, listed).isfinite();
  const Tensor limits = torch::where(is_edge, torch::full({}, cutoff * cutoff, torch::kFloat64), -1.0);
  own_ = to_device(atoms, device);
  atoms_ = to_device(in_rows(graph.edge_atoms()[1], atoms), device);
  neighbors_ = to_device(in_rows(index[1], torch::arange(n)), device);
  limits_ = to_device(limits, device);
  far_ = to_device(torch::tensor({2.0 * cutoff, 0.0, 0.0}, torch::kFloat64), device);

  const int64_t most = n > 0 ? (squares < cutoff * cutoff).sum(1).max().item<int64_t>() : 0;
  if (most + ROOM > width_ || most + ROOM + 2 * GRAIN < width_) widen(most);
  else make_places();
}

void EdgeRows::widen(int64_t most)
{
  width_ = (most + ROOM + GRAIN - 1) / GRAIN * GRAIN;
  make_places();
}

void EdgeRows::make_places()
{
  const auto options = own_.options();
  const int64_t n = own_.size(0);
  numbers_ = torch::arange(1, width_ + 1, options).expand({n, width_}).contiguous();
  centers_ = torch::arange(n, options).unsqueeze(1).repeat({1, width_}).view({-1});
}

EdgeRows::Selection EdgeRows::select(const Tensor &x) const
{
  const int64_t n = own_.size(0), listed = limits_.size(1);
  if (n == 0) return {torch::zeros({0, width_, 3}, x.options()), numbers_, torch::zeros({}, own_.options())};
  const Tensor here = x.index_select(0, own_).unsqueeze(1);    // [n, 1, 3]
  const auto vectors_to = [&](const Tensor &atoms) {
    return x.index_select(0, atoms.reshape({-1})).view({n, atoms.size(1), 3}) - here;
  };
  const Tensor near = vectors_to(atoms_.narrow(1, 0, listed)).square().sum(2) < limits_;
  const Tensor so_far = near.cumsum(1);    // [n, listed], of the edges up to this one
  // the place w of a row goes to the first edge at which there are w + 1; where there is none, to the atom itself
  const Tensor chosen = torch::searchsorted(so_far, numbers_);
  const Tensor empty = (chosen == listed).unsqueeze(2);
  return {torch::where(empty, far_, vectors_to(atoms_.gather(1, chosen))), neighbors_.gather(1, chosen),
          so_far.select(1, listed - 1).max()};
}

}    // namespace les

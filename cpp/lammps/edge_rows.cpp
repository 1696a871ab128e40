#include "edge_rows.h"

#include "host_copy.h"

#include <algorithm>

namespace les {

using torch::Tensor;

void EdgeRows::list(const LocalGraph &graph, double cutoff, torch::Device device, bool kernels)
{
  cutoff_ = cutoff;
  n_ = graph.n_owned();
  listed_ = {};
  const Tensor center = graph.edge_index()[0];
  if (kernels) {
    const auto i32 = [&](const Tensor &t) { return to_device(t.to(torch::kInt32).contiguous(), device); };
    const auto &first = graph.first();
    listed_ = {i32(graph.atoms().narrow(0, 0, n_)), to_device(torch::tensor(first, torch::kInt64), device),
               i32(graph.edge_atoms()[1]), i32(graph.edge_index()[1])};
  } else list_rows(graph, torch::bincount(center, {}, n_), device);

  const Tensor near = graph.edge_vectors().square().sum(1) < cutoff * cutoff;
  const int64_t most = n_ > 0 ? torch::bincount(center, near.to(torch::kFloat64), n_).max().item<double>() : 0;
  make_room(most);
}

void EdgeRows::take(gpu::ListedEdges list, int64_t most, double cutoff)
{
  cutoff_ = cutoff;
  listed_ = std::move(list);
  n_ = listed_.own.size(0);
  make_room(most);
}

// Rows that are long enough, and not much longer
void EdgeRows::make_room(int64_t most)
{
  if (most + ROOM > width_ || most + ROOM + 2 * GRAIN < width_) widen(most);
  else make_places();
}

// In rows as long as the longest of them; count [n] of the edges
void EdgeRows::list_rows(const LocalGraph &graph, const Tensor &count, torch::Device device)
{
  const Tensor index = graph.edge_index(), center = index[0], atoms = graph.atoms().narrow(0, 0, n_);
  const int64_t listed = n_ > 0 ? std::max<int64_t>(1, count.max().item<int64_t>()) : 1;    // columns, at least one
  const Tensor skipped =
      torch::arange(n_) * (listed + 1) - count.cumsum(0) + count;    // places before a row, beyond edges
  const Tensor place = torch::arange(center.size(0)) + skipped.index_select(0, center);
  const auto in_rows = [&](const Tensor &values, const Tensor &otherwise) {    // [n, listed + 1]
    const Tensor rows = otherwise.unsqueeze(1).repeat({1, listed + 1}).view({-1});
    return rows.index_copy_(0, place, values).view({n_, listed + 1});
  };
  const double limit = cutoff_ * cutoff_;
  own_ = to_device(atoms, device);
  atoms_ = to_device(in_rows(graph.edge_atoms()[1], atoms), device);
  neighbors_ = to_device(in_rows(index[1], torch::arange(n_)), device);
  limits_ =
      to_device(in_rows(torch::full({center.size(0)}, limit, torch::kFloat64), torch::full({n_}, -1.0, torch::kFloat64))
                    .narrow(1, 0, listed),
                device);
  far_ = to_device(torch::tensor({2.0 * cutoff_, 0.0, 0.0}, torch::kFloat64), device);
}

void EdgeRows::widen(int64_t most)
{
  width_ = (most + ROOM + GRAIN - 1) / GRAIN * GRAIN;
  make_places();
}

void EdgeRows::make_places()
{
  if (listed_.own.defined()) return;
  const auto options = own_.options();
  numbers_ = torch::arange(1, width_ + 1, options).expand({n_, width_}).contiguous();
  centers_ = torch::arange(n_, options).unsqueeze(1).repeat({1, width_}).view({-1});
}

gpu::SelectedEdges EdgeRows::select(const Tensor &x) const
{
  if (listed_.own.defined()) return gpu::select_edges(listed_, x, cutoff_, width_);
  const int64_t listed = limits_.size(1);
  if (n_ == 0)
    return {torch::zeros({0, 3}, x.options()), torch::zeros({2, 0}, own_.options()), torch::zeros({}, own_.options())};
  const Tensor here = x.index_select(0, own_).unsqueeze(1);    // [n, 1, 3]
  const auto vectors_to = [&](const Tensor &atoms) {
    return x.index_select(0, atoms.reshape({-1})).view({n_, atoms.size(1), 3}) - here;
  };
  const Tensor near = vectors_to(atoms_.narrow(1, 0, listed)).square().sum(2) < limits_;
  const Tensor so_far = near.cumsum(1);    // [n, listed], of the edges up to this one
  // the place w of a row goes to the first edge at which there are w + 1; where there is none, to the atom itself
  const Tensor chosen = torch::searchsorted(so_far, numbers_);
  const Tensor empty = (chosen == listed).unsqueeze(2);
  const Tensor vectors = torch::where(empty, far_, vectors_to(atoms_.gather(1, chosen)));
  return {vectors.view({-1, 3}), torch::stack({centers_, neighbors_.gather(1, chosen).view({-1})}),
          so_far.select(1, listed - 1).max()};
}

}    // namespace les

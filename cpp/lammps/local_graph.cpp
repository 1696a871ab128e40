#include "local_graph.h"

#include <algorithm>
#include <array>
#include <numeric>

namespace les {

using LAMMPS_NS::tagint;

int LocalGraph::add(const Atoms &atoms, int i, int species)
{
  const int g = n_all();
  graph_index_[i] = g;
  lammps_index_.push_back(i);
  species_.data_ptr<int64_t>()[g] = species;
  std::copy_n(atoms.x[i], 3, positions_.data_ptr<double>() + 3 * static_cast<int64_t>(g));
  return g;
}

void LocalGraph::find_owners(const Atoms &atoms)
{
  std::unordered_map<tagint, int> owned;
  owned.reserve(atoms.nlocal);
  for (int i = 0; i < atoms.nlocal; i++) owned.emplace(atoms.tag[i], i);
  owner_.resize(atoms.nall);
  std::iota(owner_.begin(), owner_.end(), 0);
  for (int i = atoms.nlocal; i < atoms.nall; i++) {
    const auto found = owned.find(atoms.tag[i]);
    if (found != owned.end()) owner_[i] = found->second;
  }
}

void LocalGraph::make_room(int64_t edges)
{
  const auto room = static_cast<int64_t>(end_.size());
  if (edges <= room && vectors_.defined()) return;
  const int64_t more = std::max(edges, room + room / 2);
  const torch::Tensor vectors = torch::empty({more, 3}, torch::kFloat64),
                      index = torch::empty({2, more}, torch::kInt64);
  if (n_edges_ > 0) {
    vectors.narrow(0, 0, n_edges_).copy_(edge_vectors());
    index.narrow(1, 0, n_edges_).copy_(edge_index());
  }
  vectors_ = vectors;
  index_ = index;
  end_.resize(more);
}

namespace {
int species_of(const LocalGraph::Atoms &atoms, const std::vector<int> &species_of_type, int i)
{
  return atoms.mask[i] & atoms.excluded ? -1 : species_of_type[atoms.type[i]];
}
}    // namespace

// The owned atoms, and no edge
void LocalGraph::begin(const Atoms &atoms, const std::vector<int> &species_of_type, bool merge)
{
  lammps_index_.clear();
  rings_.clear();
  first_.clear();
  n_edges_ = 0;
  graph_index_.assign(atoms.nall, -1);
  if (!species_.defined() || species_.size(0) < atoms.nall) {
    species_ = torch::empty({atoms.nall}, torch::kInt64);
    positions_ = torch::empty({atoms.nall, 3}, torch::kFloat64);
  }
  make_room(0);
  if (merge && owner_.size() != static_cast<size_t>(atoms.nall)) find_owners(atoms);
  for (int i = 0; i < atoms.nlocal; i++) {
    const int species = species_of(atoms, species_of_type, i);
    if (species >= 0) add(atoms, i, species);
  }
  n_owned_ = n_all();
}

void LocalGraph::take_all(const Atoms &atoms, const std::vector<int> &species_of_type, bool merge)
{
  begin(atoms, species_of_type, merge);
  for (int j = atoms.nlocal; j < atoms.nall; j++) {
    const int species = species_of(atoms, species_of_type, j), known = merge ? owner_[j] : j;
    if (species < 0) continue;
    graph_index_[j] = graph_index_[known] >= 0 ? graph_index_[known] : add(atoms, j, species);
  }
  rings_ = {n_owned_};
}

void LocalGraph::build(const Atoms &atoms, const Neighbors &list, const std::vector<int> &species_of_type,
                       double cutoff, int rings, bool merge)
{
  begin(atoms, species_of_type, merge);
  const double cutoff_squared = cutoff * cutoff;
  const double *x = atoms.nall > 0 ? atoms.x[0] : nullptr;    // rows of LAMMPS's arrays follow one another
  int first = 0;
  for (int ring = 0; ring < rings; ring++) {
    const int last = n_all();    // atoms reached so far; their edges reach the next ring
    rings_.push_back(last);
    for (int c = first; c < last; c++) {
      const int i = lammps_index_[c], count = list.count[i];
      first_.push_back(n_edges_);
      make_room(n_edges_ + count);
      if (near_.size() < static_cast<size_t>(count)) near_.resize(count);
      const double here[3] = {x[3 * i], x[3 * i + 1], x[3 * i + 2]};
      const auto vector_to = [&](int j) {
        const double *there = x + 3 * static_cast<int64_t>(j);
        return std::array{there[0] - here[0], there[1] - here[1], there[2] - here[2]};
      };
      // most of a list is beyond the cutoff, in no order: no branch that a processor would have to guess
      const int *listed = list.first[i];
      int *near = near_.data(), n_near = 0;
      for (int n = 0; n < count; n++) {
        const int j = listed[n] & NEIGHMASK;
        const auto d = vector_to(j);
        near[n_near] = j;
        n_near += d[0] * d[0] + d[1] * d[1] + d[2] * d[2] < cutoff_squared;
      }
      int64_t e = n_edges_;
      double *vector = vectors_.data_ptr<double>() + 3 * e;
      int64_t *center = index_.data_ptr<int64_t>(), *neighbor = center + index_.size(1);
      for (int n = 0; n < n_near; n++) {
        const int j = near[n], known = merge ? owner_[j] : j;
        int g = graph_index_[known];
        if (g < 0) {    // not met yet, or not seen by the model
          const int species = species_of(atoms, species_of_type, j);
          if (species < 0) continue;
          g = add(atoms, known, species);
        }
        const auto d = vector_to(j);
        for (const double component : d) *vector++ = component;
        center[e] = c;
        neighbor[e] = g;
        end_[e++] = j;
      }
      n_edges_ = e;
    }
    first = last;
  }
  first_.push_back(n_edges_);
}

torch::Tensor LocalGraph::atoms() const { return torch::tensor(lammps_index_, torch::kInt64); }
torch::Tensor LocalGraph::numbers() const { return torch::tensor(graph_index_, torch::kInt32); }
torch::Tensor LocalGraph::edge_atoms() const
{
  const torch::Tensor ends = torch::from_blob(const_cast<int *>(end_.data()), {n_edges_}, torch::kInt32);
  return torch::stack({atoms().index_select(0, edge_index()[0]), ends.to(torch::kInt64)});
}

}    // namespace les

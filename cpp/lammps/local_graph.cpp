#include "local_graph.h"

#include <numeric>

namespace les {

using LAMMPS_NS::tagint;

int LocalGraph::add(const Atoms &atoms, int i, int species)
{
  graph_index_[i] = n_all();
  lammps_index_.push_back(i);
  species_.push_back(species);
  positions_.insert(positions_.end(), atoms.x[i], atoms.x[i] + 3);
  return graph_index_[i];
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
  positions_.clear();
  species_.clear();
  vectors_.clear();
  center_.clear();
  neighbor_.clear();
  end_.clear();
  rings_.clear();
  first_.clear();
  graph_index_.assign(atoms.nall, -1);
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
  int first = 0;
  for (int ring = 0; ring < rings; ring++) {
    const int last = n_all();    // atoms reached so far; their edges reach the next ring
    rings_.push_back(last);
    for (int c = first; c < last; c++) {
      const int i = lammps_index_[c];
      first_.push_back(n_edges());
      const double *xi = atoms.x[i];
      const int *neighbors = list.first[i];
      for (int n = 0; n < list.count[i]; n++) {
        const int j = neighbors[n] & NEIGHMASK;
        const int species = species_of(atoms, species_of_type, j);
        if (species < 0) continue;
        const double d[3] = {atoms.x[j][0] - xi[0], atoms.x[j][1] - xi[1], atoms.x[j][2] - xi[2]};
        if (d[0] * d[0] + d[1] * d[1] + d[2] * d[2] >= cutoff_squared) continue;
        const int known = merge ? owner_[j] : j;
        const int g = graph_index_[known] >= 0 ? graph_index_[known] : add(atoms, known, species);
        center_.push_back(c);
        neighbor_.push_back(g);
        end_.push_back(j);
        vectors_.insert(vectors_.end(), d, d + 3);
      }
    }
    first = last;
  }
  first_.push_back(n_edges());
}

namespace {
template <class T> torch::Tensor copy(const std::vector<T> &v, torch::IntArrayRef shape)
{
  return torch::from_blob(const_cast<T *>(v.data()), shape, torch::CppTypeToScalarType<T>::value).clone();
}
}    // namespace

torch::Tensor LocalGraph::positions() const { return copy(positions_, {n_all(), 3}); }
torch::Tensor LocalGraph::species() const { return copy(species_, {n_all()}); }
torch::Tensor LocalGraph::edge_vectors() const { return copy(vectors_, {n_edges(), 3}); }
torch::Tensor LocalGraph::atoms() const { return copy(lammps_index_, {n_all()}).to(torch::kInt64); }
torch::Tensor LocalGraph::numbers() const { return copy(graph_index_, {static_cast<int64_t>(graph_index_.size())}); }
torch::Tensor LocalGraph::edge_atoms() const
{
  return torch::stack({atoms().index_select(0, copy(center_, {n_edges()})), copy(end_, {n_edges()})});
}
torch::Tensor LocalGraph::edge_index() const
{
  return torch::stack({copy(center_, {n_edges()}), copy(neighbor_, {n_edges()})});
}

}    // namespace les

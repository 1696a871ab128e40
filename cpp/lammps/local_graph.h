// The one translator between LAMMPS's atoms, ghosts and neighbor lists and the tensors of the model.
//
// "Graph atoms" are the atoms that the model sees on this rank: first the owned ones (in LAMMPS order, without types mapped to NULL
// and atoms excluded by a Monte Carlo move), then ghosts in the order in which edges reach them. LAMMPS indices run over owned and ghost atoms.
#pragma once

#include "lmptype.h"

#include <torch/types.h>

#include <unordered_map>
#include <vector>

namespace les {

class LocalGraph {
 public:
  struct Atoms {    // a view of LAMMPS's arrays, indexed by LAMMPS index
    double **x = nullptr;
    const int *type = nullptr;
    const LAMMPS_NS::tagint *tag = nullptr;
    const int *mask = nullptr;
    int excluded = 0;    // group bits of atoms that the model does not see
    int nlocal = 0, nall = 0;
  };

  struct Neighbors {    // a view of a full neighbor list: LAMMPS indices of the neighbors of an atom
    const int *count = nullptr;
    int *const *first = nullptr;
  };

  // species_of_type[type] = species index of the model, -1 for NULL; the list is full, and holds ghosts where rings > 1.
  // Edges are given for all atoms that fewer than `rings` edges reach from owned ones. `merge`: a ghost whose owner lives on this rank is
  // taken to be its owner, so that nothing is evaluated twice.
  void build(const Atoms &atoms, const Neighbors &list, const std::vector<int> &species_of_type, double cutoff,
             int rings, bool merge);
  // All atoms that the model sees, without edges: owned ones, then ghosts in LAMMPS's order, or their owners.
  void take_all(const Atoms &atoms, const std::vector<int> &species_of_type, bool merge);
  // The owners of ghosts changed (new neighbor list): look them up again at the next build.
  void forget_owners() { owner_.clear(); }

  int n_owned() const { return n_owned_; }
  int n_all() const { return static_cast<int>(lammps_index_.size()); }
  int64_t n_edges() const { return static_cast<int64_t>(center_.size()); }
  int lammps_index(int graph_index) const { return lammps_index_[graph_index]; }    // [n_all]
  // of les::Graph: atoms that at most r edges reach, and where the edges of a center begin
  const std::vector<int64_t> &rings() const { return rings_; }
  const std::vector<int64_t> &first() const { return first_; }

  torch::Tensor positions() const;       // [n_all, 3] f64, ghosts where edges reach them
  torch::Tensor species() const;         // [n_all] i64
  torch::Tensor edge_vectors() const;    // [E, 3] f64, r_cj = x_j - x_c, sorted by center
  torch::Tensor edge_index() const;      // [2, E] i64 graph indices, center and neighbor
  torch::Tensor edge_atoms() const;      // [2, E] i64 LAMMPS indices between which the edges run, ghosts not merged
  torch::Tensor atoms() const;           // [n_all] i64 LAMMPS indices
  torch::Tensor numbers() const;    // [nall] i32 graph indices by LAMMPS index, -1 if not in the graph; of take_all()

 private:
  int n_owned_ = 0;
  std::vector<int> lammps_index_;              // [n_all] graph -> LAMMPS
  std::vector<int> graph_index_;               // [nall] LAMMPS -> graph, -1 if not in the graph
  std::vector<int> owner_;                     // [nall] LAMMPS index of the owner if this rank owns it, else itself
  std::vector<double> positions_, vectors_;    // [3 n_all], [3 E]
  std::vector<int64_t> species_, center_, neighbor_, end_;
  std::vector<int64_t> rings_, first_;

  void begin(const Atoms &atoms, const std::vector<int> &species_of_type, bool merge);
  int add(const Atoms &atoms, int i, int species);
  void find_owners(const Atoms &atoms);
};

}    // namespace les

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
  // taken to be its owner, so that nothing is evaluated twice. The tensors below stay, and are written over.
  void build(const Atoms &atoms, const Neighbors &list, const std::vector<int> &species_of_type, double cutoff,
             int rings, bool merge);
  // All atoms that the model sees, without edges: owned ones, then ghosts in LAMMPS's order, or their owners.
  void take_all(const Atoms &atoms, const std::vector<int> &species_of_type, bool merge);
  // The owners of ghosts changed (new neighbor list): look them up again at the next build.
  void forget_owners() { owner_.clear(); }

  int n_owned() const { return n_owned_; }
  int n_all() const { return static_cast<int>(lammps_index_.size()); }
  int64_t n_edges() const { return n_edges_; }
  int lammps_index(int graph_index) const { return lammps_index_[graph_index]; }    // [n_all]
  // of les::Graph: atoms that at most r edges reach, and where the edges of a center begin
  const std::vector<int64_t> &rings() const { return rings_; }
  const std::vector<int64_t> &first() const { return first_; }

  // [n_all, 3] f64, ghosts where edges reach them
  torch::Tensor positions() const { return positions_.narrow(0, 0, n_all()); }
  torch::Tensor species() const { return species_.narrow(0, 0, n_all()); }    // [n_all] i64
  // [E, 3] f64, r_cj = x_j - x_c, sorted by center
  torch::Tensor edge_vectors() const { return vectors_.narrow(0, 0, n_edges_); }
  // [2, E] i64 graph indices, center and neighbor
  torch::Tensor edge_index() const { return index_.narrow(1, 0, n_edges_); }
  torch::Tensor edge_atoms() const;    // [2, E] i64 LAMMPS indices between which the edges run, ghosts not merged
  torch::Tensor atoms() const;         // [n_all] i64 LAMMPS indices
  torch::Tensor numbers() const;    // [nall] i32 graph indices by LAMMPS index, -1 if not in the graph; of take_all()

 private:
  int n_owned_ = 0;
  int64_t n_edges_ = 0;
  std::vector<int> lammps_index_;        // [n_all] graph -> LAMMPS
  std::vector<int> graph_index_;         // [nall] LAMMPS -> graph, -1 if not in the graph
  std::vector<int> owner_;               // [nall] LAMMPS index of the owner if this rank owns it, else itself
  torch::Tensor positions_, species_;    // [>= n_all, 3], [>= n_all]
  torch::Tensor vectors_, index_;        // [>= E, 3], [2, >= E]
  std::vector<int> end_;                 // [>= E] LAMMPS index of the neighbor, not merged
  std::vector<int> near_;                // of one center
  std::vector<int64_t> rings_, first_;

  void begin(const Atoms &atoms, const std::vector<int> &species_of_type, bool merge);
  int add(const Atoms &atoms, int i, int species);
  void find_owners(const Atoms &atoms);
  void make_room(int64_t edges);
};

}    // namespace les

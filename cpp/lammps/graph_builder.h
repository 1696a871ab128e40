// From LAMMPS's atoms and neighbor list to the graph of the evaluator, on the device of the network.
//
// Edges are either made at each step from the neighbor list, or listed when the list is rebuilt, skin included, and selected at each
// step on the device, for which a GPU need not wait.
#pragma once

#include "edge_rows.h"
#include "local_graph.h"

#include "graph.h"
#include "network.h"

namespace les {

enum class EdgeChoice { Auto, Step, Rebuild };

class GraphBuilder {
 public:
  // Whose edges a network asks for, and whether ghosts that this rank owns are taken for their owners.
  struct Reach {
    int rings = 1;
    bool merge = false;
  };

  // `exchange`: what ghosts have comes from their owners; else, and for a network that is not cut, ghosts have their edges.
  static Reach reach_of(const Metadata::Network &about, bool exchange);

  // `kernels`: of the GPU, for edges in rows; else by tensor operations.
  GraphBuilder(const Network &network, EdgeChoice choice, Reach reach, bool kernels);

  // Whether edges are listed; then list() after a rebuild, and select() at each step; else build() at each step.
  bool lists() const { return lists_; }
  bool has_list() const { return listed_.index.defined() || rows_.listed(); }
  Graph build(const LocalGraph::Atoms &atoms, const LocalGraph::Neighbors &neighbors,
              const std::vector<int> &species_of_type);
  void list(const LocalGraph::Atoms &atoms, const LocalGraph::Neighbors &neighbors,
            const std::vector<int> &species_of_type);
  // In place of list(), where the GPU finds all neighbors within `reach` by itself.
  bool finds_neighbors() const { return lists_ && kernels_ && network_.takes_rows(); }
  void find(const LocalGraph::Atoms &atoms, const std::vector<int> &species_of_type, double reach);
  Graph select(const LocalGraph::Atoms &atoms);
  // After an evaluation with selected edges: whether an atom had more neighbors than its row has places. There are places now; the step is
  // to be done again, from select() on.
  bool outgrown(int64_t most_neighbors) const { return rows_.listed() && most_neighbors > rows_.width(); }
  void widen(int64_t most_neighbors) { rows_.widen(most_neighbors); }

  LocalGraph &local() { return local_; }    // which LAMMPS atoms the graph has
  const LocalGraph &local() const { return local_; }

 private:
  const Network &network_;
  bool lists_, kernels_;
  Reach reach_;
  LocalGraph local_;
  torch::Tensor species_;    // [n_all]
  // All edges up to cutoff and skin, on the device: graph indices, LAMMPS indices; LAMMPS indices of graph atoms
  struct {
    torch::Tensor index, atoms, graph_atoms;
  } listed_;
  EdgeRows rows_;    // or in rows, for a network that takes them

  double cutoff() const { return network_.metadata().network.cutoff; }
  Graph graph() const;
};

}    // namespace les

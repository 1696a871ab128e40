// All atoms within reach of those of this rank and who neighbors whom, from positions alone: for an evaluation where LAMMPS's ghosts and
// neighbor lists belong to other positions: a move was taken back after them, or the box has moved at the end of the step.
#pragma once

#include "cell.h"
#include "local_graph.h"

#include "communicator.h"

namespace les {

class Surroundings {
 public:
  // Collective. Of `owned` the atoms of this rank are read, x, type, tag and mask of nlocal, in any periodic image; `reach` is the cutoff
  // times the number of layers, `h` the cell, of which the directions `periodic` repeat.
  Surroundings(const LocalGraph::Atoms &owned, const Cell &h, const Boundary &periodic, double cutoff, double reach,
               const Communicator &comm);

  LocalGraph::Atoms atoms() const;    // owned ones in their order, then images and atoms of other ranks
  LocalGraph::Neighbors neighbors() const { return {count_.data(), first_.data()}; }

  // Collective. Rows [nall, width] of atoms() are added to those of their owners, over images and ranks.
  void add_to_owners(std::vector<double> &rows, int width) const;

 private:
  const Communicator &comm_;
  int nlocal_ = 0, excluded_ = 0;
  int64_t n_system_ = 0, offset_ = 0;    // atoms of all ranks; place of the first one of this rank among them
  std::vector<double> positions_;        // [3 nall]
  std::vector<double *> x_;              // [nall], rows of positions
  std::vector<int> type_, mask_;
  std::vector<LAMMPS_NS::tagint> tag_;
  std::vector<int64_t> system_index_;     // [nall]
  std::vector<int> count_, neighbors_;    // [nall], all neighbors one after the other
  std::vector<int *> first_;              // [nall], into neighbors

  void find_neighbors(double cutoff);
};

}    // namespace les

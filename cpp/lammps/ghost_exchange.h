// What passes between an atom and its ghosts, by way of LAMMPS's ghost communication.
#pragma once

#include "local_graph.h"

#include "exchange.h"
#include "mpi_communicator.h"

#include <functional>
#include <vector>

namespace les {

// Rows of numbers on their way, in LAMMPS's order of atoms; the pair style packs and unpacks them.
struct GhostRows {
  static constexpr int COLUMNS = 256;    // at most that go at once: LAMMPS's buffers are that many numbers a ghost

  std::vector<double> *values = nullptr;    // [nall, width]
  size_t width = 0, first = 0, columns = 0;

  double *row(int i) const { return values->data() + width * static_cast<size_t>(i) + first; }
};

class GhostExchange : public Exchange {
 public:
  // move(forward, columns): LAMMPS's communication of `rows`
  GhostExchange(GhostRows &rows, const MpiCommunicator &comm, std::function<void(bool forward, int columns)> move) :
      rows_(rows), comm_(comm), move_(std::move(move))
  {
  }

  // For the atoms of this graph, among `nall` of LAMMPS
  void set_up(const LocalGraph &graph, int nall)
  {
    graph_ = &graph;
    nall_ = nall;
  }

  torch::Tensor forward(const torch::Tensor &rows) const override { return moved(rows, graph_->n_all(), true); }
  torch::Tensor reverse(const torch::Tensor &rows) const override { return moved(rows, graph_->n_owned(), false); }

  // Rows [nall, width] in LAMMPS's order: ghosts' are added to their owners'.
  void add_to_owners(std::vector<double> &rows, size_t width) const { move_all(rows, width, false); }

 private:
  GhostRows &rows_;
  const MpiCommunicator &comm_;
  std::function<void(bool, int)> move_;
  const LocalGraph *graph_ = nullptr;
  int nall_ = 0;

  torch::Tensor moved(const torch::Tensor &rows, int64_t n_result, bool forward) const;
  void move_all(std::vector<double> &rows, size_t width, bool forward) const;
};

}    // namespace les

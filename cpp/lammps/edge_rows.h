// Edges of owned atoms in rows of equal length, selected on the device of the model, which the host does not wait for.
//
// The neighbor list holds the skin too, and which of its edges are short enough is known on the device alone. The length of
// the rows comes from the host, from when the list was made, with some room. If an atom gets more neighbors than that, the results of
// the step tell, and the step is done again with longer rows. Rows of the same length in step after step also are what the allocator
// of the device likes.
#pragma once

#include "local_graph.h"

#include "edges.h"

namespace les {

class EdgeRows {
 public:
  // From a graph that was built without a cutoff, so that it holds the skin.
  // `kernels`: by those of the GPU, else by tensor operations.
  void list(const LocalGraph &graph, double cutoff, torch::Device device, bool kernels);
  // From a list on the device, of which `most` neighbors of an atom are within the cutoff.
  void take(gpu::ListedEdges list, int64_t most, double cutoff);
  bool listed() const { return n_ >= 0; }

  // Those shorter than the cutoff. x [nall, 3] f64 on the device, indexed by LAMMPS index
  gpu::SelectedEdges select(const torch::Tensor &x) const;

  int64_t width() const { return width_; }
  void widen(int64_t most);    // room for so many neighbors, and some more

 private:
  static constexpr int64_t ROOM = 3, GRAIN = 4;

  int64_t n_ = -1, width_ = 0;
  double cutoff_ = 0.0;
  gpu::ListedEdges listed_;            // for kernels; for tensor operations:
  torch::Tensor own_;                  // [n] LAMMPS index
  torch::Tensor atoms_, neighbors_;    // [n, listed + 1] LAMMPS and graph index of neighbors; then the atom itself
  torch::Tensor limits_;               // [n, listed] f64: squared cutoff, -1 in empty places
  torch::Tensor numbers_, centers_;    // [n, width] i64: 1 ... width; row
  torch::Tensor far_;                  // [3] f64

  void list_rows(const LocalGraph &graph, const torch::Tensor &count, torch::Device device);
  void make_room(int64_t most);
  void make_places();
};

}    // namespace les

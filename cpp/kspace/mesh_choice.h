// Which mesh follows from the settings and the cell, and what a step with it costs.
#pragma once

#include "parameters.h"

#include <torch/types.h>

namespace les {

// How a mesh is chosen. Spacing and order that are not given are those that reach the accuracy in the least time.
struct MeshSettings {
  static constexpr int MIN_ORDER = 5, MAX_ORDER = 10;
  static constexpr double MOST_POINTS = 1e8;    // of a mesh, for each rank: some GB of memory

  double accuracy = 1e-5;    // relative rms error of forces and fields
  double spacing = 0.0;      // A along each lattice vector; 0: by accuracy
  int order = 0;             // points of the window on each axis; 0: by accuracy
  int ranks = 1;             // that share it
  double n_atoms = 0.0;      // of all ranks, which decides between fine meshes and wide windows; 0: as in water
  int moments = 0;           // highest of the sources: 0 charges, 1 dipoles, 2 quadrupoles
  bool loops = true;         // on a CPU, loop over atoms; false: tensor operations, as on a GPU
  bool kernels = true;       // on a GPU, where it can; else tensor operations
  // two points more and two thirds of the spacing: the mesh that serves as a reference for the one of these settings
  bool reference = false;
};

struct MeshChoice {
  std::array<int64_t, 3> mesh;    // points along the axes
  int order;                      // points of the window on each axis
  double oversampling;            // how many times finer the spacing is than the wave vectors need, dl/2
  double error;                   // estimated relative rms error of forces

  bool operator==(const MeshChoice &other) const
  {
    return mesh == other.mesh && order == other.order && oversampling == other.oversampling;
  }
};

// Throws where there is no such mesh. cell [3, 3] f64, rows in A
MeshChoice choose_mesh(const LongRangeParameters &parameters, const MeshSettings &settings, const torch::Tensor &cell);

// Settings whose mesh, and its estimated error, is finer by the factor given, or by what it takes to get another mesh. False, and
// settings as they were, where the spacing is given by hand or would have to be below dl/5, or the mesh too large.
bool refine(const LongRangeParameters &parameters, MeshSettings &settings, const torch::Tensor &cell, double factor);

// Estimated seconds of one step of a whole periodic system on one core; fitted to benchmarks/kspace.py. Infinite for what would
// throw.
struct Cost {
  double direct = 0.0, mesh = 0.0;
};
Cost estimate_cost(const LongRangeParameters &parameters, const MeshSettings &settings, const torch::Tensor &cell);

}    // namespace les

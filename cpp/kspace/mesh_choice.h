// Which mesh follows from the settings and the cell.
#pragma once

#include "long_range.h"

#include <array>

namespace les {

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
// settings as they were, where the spacing is given by hand or would have to be below dl/5.
bool refine(const LongRangeParameters &parameters, MeshSettings &settings, const torch::Tensor &cell, double factor);

// What the direct sum of so many atoms goes through: atoms times wave vectors of the box around the cutoff, k and -k as one.
double direct_terms(const LongRangeParameters &parameters, const torch::Tensor &cell, double n_atoms);

}    // namespace les

// What a mesh leaves out, measured on the atoms at hand.
#pragma once

#include "long_range.h"

namespace les {

// Relative rms errors over all atoms.
struct MeshErrors {
  double forces = 0.0, potentials = 0.0;

  double largest() const { return forces > potentials ? forces : potentials; }
};

// Of one result against another for the same charges. Collective. Where forces (or potentials) nearly vanish by symmetry, they are
// compared with a thousandth of what a charge feels of its like at the distance sigma, (dphi/dq) q^2/sigma (or (dphi/dq) q) of the
// self-interaction.
MeshErrors relative_errors(const LongRange &result, const LongRange &judge, const torch::Tensor &charges,
                           const LongRangeParameters &parameters, const Communicator &communicator);

// Below so many atoms times wave vectors (`direct_terms`) the direct sum judges a mesh, else a finer mesh does.
constexpr double DIRECT_JUDGE_TERMS = 3e8;

struct MeasuredMesh {
  MeshSettings settings;    // those asked for, or finer ones
  MeshErrors errors;        // of their mesh, aliasing alone: measured in float64
  bool direct = true;       // measured against the direct sum, else against a finer mesh
  int refined = 0;          // times
  LongRange judge;          // result of the direct sum or the finer mesh, on the host
};

// Measure the mesh of `settings` and refine it until it reaches its accuracy, as far as the settings leave it free and a few
// times at most. On the CPU, in float64, whatever the device and type. Collective: all ranks decide alike.
//   positions [n, 3] f64 and charges [n, channels] of this rank's atoms, cell [3, 3] f64 on the host; n_atoms of all ranks
MeasuredMesh measure_mesh(const LongRangeParameters &parameters, const MeshSettings &settings,
                          const torch::Tensor &positions, const torch::Tensor &charges, const torch::Tensor &cell,
                          bool always_direct, const Communicator &communicator);

}    // namespace les

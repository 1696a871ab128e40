// What a mesh leaves out, measured on the atoms at hand.
#pragma once

#include "interaction.h"
#include "mesh_choice.h"

namespace les {

// Relative rms errors over all atoms.
struct MeshErrors {
  double forces = 0.0, fields = 0.0;

  double largest() const { return forces > fields ? forces : fields; }
};

// Of one result against a reference for the same latents; of the fields, dE/d(latent), the largest of all kinds. Collective. Where forces
// (or fields) nearly vanish by symmetry, they are compared with a thousandth of what a charge feels of its like at the distance sigma: with
// phi = (dphi/dq) q of the self-interaction q phi/sigma; of fields phi, phi/sigma and phi/sigma^2 for charges, dipoles and quadrupoles, and
// the squares of the first two for kappa and alpha.
MeshErrors relative_errors(const LongRange &result, const LongRange &reference, const Latents &latents,
                           const LongRangeParameters &parameters, const Communicator &communicator);

// Up to so many atoms times wave vectors (`wave_vectors_in_box`) the direct sum is the reference of a mesh, else a finer mesh is.
constexpr double DIRECT_REFERENCE_TERMS = 3e8;

struct MeasuredMesh {
  MeshSettings settings;    // those asked for, or finer ones
  MeshErrors errors;        // of their mesh, aliasing alone: measured in float64
  bool direct = true;       // measured against the direct sum, else against a finer mesh
  int refined = 0;          // times
  LongRange reference;      // result of the direct sum or the finer mesh, on the host
};

// Measure the mesh of `settings` and refine it until it reaches its accuracy, as far as the settings leave it free and a few
// times at most. On the CPU, in float64, whatever the device and type. Collective: all ranks decide alike.
//   extension: of the cell, in a slab (slab_sum.h)
//   positions [n, 3] f64 and latents of this rank's atoms, cell [3, 3] f64 on the host
MeasuredMesh measure_mesh(const LongRangeParameters &parameters, const MeshSettings &settings,
                          const torch::Tensor &positions, const Latents &latents, const torch::Tensor &cell,
                          bool always_direct, double extension, const Communicator &communicator);

}    // namespace les

// The linear operation K of the long-range sum, from the sources of all atoms to the conjugate fields at all atoms; one solver a file.
//
// With sources s_ic (c over channels, and M components an atom: 1 for charges q; dipoles and quadrupoles are to follow), N the norm
// [eV A per file unit squared] and f(k) = exp(-sigma^2 k^2/2)/k^2, for charges:
//
//   periodic:  (K q)_i = (2N/V) sum_{0 < |k| <= 2 pi/dl} f(k) Re[S*(k) exp(i k.r_i)],   S(k) = sum_i q_i exp(i k.r_i)
//   open:      (K q)_i = (N/2pi) sum_{j != i} q_j erf(r_ij/(sqrt2 sigma))/(r_ij + shift)
//
// for each channel alone. The energy is 1/2 <s, K s>. K knows no self term, energy, or force: these are made above, in long_range.h.
#pragma once

#include "communicator.h"
#include "parameters.h"

#include <memory>
#include <string>
#include <vector>

namespace les {

// What one rank gets back for the atoms it gave, on their device. Energies in eV, lengths in A, sources in file units.
struct Fields {
  torch::Tensor values;         // [n, C, M] K s; type of the sources, or f64
  torch::Tensor gradients;      // [n, C, M, 3] f64, their gradients at the atoms
  torch::Tensor virial;         // [3, 3] f64, this rank's part of -d(1/2 <s, K s>)/d(strain) at fixed sources
  torch::Tensor atom_virial;    // [n, 3, 3] f64 if asked for: its sum over all atoms is the virial
  std::vector<torch::Tensor>
      spectrum;    // the solver's own, by which another application finds what it shares with this one
};

class Solver {
 public:
  virtual ~Solver() = default;

  // Choose what must not change within a run (the set of wave vectors, the mesh), from the cell as it is now.
  virtual void setup(const torch::Tensor &cell) = 0;

  // Collective: every rank calls it, with the atoms that it owns (none is fine).
  //   positions [n, 3] f64 (A), sources [n, C, M] (file units), cell [3, 3] f64 on the host (rows, A)
  // The virial is a bilinear form: that of the sources with themselves, or of the sources with those of an earlier application at the
  // same positions, -d(1/2 <s, K s_earlier>)/d(strain).
  virtual Fields apply(const torch::Tensor &positions, const torch::Tensor &sources, const torch::Tensor &cell,
                       bool atom_virial, const Fields *earlier = nullptr) const = 0;

  // Collective; arguments as above. The fields again, every source that makes them weighed by its displacement from there, which is
  // what the flux of energy needs beside the fields: [n, C, 3] f64, of charges
  //   open:      psi_ja = sum_i K_ij q_i (r_i - r_j)_a     where phi_j = sum_i K_ij q_i
  //   periodic:  psi_ja = -(4N/V) sum_k f(k) k_a (1/k^2 + sigma^2/2) Im[S*(k) exp(i k.r_j)]
  // The displacement has no meaning among periodic images: in its place stands the derivative of f by k.
  virtual torch::Tensor moments(const torch::Tensor &positions, const torch::Tensor &sources,
                                const torch::Tensor &cell) const = 0;

  // Whether forces add up to zero by themselves.
  virtual bool conserves_momentum() const { return true; }

  // One line for the log: what was set up.
  virtual std::string description() const = 0;
};

// `communicator` must outlive the solver.
struct MeshSettings;
std::unique_ptr<Solver> make_direct_sum(const LongRangeParameters &parameters, const Communicator &communicator);
std::unique_ptr<Solver> make_mesh_sum(const LongRangeParameters &parameters, const MeshSettings &settings,
                                      const Communicator &communicator);
std::unique_ptr<Solver> make_open_sum(const LongRangeParameters &parameters, const Communicator &communicator);

// Sources [n, C, 1] as charges [n, C]; throws where they have more components.
inline torch::Tensor charges_of(const torch::Tensor &sources)
{
  TORCH_CHECK(sources.dim() == 3 && sources.size(2) == 1,
              "the long-range sum takes charges, [n, C, 1]; sources of the shape ", sources.sizes(),
              sources.dim() == 3 && sources.size(2) == 4    ? " (charges and dipoles)"
              : sources.dim() == 3 && sources.size(2) == 10 ? " (charges, dipoles and quadrupoles)"
                                                            : "",
              " are not implemented");
  return sources.detach().select(2, 0);
}

}    // namespace les

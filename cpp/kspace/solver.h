// The linear operation K of the long-range sum, from the sources of all atoms to their potential at all atoms; one solver a file.
//
// With sources s_ic (c over channels; of each the M components of charge, dipole and quadrupole, see latents.h), N the norm
// [eV A per file unit squared] and f(k) = exp(-sigma^2 k^2/2)/k^2:
//
//   periodic:  phi(r) = (2N/V) sum_{0 < |k| <= 2 pi/dl} f(k) Re[S*(k) exp(i k.r)]
//              S(k) = sum_i (q_i + i k.u_i - 1/2 k.Q_i.k) exp(i k.r_i)
//   open:      phi(r_i) = sum_{j != i} (q_j - u_j.grad + 1/2 Q_j:grad grad) v(r_i - r_j)
//              v(r) = (N/2pi) erf(r/(sqrt2 sigma))/(r + shift)
//
// for each channel alone. K s = (phi, grad phi, 1/2 grad grad phi), and the energy 1/2 <s, K s>. K knows no self term, energy, or
// force: these are made above, in long_range.h.
#pragma once

#include "communicator.h"
#include "parameters.h"

#include <memory>
#include <string>
#include <vector>

namespace les {

// What one rank gets back for the atoms it gave, on their device. Energies in eV, lengths in A, sources in file units.
struct Fields {
  // The potential of all sources and its gradients at the atoms, [n, C], [n, C, 3], [n, C, 3, 3], ...: type of the sources, or f64. Of
  // periodic sums the own source of the atom is in it.
  std::vector<torch::Tensor> derivatives;
  // [3, 3] f64, this rank's part of -d(1/2 <s, K s>)/d(strain) at fixed Cartesian components of the sources, its symmetric part
  torch::Tensor virial;
  // [n, 3, 3] f64 if asked for: its sum over all atoms is the virial. Of the power |S|^2 an atom has s_i.(grad) S* exp(i k.r_i)
  torch::Tensor atom_virial;
  // What another application finds of this one: the sources, and the solver's own
  torch::Tensor sources;
  std::vector<torch::Tensor> spectrum;
};

class Solver {
 public:
  virtual ~Solver() = default;

  // Choose what must not change within a run (the set of wave vectors, the mesh), from the cell as it is now.
  virtual void setup(const torch::Tensor &cell) = 0;

  // Collective: every rank calls it, with the atoms that it owns (none is fine).
  //   positions [n, 3] f64 (A), sources [n, C, M] (file units), cell [3, 3] f64 on the host (rows, A)
  //   order: how many gradients of the potential are asked for, not fewer than the virial needs: 1 with dipoles, 2 with quadrupoles
  // The virial is a bilinear form: that of the sources with themselves, or of the sources with those of an earlier application at the
  // same positions, -d(1/2 <s, K s_earlier>)/d(strain). Those may have other components, and the order must do for either.
  virtual Fields apply(const torch::Tensor &positions, const torch::Tensor &sources, const torch::Tensor &cell,
                       int order, bool atom_virial, const Fields *earlier = nullptr) const = 0;

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
  TORCH_CHECK(sources.dim() == 3 && sources.size(2) == 1, "charges, [n, C, 1], were expected; sources of the shape ",
              sources.sizes(),
              sources.dim() == 3 && sources.size(2) == 4    ? " (charges and dipoles)"
              : sources.dim() == 3 && sources.size(2) == 13 ? " (charges, dipoles and quadrupoles)"
                                                            : "",
              " are not implemented here");
  return sources.detach().select(2, 0);
}

}    // namespace les

// One evaluation of a model for the atoms of one rank: network, long-range sum, backward, Born effective charges. Tensors in, tensors out;
// where atoms and ghosts come from, and what becomes of the results, is the caller's business.
#pragma once

#include "atom_quantities.h"
#include "born.h"
#include "heat_flux.h"
#include "long_range.h"
#include "step_times.h"
#include "total_charge.h"

#include <optional>

namespace les {

struct EvaluatorSettings {
  std::optional<BornForm> bec;                         // without it that of the model file
  std::optional<std::array<double, 9>> epsilon_inf;    // likewise; less what alpha stands for in the training data
  KspaceSettings kspace;
  double store_bytes = 1.5e9;    // of what the network stores for the backward pass
  bool kernels = true;           // on a GPU, where it can; else tensor operations
};

// What is asked for beside energies, forces and virial.
struct Want {
  bool response = false;           // Born effective charges will be
  torch::Tensor directions{};      // along these [k, 3], as of born(); undefined: not known yet
  bool second_order = false;       // the last of them is a field
  bool atom_virial = false;        // symmetric, halves of edges
  bool centroid_virial = false;    // of the heat flux
};

// What one rank adds to the sums over the system, on the host, f64.
struct Result {
  torch::Tensor forces;             // [n_all, 3] eV/A, ghosts not yet added to their owners
  torch::Tensor energies;           // [n_owned, 2] eV: short range without atomic energies, long range
  torch::Tensor virial;             // [3, 3] eV, this rank's part
  torch::Tensor atom_virial;        // [n_all, 3, 3] eV if asked for
  torch::Tensor centroid_virial;    // [n_all, 3, 3] eV if asked for
  int64_t most_neighbors = 0;       // of an owned atom, where edges are in rows; else 0
};

// What decides whether long waves of charge are stable; "Stability" in export/FORMAT.md.
struct Stability {
  double chi = 0.0;             // must be less than 1
  double longest = HUGE_VAL;    // A, L_c: no wave of the cell may be longer
};

class Evaluator {
 public:
  // `comm` must outlive it.
  Evaluator(std::unique_ptr<Network> network, const EvaluatorSettings &settings, const Communicator &comm);

  const Network &network() const { return *network_; }
  const Metadata &metadata() const { return network_->metadata(); }
  BornForm born_form() const { return form_; }
  const std::array<double, 9> &epsilon() const { return epsilon_; }    // whose root latents get in a field

  // Once a run: choose the solver of the long-range sum. Returns a line for the log (may be empty).
  std::string begin_run(const Boundary &boundary, const torch::Tensor &cell, double n_atoms);
  LongRangeSum *long_range() { return metadata().charges.channels > 0 ? &long_range_ : nullptr; }

  // Collective. The graph is kept until the next evaluation.
  Result evaluate(Graph graph, const Want &want, StepTimes &times);

  // Of the last evaluation, on the device
  const Graph &graph() const { return graph_; }
  // [n_owned, C] file units, shifted where the file fixes their sum
  const torch::Tensor &charges() const { return shifted_.charge; }
  const Latents &latents() const { return shifted_; }
  const LongRange &far() const { return far_; }
  torch::Tensor atom_quantity(AtomQuantity quantity) const
  {
    return les::atom_quantity(quantity, shifted_, far_, metadata().charges);
  }
  // eps^(1/2) of what couples to a field, [3, 3] f64 on the host
  const torch::Tensor &root_of_epsilon() const { return sqrt_epsilon_; }
  // Collective. Of a model that responds, in a periodic cell.
  Stability stability() const;
  // Collective. The mesh as it was measured when this evaluation set it up, and its errors in the type of the model.
  std::optional<std::pair<MeasuredMesh, MeshErrors>> take_mesh_errors();

  // Collective. sum_a D_ka Z_iab along some directions [k, 3], rows of graph atoms, ghosts not yet added to their owners:
  // [n_all, k, 3] f64 on the host, e times the unit of the directions. `second_order`: the last direction is a field [V/A], and gets its whole
  // force, with 1/2 sum_ac D_ka D_kc d(alpha_ac)/dr_ib.
  torch::Tensor born(const torch::Tensor &directions, bool second_order = false);

  // Collective. Charges and potentials of a graph, and what Born effective charges need of it, without forces.
  void evaluate_charges(Graph graph, StepTimes &times);

 private:
  std::unique_ptr<Network> network_;
  const Communicator &comm_;
  BornForm form_;
  std::array<double, 9> epsilon_;
  Chain chain_;
  LongRangeSum long_range_;
  TotalCharge total_charge_;

  Graph graph_;
  torch::Tensor energy_;         // [n_owned] eV
  Latents latents_, shifted_;    // of the network, and of the model
  LongRange far_;
  bool kernels_;                                   // on the GPU
  torch::Tensor weights_;                          // [C] e per file unit of charge, sign included; on the device
  torch::Tensor sqrt_epsilon_;                     // [3, 3] f64 on the host
  std::optional<EdgeResponse> charge_response_;    // of their sum, of one layer, if it is at hand
  // likewise what dipoles add along the directions that were known before
  struct {
    torch::Tensor directions;    // [k, 4]: and whether of second order
    torch::Tensor gradients;     // [k, n_all, 3]
  } dipole_response_;

  void run_network(Graph graph, Keep keep);
  void run_long_range(const Want &want);
  EdgeResponse run_backward(const Want &want);
  Result tally(const Want &want, const EdgeResponse &energy) const;
  torch::Tensor add_up(const torch::Tensor &gradient, const torch::Tensor &most) const;
  BornSettings born_settings(const torch::Tensor &directions) const;
  bool has_dipoles() const { return metadata().gives("dipole") || metadata().gives("alpha"); }
  Latents charge_weights() const;
  Adjoint adjoint_of(const torch::Tensor &charges, const torch::Tensor &dipoles, bool second_order) const;
  Adjoint dipole_adjoint(const torch::Tensor &directions, bool second_order) const;
  torch::Tensor gradient_of(const EdgeResponse &response, const Adjoint &adjoint, int64_t set) const;
  torch::Tensor known_dipole_response(const torch::Tensor &directions, bool second_order) const;
};

}    // namespace les

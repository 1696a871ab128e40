// One evaluation of the model on one rank: network, long-range sum, pull-back, Born effective charges. Of LAMMPS it knows the cell and
// the graph of atoms and edges, no more; what becomes of the results is the pair style's business.
#pragma once

#include "cell.h"
#include "device.h"
#include "edge_rows.h"
#include "local_graph.h"

#include "heat_flux.h"
#include "les_model.h"
#include "long_range.h"
#include "mpi_communicator.h"

#include <chrono>
#include <optional>

namespace les {

enum class EdgeChoice { Auto, Step, Rebuild };
enum class GpuAware { Auto, Yes, No };

struct Settings {
  DeviceChoice device;
  std::optional<BornForm> born;    // without it that of the model file
  double epsilon_inf = 0.0;        // 0: as the model file says
  bool multichannel_bec =
      false;    // several channels add up with the signs of the model file, even if no label settled them
  KspaceSettings kspace;
  EdgeChoice edges = EdgeChoice::Auto;
  GpuAware gpu_aware = GpuAware::Auto;
};

// What is asked of a step beside energies, forces and virial.
struct Want {
  bool response = false;           // Born effective charges will be asked for
  bool atom_virial = false;        // symmetric, halves of edges
  bool centroid_virial = false;    // of the heat flux
};

// What one rank adds to LAMMPS's arrays, on the host, f64.
struct Tally {
  torch::Tensor forces;             // [n_all, 3] eV/A, images not yet added to their owners
  torch::Tensor energies;           // [n_owned, 2] eV: short range without atomic energies, long range
  torch::Tensor virial;             // [3, 3] eV, this rank's part
  torch::Tensor atom_virial;        // [n_all, 3, 3] eV if asked for
  torch::Tensor centroid_virial;    // [n_all, 3, 3] eV if asked for
  int64_t most_neighbors = 0;       // of an owned atom, where edges are in rows; else 0
};

// Wall seconds of the parts of a step on this rank, summed over a run. On a GPU, waiting for it shows where results are read.
struct StepTimes {
  enum Part { EDGES, NETWORK, LONG_RANGE, PULL_BACK, TALLY, BORN, PARTS };
  static constexpr const char *NAMES[PARTS] = {"edges", "network", "long range", "pull-back", "tally", "BEC"};
  double seconds[PARTS] = {};
  int64_t steps = 0;
  bool counts = true;    // not for the evaluation that sets a run up

  template <class F> void measure(Part part, F &&work)
  {
    const auto start = std::chrono::steady_clock::now();
    work();
    if (!counts) return;
    seconds[part] += std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  }
};

class LesStep {
 public:
  explicit LesStep(MPI_Comm world) : comm(world) {}

  Settings settings;
  std::unique_ptr<LesModel> model;
  MpiCommunicator comm;
  StepTimes times;

  // results of the last evaluation; rows are graph atoms or edges
  LocalGraph graph;
  Latents latents;
  LongRange long_range;
  torch::Tensor
      charges;    // [n_owned, channels] file units: those of the network, shifted where the file fixes their sum
  torch::Tensor positions, edge_vectors, edge_index;    // f64, i64
  torch::Tensor edge_gradient;                          // [E, 3] f64, dE/d(edge vector) at fixed potential
  Cell last_cell{};                                     // from the beginning of the run without flips
  torch::Tensor cell;                                   // the same, [3, 3] f64, rows in A

  const Metadata &info() const { return model->metadata(); }
  LongRangeParameters parameters() const;
  double epsilon_inf() const;
  BornForm born_form() const;

  // Choose the solver of a run; wave vectors and mesh follow at its first step. Returns a line for the log (may be empty).
  // Throws where the settings ask for what cannot be.
  std::string choose_solver(bool periodic, const torch::Tensor &cell, double n_atoms);
  bool has_solver() const { return sum_ != nullptr; }
  bool first_step() const { return !sum_ || !sum_->is_set_up(); }
  void forget_setup()    // wave vectors are chosen anew at the next step
  {
    if (sum_) sum_->forget_setup();
  }
  std::string solver_description() const { return sum_->description(); }

  // Edges either made from the neighbor list at each step, or listed at each rebuild of it, skin included, and selected on the
  // device of the model at each step.
  bool selects_edges() const;
  bool has_listed_edges() const { return listed_.index.defined() || rows_.listed(); }
  void build_graph(const LocalGraph::Atoms &atoms, const LocalGraph::Neighbors &list,
                   const std::vector<int> &species_of_type);
  void list_edges(const LocalGraph::Atoms &atoms, const LocalGraph::Neighbors &list,
                  const std::vector<int> &species_of_type);
  void select_edges(const LocalGraph::Atoms &atoms);
  // Collective, after the tally: whether an atom of any rank had more neighbors than its row has places. The rows have them now, and
  // the step is to be done again, from select_edges on.
  bool outgrew_rows(int64_t most_neighbors);
  void run_network(const Want &want);
  void run_long_range(const Want &want);    // charges and potentials; collective
  void run_pull_back(const Want &want);     // forces
  Tally tally(const Want &want) const;
  void forget_graph();    // frees the memory of what derivatives need, if it is not kept for the BEC

  // Collective. Born effective charges along some directions [k, 3]; rows of graph atoms, images not yet added to their owners:
  // [n_all, k, 3] f64 on the host, e times the unit of the directions
  torch::Tensor born_rows(const torch::Tensor &directions);
  std::optional<std::pair<MeasuredMesh, MeshErrors>> take_mesh_errors()
  {
    return sum_->take_mesh_errors(long_range, charges.unsqueeze(2));
  }
  void forget_mesh() { sum_.reset(); }    // with another model or other settings

 private:
  std::unique_ptr<LongRangeSum> sum_;
  bool periodic_ = true, has_autograd_ = false;
  torch::Tensor
      charge_gradient_;      // [E, 3] f64, d(sum of coupling charges)/d(edge vector), of one layer, if it is at hand
  torch::Tensor species_;    // [n_all]
  // All edges up to cutoff and skin, on the device: graph indices, LAMMPS indices; LAMMPS indices of graph atoms
  struct {
    torch::Tensor index, atoms, graph_atoms;
  } listed_;
  // or in rows, for a model that takes them so
  EdgeRows rows_;
  EdgeRows::Selection selected_;
  torch::Tensor coupling_weights_;
  torch::Tensor charge_weights_;    // [n_owned, channels] dE/d(charge of the network)
  // of the heat flux, where it is asked for
  torch::Tensor moment_weights_;    // [n_owned, channels, 3] what stands beside the displacement
  EdgeResponse energy_response_;    // of the energies of all atoms to the edges

  void respond_in_energy(bool keep_graph);
  std::pair<torch::Tensor, torch::Tensor> system_mean(const torch::Tensor &values) const;
  bool needs_layers() const { return les::needs_layers(born_form(), info().layers, periodic_); }
  const torch::Tensor &coupling_weights();    // [channels] of the coupling charges, e per file unit; once a run
};

}    // namespace les

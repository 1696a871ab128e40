// What the files pair_les*.cpp share: the evaluator as the pair style sees it.
#pragma once

#include "atom.h"
#include "cell.h"
#include "device.h"
#include "evaluator.h"
#include "ghost_exchange.h"
#include "graph_builder.h"
#include "mpi_communicator.h"
#include "pair_les.h"
#include "reason.h"
#include "surroundings.h"

#include <cmath>
#include <string>
#include <vector>

namespace LAMMPS_NS {

// What the pair style adds to the evaluator: LAMMPS's types, indices and units.
class PairLES::Impl {
 public:
  Impl(MPI_Comm world, std::function<void(bool, int)> move) : comm(world), exchange(rows, comm, std::move(move)) {}

  enum class GpuAware { Auto, Yes, No };
  enum class Unstable { Refuse, Allow };
  struct {
    les::DeviceChoice device;
    les::EvaluatorSettings evaluator;
    // several channels add up with the signs of the model file, even if no label settled them
    bool multichannel_bec = false;
    Unstable unstable = Unstable::Refuse;
    bool exchange = true;    // between layers; else ghosts are evaluated too
    les::NetworkChoice network = les::NetworkChoice::Auto;
    les::EdgeChoice edges = les::EdgeChoice::Auto;
    GpuAware gpu_aware = GpuAware::Auto;
    double kset_strain = HUGE_VAL;    // of the cell, at which wave vectors are chosen anew within a run
  } settings;

  les::MpiCommunicator comm;
  les::GhostRows rows;
  les::GhostExchange exchange;
  std::unique_ptr<les::Evaluator> evaluator;
  std::unique_ptr<les::GraphBuilder> graphs;
  bool finds_neighbors = false;    // the GPU does; LAMMPS makes no list
  // in place of LAMMPS's ghosts and lists, where the last evaluation was another one
  std::unique_ptr<les::Surroundings> surroundings;
  std::unique_ptr<les::GraphBuilder> graphs_again;
  les::StepTimes times;

  std::string path;                     // of the model file
  std::vector<int> species_of_type;     // [ntypes + 1], -1 for NULL
  std::vector<double> atomic_energy;    // [species] eV
  std::vector<double> charge_unit;      // [channels] e per file unit, sign included

  const les::Metadata &info() const { return evaluator->metadata(); }
  int channels() const { return info().charges.channels; }
  bool needs_ghosts() const { return graph_reach().rings > 1; }    // with their edges
  les::GraphBuilder::Reach graph_reach() const
  {
    return les::GraphBuilder::reach_of(info().network, settings.exchange);
  }
  // Of the last evaluation
  const les::LocalGraph &local() const { return surroundings ? graphs_again->local() : graphs->local(); }

  bool has_solver() const { return evaluator->long_range() != nullptr; }
  bool first_step() const { return !has_solver() || !evaluator->long_range()->is_set_up(); }    // of a run

  les::LocalGraph::Atoms atoms_of(const Atom *atom) const
  {
    return {atom->x, atom->type, atom->tag, atom->mask, excluded, atom->nlocal, atom->nlocal + atom->nghost};
  }

  std::string known_species() const    // with a blank before each
  {
    std::string text;
    for (const auto &s : info().network.species) text += " " + s;
    return text;
  }

  les::Want want_every_step;
  bool warned_of_drift = false, warned_of_vacuum = false, warned_of_commands = false, warned_of_axes = false;
  les::Cell last_cell{};     // from the beginning of the run without flips
  les::Cell setup_cell{};    // when wave vectors were chosen
  std::string reported;      // of the solver, in this run
  bool reported_stability = false;
  int excluded = 0;    // group bits of atoms that are as good as deleted

  // The atoms that results belong to
  struct {
    bool known = false;    // since the last init
    bool periodic = false;
    les::Cell cell;
    std::vector<double> x;       // [3 nlocal]
    std::vector<int> species;    // [nlocal], -1 for atoms that the model does not see
    std::vector<tagint> tag;     // [nall]
  } evaluated;
  bool have_born = false;                 // z
  std::array<bool, 8> have_quantity{};    // by AtomQuantity

  // per atom, LAMMPS indices
  std::array<std::vector<double>, 8> quantities;    // likewise
  std::vector<double> z;                            // [nlocal * 9, or more] e
  std::vector<double> along;                        // [nlocal * 3, or more] e times the unit of the field
};

}    // namespace LAMMPS_NS

namespace les {

// Cell [3, 3] f64, rows in A
inline torch::Tensor cell_tensor(const Cell &h)
{
  return torch::tensor(at::ArrayRef<double>(rows_of(h)), torch::kFloat64).view({3, 3});
}

}    // namespace les

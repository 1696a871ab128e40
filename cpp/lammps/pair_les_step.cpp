// One force evaluation of pair_style les.
//
// What crosses ranks: the long-range sum inside the solver; between two layers of a network what atoms send to their ghosts, and gradients by
// it; and LAMMPS's own ghost communication, which brings the forces and the Born effective charges that this rank found on ghosts to
// their owners.

#include "pair_les_impl.h"

#include "atom.h"
#include "comm.h"
#include "domain.h"
#include "error.h"
#include "force.h"
#include "neigh_list.h"
#include "neighbor.h"
#include "update.h"

#include <cmath>

using namespace LAMMPS_NS;
using les::reason_of;

void PairLES::compute(int eflag, int vflag)
{
  ev_init(eflag, vflag);
  Impl &m = *impl;
  m.surroundings.reset();
  les::Want want = m.want_every_step;
  want.atom_virial = vflag_atom != 0;
  want.centroid_virial = cvflag_atom != 0;
  if (want.centroid_virial) check_heat_flux();
  if (neighbor->ago == 0) {
    m.graphs->local().forget_owners();
    m.excluded = excluded_groups();
  }
  if (update->setupflag && m.has_solver()) m.evaluator->long_range()->forget_setup();
  start_evaluation();
  const bool first = m.first_step();
  les::StepTimes &times = m.times;
  times.counts = !update->setupflag;
  if (times.counts) times.steps++;
  together([&] {
    les::Graph graph = times.measure(les::StepTimes::EDGES, [&] { return build_graph(); });
    les::Result result = m.evaluator->evaluate(std::move(graph), want, times);
    while (outgrew_rows(result.most_neighbors)) {             // once, as a rule
      if (m.has_solver()) m.evaluator->take_mesh_errors();    // of charges that lack some edges
      graph = times.measure(les::StepTimes::EDGES, [&] { return m.graphs->select(m.atoms_of(atom)); });
      complete(graph);
      result = m.evaluator->evaluate(std::move(graph), want, times);
    }
    if (first && m.has_solver()) {
      times.doing = "the long-range sum";
      report_solver();
      warn_of_net_charge_in_vacuum();
      check_stability();
    }
    times.doing = "checking the forces";
    const std::string wild = add_to_lammps(result, want);
    if (!wild.empty())
      throw std::runtime_error("a force or an energy is not finite (" + wild +
                               "); atoms may have come too close, or the model was asked about structures far from "
                               "its training data");
  });
  remember_atoms();
}

// The cell, and whether it has gone so far that wave vectors are chosen anew. They stay with the lattice otherwise.
void PairLES::start_evaluation()
{
  Impl &m = *impl;
  const les::Cell now = les::cell_of(domain);
  m.last_cell = m.first_step() ? now : les::without_flips(now, m.last_cell);
  const bool periodic = m.has_solver() && domain->xperiodic;
  if (periodic && !m.first_step() && les::strain(m.last_cell, m.setup_cell) > m.settings.kset_strain) {
    m.evaluator->long_range()->forget_setup();
    m.last_cell = now;
  }
  if (m.first_step()) m.setup_cell = m.last_cell;
  if (periodic) warn_of_drift();
}

les::Graph PairLES::build_graph()
{
  Impl &m = *impl;
  const les::LocalGraph::Atoms atoms = m.atoms_of(atom);
  les::Graph graph;
  if (m.graphs->lists()) {
    if (neighbor->ago == 0 || !m.graphs->has_list()) {
      if (m.finds_neighbors) m.graphs->find(atoms, m.species_of_type, m.info().network.cutoff + neighbor->skin);
      else m.graphs->list(atoms, {list->numneigh, list->firstneigh}, m.species_of_type);
    }
    graph = m.graphs->select(atoms);
  } else graph = m.graphs->build(atoms, {list->numneigh, list->firstneigh}, m.species_of_type);
  complete(graph);
  return graph;
}

// What a graph has beside atoms and edges. On one rank, all ghosts are merged with their owners where several layers are exchanged.
void PairLES::complete(les::Graph &graph) const
{
  Impl &m = *impl;
  graph.cell = les::cell_tensor(m.last_cell);
  graph.periodic = boundary();
  if (comm->nprocs == 1 || m.info().network.pieces() == 1 || m.needs_ghosts()) return;
  m.exchange.set_up(m.graphs->local(), atom->nlocal + atom->nghost);
  graph.exchange = &m.exchange;
}

// Collective. Whether an atom of any rank had more neighbors than its row has places: the step is to be done again.
bool PairLES::outgrew_rows(int64_t most_neighbors)
{
  Impl &m = *impl;
  if (!m.graphs->lists() || !m.evaluator->network().takes_rows()) return false;
  const bool here = m.graphs->outgrown(most_neighbors);
  if (m.comm.sum(torch::full({1}, here, torch::kInt64)).item<int64_t>() == 0) return false;
  if (here) m.graphs->widen(most_neighbors);
  return true;
}

// What was set up, and what was measured of a mesh. Collective.
void PairLES::report_solver()
{
  Impl &m = *impl;
  const auto measured = m.evaluator->take_mesh_errors();
  const std::string description = m.evaluator->long_range()->description();
  // once a run: a rerun sets up each frame, a driven cell chooses anew again and again
  const bool quiet = !m.reported.empty();
  if (comm->me != 0) return;
  if (!quiet) {
    m.reported = description;
    utils::logmesg(lmp, "pair les: {}\n", m.reported);
  }
  if (!measured) return;
  const auto &[mesh, errors] = *measured;
  const auto &asked = m.settings.evaluator.kspace.mesh;
  if (!quiet && mesh.refined > 0)
    utils::logmesg(lmp, "pair les: mesh refined {} time(s) to reach the accuracy of {:.2g}\n", mesh.refined,
                   asked.accuracy);
  if (!quiet)
    utils::logmesg(lmp, "pair les: against {}: relative rms error of forces {:.2g}, of potentials {:.2g}\n",
                   mesh.direct ? "the direct sum" : "a mesh of two points more and two thirds of the spacing",
                   errors.forces, errors.fields);
  if (mesh.errors.largest() > asked.accuracy)
    error->warning(
        FLERR,
        "pair les: the mesh misses the accuracy of {:.2g} asked for: relative rms error of forces {:.2g}, of "
        "potentials {:.2g}; {}",
        asked.accuracy, mesh.errors.forces, mesh.errors.fields,
        asked.spacing > 0.0 ? "leave out 'spacing', or give a smaller one or a larger order"
        : asked.order > 0   ? "leave out 'order', or give a larger one"
                            : "take 'kspace direct', or ask for a larger accuracy");
  else if (errors.largest() > asked.accuracy)
    error->warning(FLERR,
                   "pair les: float32 rounds more than the accuracy of {:.2g} asked for: relative rms error of forces "
                   "{:.2g}, without rounding {:.2g}; a model in float64 has no such limit",
                   asked.accuracy, errors.forces, mesh.errors.forces);
}

// At the end of a run: where the time went on the first rank (on a GPU, waiting for it shows up where results are read).
void PairLES::finish()
{
  les::StepTimes &times = impl->times;
  if (comm->me == 0 && times.steps > 0) {
    std::string text = "pair les: ms a step:";
    for (int p = 0; p < les::StepTimes::PARTS; p++)
      text += fmt::format(" {} {:.3f}{}", les::StepTimes::NAMES[p],
                          1e3 * times.seconds[p] / static_cast<double>(times.steps),
                          p + 1 < les::StepTimes::PARTS ? "," : "\n");
    utils::logmesg(lmp, text);
  }
  times = les::StepTimes();
}

// Energies, forces and virials of this step into LAMMPS's arrays, in its units. Says what is not finite, if anything is.
std::string PairLES::add_to_lammps(const les::Result &result, const les::Want &want)
{
  Impl &m = *impl;
  const les::LocalGraph &graph = m.local();
  const double ev = force->qe2f;    // energy units per eV: 1 (metal) or 23.06 (real)
  double **f = atom->f;
  const auto add_virial = [&](double *v, const double *w) {    // w [3, 3]
    const int order[6] = {0, 4, 8, 1, 2, 5};
    for (int k = 0; k < 6; k++) v[k] += ev * w[order[k]];
  };
  if (vflag_global) add_virial(virial, result.virial.data_ptr<double>());

  const double *force_on = result.forces.data_ptr<double>(), *energy = result.energies.data_ptr<double>();
  std::string wild;
  const auto check = [&](double value, const char *what, int i) {
    if (wild.empty() && !std::isfinite(value)) wild = fmt::format("{} atom {} is {}", what, atom->tag[i], value);
  };
  double total = 0.0;
  for (int a = 0; a < graph.n_all(); a++) {
    const int i = graph.lammps_index(a);
    const double *fa = force_on + 3 * static_cast<size_t>(a);
    for (int b = 0; b < 3; b++) f[i][b] += ev * fa[b];
    check(fa[0] + fa[1] + fa[2], "the force on", i);
    if (want.centroid_virial) {    // xx yy zz xy xz yz yx zx zy, the direction of the flux first
      const double *w = result.centroid_virial.data_ptr<double>() + 9 * static_cast<size_t>(a);
      const int order[9] = {0, 4, 8, 1, 2, 5, 3, 6, 7};
      for (int k = 0; k < 9; k++) cvatom[i][k] += ev * w[order[k]];
    }
    if (want.atom_virial) add_virial(vatom[i], result.atom_virial.data_ptr<double>() + 9 * static_cast<size_t>(a));
  }
  for (int a = 0; a < graph.n_owned(); a++) {
    const int i = graph.lammps_index(a);
    const double e_short = energy[2 * a] + m.atomic_energy[m.species_of_type[atom->type[i]]],
                 e_long = energy[2 * a + 1];
    check(e_short + e_long, "the energy of", i);
    total += ev * (e_short + e_long);
    if (eflag_global) {
      eng_vdwl += ev * e_short;
      eng_coul += ev * e_long;
    }
    if (eflag_atom) eatom[i] += ev * (e_short + e_long);
  }
  if (wild.empty() && !std::isfinite(total)) wild = fmt::format("the energy of all atoms is {}", total);
  return wild;
}

std::string PairLES::failure(const std::string &reason) const
{
  const les::Graph &graph = impl->evaluator->graph();
  return fmt::format("pair les: {} failed at step {} on rank {} ({} owned atoms, {} edges): {}", impl->times.doing,
                     update->ntimestep, comm->me, graph.n_owned, graph.species.defined() ? graph.n_edges() : 0, reason);
}

// Do what all ranks do together, and end the run in good order if it fails on any of them: a rank that stops alone takes its message
// with it. What was being done stands in the times.
void PairLES::together(const std::function<void()> &work)
{
  std::string failed;
  try {
    work();
  } catch (const les::RankFailed &e) {
    stop_with(e.rank, "");
  } catch (const std::exception &e) {
    failed = failure(reason_of(e));
  }
  stop_together(failed);
}

void PairLES::stop_together(const std::string &failure_here)
{
  const int first = impl->comm.first_failed(!failure_here.empty());
  if (first < comm->nprocs) stop_with(first, failure_here);
}

// All ranks end with the message of one of them.
void PairLES::stop_with(int rank, const std::string &failure_here)
{
  int length = static_cast<int>(failure_here.size());
  MPI_Bcast(&length, 1, MPI_INT, rank, world);
  std::string text = failure_here;
  text.resize(length);
  MPI_Bcast(text.data(), length, MPI_CHAR, rank, world);
  error->all(FLERR, text);
}

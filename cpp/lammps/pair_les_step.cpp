// One force evaluation of pair_style les.
//
// Two things cross ranks: the long-range sum inside the solver, and LAMMPS's own ghost communication, which brings the forces and
// the Born effective charges that this rank found on ghosts back to their owners.

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
  const les::Want want{m.respond_every_step, vflag_atom != 0, cvflag_atom != 0};
  if (want.centroid_virial) check_heat_flux();
  if (neighbor->ago == 0) {
    m.graph.forget_owners();
    m.excluded = excluded_groups();
  }
  if (update->setupflag) m.forget_setup();
  start_evaluation();
  const bool first = m.first_step();
  les::StepTimes &times = m.times;
  times.counts = !update->setupflag;
  if (times.counts) times.steps++;
  together([&](const char *&doing) {
    doing = "collecting the edges";
    times.measure(les::StepTimes::EDGES, [&] { build_graph(); });
    les::Tally tally;
    const auto evaluate = [&] {
      doing = "evaluating the model";
      times.measure(les::StepTimes::NETWORK, [&] { m.run_network(want); });
      doing = "the long-range sum";
      times.measure(les::StepTimes::LONG_RANGE, [&] { m.run_long_range(want); });
      doing = "evaluating the model";
      times.measure(les::StepTimes::PULL_BACK, [&] { m.run_pull_back(want); });
      times.measure(les::StepTimes::TALLY, [&] { tally = m.tally(want); });
    };
    evaluate();
    while (m.outgrew_rows(tally.most_neighbors)) {    // once, as a rule
      times.measure(les::StepTimes::EDGES, [&] { m.select_edges(m.atoms_of(atom)); });
      evaluate();
    }
    doing = "the long-range sum";
    if (first && m.has_solver()) {
      report_solver();
      warn_of_net_charge_in_vacuum();
    }
    doing = "checking the forces";
    if (!add_to_lammps(tally, want))
      throw std::runtime_error(
          "a force or an energy is not finite; atoms may have come too close, or the model was asked "
          "about structures far from its training data");
  });
  remember_atoms();
  m.forget_graph();
}

// The cell, and whether it has gone so far that wave vectors are chosen anew. They stay with the lattice otherwise.
void PairLES::start_evaluation()
{
  Impl &m = *impl;
  const les::Cell now = les::cell_of(domain);
  m.last_cell = m.first_step() ? now : les::without_flips(now, m.last_cell);
  const bool periodic = m.has_solver() && domain->xperiodic;
  if (periodic && !m.first_step() && les::strain(m.last_cell, m.setup_cell) > m.kset_strain) {
    m.forget_setup();
    m.last_cell = now;
  }
  if (m.first_step()) m.setup_cell = m.last_cell;
  m.cell = les::cell_tensor(m.last_cell);
  if (periodic) warn_of_drift();
}

void PairLES::build_graph()
{
  Impl &m = *impl;
  const les::LocalGraph::Neighbors neighbors{list->numneigh, list->firstneigh};
  if (!m.selects_edges()) {
    m.build_graph(m.atoms_of(atom), neighbors, m.species_of_type);
    return;
  }
  if (neighbor->ago == 0 || !m.has_listed_edges()) m.list_edges(m.atoms_of(atom), neighbors, m.species_of_type);
  m.select_edges(m.atoms_of(atom));
}

// What was set up, and what was measured of a mesh. Collective.
void PairLES::report_solver()
{
  Impl &m = *impl;
  const auto measured = m.take_mesh_errors();
  // once a run: a rerun sets up each frame, a driven cell chooses anew again and again
  const bool quiet = m.reported == m.solver_description() || (!m.reported.empty() && !update->setupflag);
  if (comm->me != 0) return;
  if (!quiet) {
    m.reported = m.solver_description();
    utils::logmesg(lmp, "pair les: {}\n", m.reported);
  }
  if (!measured) return;
  const auto &[mesh, errors] = *measured;
  const auto &asked = m.settings.kspace.mesh;
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
        asked.spacing > 0.0 ? "leave out 'mesh', or give a smaller spacing or a larger order"
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

// Energies, forces and virials of this step into LAMMPS's arrays, in its units. False if some are not finite.
bool PairLES::add_to_lammps(const les::Tally &tally, const les::Want &want)
{
  Impl &m = *impl;
  const double ev = force->qe2f;    // energy units per eV: 1 (metal) or 23.06 (real)
  double **f = atom->f;
  const auto add_virial = [&](double *v, const double *w) {    // w [3, 3]
    const int order[6] = {0, 4, 8, 1, 2, 5};
    for (int k = 0; k < 6; k++) v[k] += ev * w[order[k]];
  };
  if (vflag_global) add_virial(virial, tally.virial.data_ptr<double>());

  const double *force_on = tally.forces.data_ptr<double>(), *energy = tally.energies.data_ptr<double>();
  bool finite = true;
  for (int a = 0; a < m.graph.n_all(); a++) {
    const int i = m.graph.lammps_index(a);
    const double *fa = force_on + 3 * static_cast<size_t>(a);
    for (int b = 0; b < 3; b++) f[i][b] += ev * fa[b];
    finite = finite && std::isfinite(fa[0] + fa[1] + fa[2]);
    if (want.centroid_virial) {    // xx yy zz xy xz yz yx zx zy, the direction of the flux first
      const double *w = tally.centroid_virial.data_ptr<double>() + 9 * static_cast<size_t>(a);
      const int order[9] = {0, 4, 8, 1, 2, 5, 3, 6, 7};
      for (int k = 0; k < 9; k++) cvatom[i][k] += ev * w[order[k]];
    }
    if (want.atom_virial) add_virial(vatom[i], tally.atom_virial.data_ptr<double>() + 9 * static_cast<size_t>(a));
  }
  for (int a = 0; a < m.graph.n_owned(); a++) {
    const int i = m.graph.lammps_index(a);
    const double e_short = energy[2 * a] + m.atomic_energy[m.species_of_type[atom->type[i]]],
                 e_long = energy[2 * a + 1];
    finite = finite && std::isfinite(e_short + e_long);
    if (eflag_global) {
      eng_vdwl += ev * e_short;
      eng_coul += ev * e_long;
    }
    if (eflag_atom) eatom[i] += ev * (e_short + e_long);
  }
  return finite;
}

std::string PairLES::failure(const char *doing, const std::string &reason) const
{
  return fmt::format("pair les: {} failed at step {} on rank {} ({} owned atoms, {} edges): {}", doing,
                     update->ntimestep, comm->me, impl->graph.n_owned(),
                     impl->edge_index.defined() ? impl->edge_index.size(1) : 0, reason);
}

// Do what all ranks do together, and end the run in good order if it fails on any of them: a rank that stops alone takes its message
// with it. `doing` is for the message.
void PairLES::together(const std::function<void(const char *&doing)> &work)
{
  std::string failed;
  const char *doing = "";
  try {
    work(doing);
  } catch (const les::RankFailed &e) {
    stop_with(e.rank, "");
  } catch (const std::exception &e) {
    failed = failure(doing, reason_of(e));
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

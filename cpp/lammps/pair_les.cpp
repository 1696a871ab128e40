// Latent Ewald Summation models (Cheng, npj Comput. Mater. 11, 80 (2025); Zhong et al., npj Comput. Mater. (2025)).
//
// Two things cross ranks: the long-range sum inside the solver, and LAMMPS's own ghost communication, which brings the forces and
// the Born effective charges that this rank found on ghosts back to their owners.

#include "pair_les.h"

#include "keywords.h"
#include "les_step.h"

#include "atom.h"
#include "comm.h"
#include "domain.h"
#include "error.h"
#include "force.h"
#include "memory.h"
#include "neigh_list.h"
#include "neighbor.h"
#include "update.h"

#include <ATen/Parallel.h>

#include <cmath>
#include <cstring>
#ifdef __GLIBC__
#include <malloc.h>
#endif

using namespace LAMMPS_NS;
using torch::Tensor;

namespace {

// More than one pair_style les under pair_style hybrid. (A lone style answers to every sub-style number.)
bool several(Force *force)
{
  const Pair *second = force->pair_match("les", 1, 2);
  return second && second != force->pair_match("les", 1, 1);
}

// Cell [3, 3] f64, rows in A
Tensor box_of(const Domain *domain)
{
  const double rows[9] = {domain->xprd, 0.0, 0.0, domain->xy, domain->yprd, 0.0, domain->xz, domain->yz, domain->zprd};
  return torch::tensor(at::ArrayRef<double>(rows, 9), torch::kFloat64).view({3, 3});
}

// What a torch exception is about, without its C++ or TorchScript stack.
std::string reason_of(const std::exception &e)
{
  const std::string text = e.what();
  const auto start = text.rfind("Error: ");
  const std::string tail = start == std::string::npos ? text : text.substr(start + 7);
  return tail.substr(0, tail.find('\n'));
}

}    // namespace

/* ---------------------------------------------------------------------- */

// What the pair style adds to the step: LAMMPS's types, indices and units.
class PairLES::Impl : public les::LesStep {
 public:
  using LesStep::LesStep;

  std::string path;                     // of the model file
  std::vector<int> species_of_type;     // [ntypes + 1], -1 for NULL
  std::vector<double> atomic_energy;    // [species] eV
  std::vector<double> charge_unit;      // [channels] e per file unit, sign included

  bool respond_every_step = false;
  bool warned_of_drift = false;
  bigint evaluated_at = -1, charges_at = -1, born_at = -1;    // timesteps
  // when forces were computed; positions only where edges may have to be made again
  int nlocal = 0, nghost = 0;
  std::vector<double> x;    // [nall * 3]

  // per atom, LAMMPS indices
  std::vector<double> q, phi;                  // [nlocal * channels] e, V
  std::vector<double> z;                       // [nall * 9] e
  std::vector<double> along;                   // [nall * 3] e times the unit of the field
  std::vector<double> *to_owners = nullptr;    // what is on its way from ghosts to their owners, and its row length
  int width = 0;
};

/* ---------------------------------------------------------------------- */

PairLES::PairLES(LAMMPS *lmp) : Pair(lmp), impl(std::make_unique<Impl>(world))
{
  single_enable = 0;
  restartinfo = 0;
  one_coeff = 1;
  manybody_flag = 1;
  centroidstressflag = CENTROID_NOTAVAIL;
  no_virial_fdotr_compute = 1;
  comm_reverse = comm_reverse_off = 9;    // LAMMPS sizes its buffers by this
}

PairLES::~PairLES()
{
  if (copymode) return;
  if (allocated) {
    memory->destroy(setflag);
    memory->destroy(cutsq);
  }
}

/* ----------------------------------------------------------------------
   pair_style les [kspace auto|direct|mesh] [accuracy X] [mesh H] [order P] [check yes|no]
                  [born local|phase] [epsilon_inf X] [device auto|cpu|cuda|cuda:N]
                  [edges auto|step|rebuild] [gpu_aware auto|yes|no]
------------------------------------------------------------------------- */

void PairLES::settings(int narg, char **arg)
{
  les::Settings &s = impl->settings;
  s = les::Settings();
  les::Keywords args(
      lmp, "pair_style les",
      {"kspace", "accuracy", "mesh", "order", "check", "born", "epsilon_inf", "device", "edges", "gpu_aware"}, narg,
      arg, 0);
  while (args.next()) {
    if (args.is("kspace")) {
      s.kspace = static_cast<les::KspaceChoice>(args.choice({"auto", "direct", "mesh"}));
    } else if (args.is("accuracy")) {
      s.mesh.accuracy = args.positive();
      if (s.mesh.accuracy < 1e-7 || s.mesh.accuracy > 1e-2) args.refuse("a relative error between 1e-7 and 1e-2");
    } else if (args.is("mesh")) {
      s.mesh.spacing = args.positive();
    } else if (args.is("order")) {
      s.mesh.order = args.integer(les::MeshSettings::MIN_ORDER, les::MeshSettings::MAX_ORDER);
    } else if (args.is("check")) {
      s.check = args.yes_or_no();
    } else if (args.is("born")) {
      s.born = args.choice({"local", "phase"}) == 0 ? les::BornForm::Local : les::BornForm::Phase;
    } else if (args.is("epsilon_inf")) {
      s.epsilon_inf = args.positive();
    } else if (args.is("edges")) {
      s.edges = static_cast<les::EdgeChoice>(args.choice({"auto", "step", "rebuild"}));
    } else if (args.is("gpu_aware")) {
      s.gpu_aware = static_cast<les::GpuAware>(args.choice({"auto", "yes", "no"}));
    } else if (utils::strmatch(args.text(), "^cuda:\\d+$") && args.text().size() < 9) {
      s.device = {les::DeviceChoice::CUDA, std::stoi(args.text().substr(5))};
    } else {
      const int choice = args.choice({"auto", "cpu", "cuda", "cuda:N"});
      if (choice == 3) args.refuse("a GPU number in place of N");
      s.device.kind = static_cast<les::DeviceChoice::Kind>(choice);
    }
  }
  if (impl->model) load_model();    // the style was given again: pair_coeff stays, the device may have changed
}

/* ----------------------------------------------------------------------
   pair_coeff * * model.pt O H ...
------------------------------------------------------------------------- */

void PairLES::coeff(int narg, char **arg)
{
  const int ntypes = atom->ntypes;
  if (!allocated) {
    allocated = 1;
    memory->create(setflag, ntypes + 1, ntypes + 1, "pair:setflag");
    memory->create(cutsq, ntypes + 1, ntypes + 1, "pair:cutsq");
  }
  if (narg != 3 + ntypes)
    error->all(FLERR,
               "pair_coeff les: expected '* * model.pt' and one element (or NULL) for each of the {} atom types, got "
               "{} arguments",
               ntypes, narg);
  if (strcmp(arg[0], "*") != 0 || strcmp(arg[1], "*") != 0)
    error->all(FLERR, "pair_coeff les: expected '* *' before the model file, not '{} {}'", arg[0], arg[1]);

  Impl &m = *impl;
  m.path = arg[2];
  load_model();
  const les::Metadata &info = m.info();
  std::string known;
  for (const auto &s : info.species) known += " " + s;
  m.species_of_type.assign(ntypes + 1, -1);
  for (int type = 1; type <= ntypes; type++) {
    const std::string element = arg[2 + type];
    if (element == "NULL") continue;
    for (size_t s = 0; s < info.species.size(); s++)
      if (info.species[s] == element) m.species_of_type[type] = static_cast<int>(s);
    if (m.species_of_type[type] < 0)
      error->all(FLERR, "pair_coeff les: model file {} knows the species{}; type {} asks for {}", m.path, known, type,
                 element);
  }
  int mapped = 0;
  for (int i = 1; i <= ntypes; i++)
    for (int j = 1; j <= ntypes; j++) {
      setflag[i][j] = i <= j && m.species_of_type[i] >= 0 && m.species_of_type[j] >= 0;
      mapped += setflag[i][j];
    }
  if (mapped == 0) error->all(FLERR, "pair_coeff les: every atom type is mapped to NULL");

  m.atomic_energy.clear();
  for (const auto &s : info.species) m.atomic_energy.push_back(info.atomic_energies.at(s));
  m.charge_unit.clear();
  for (const double sign : info.charge_sign) m.charge_unit.push_back(sign * info.charge_unit);
}

void PairLES::load_model()
{
  Impl &m = *impl;
  // LAMMPS's setting: OMP_NUM_THREADS or 1, so that ranks do not fight over cores
  at::set_num_threads(comm->nthreads);
#ifdef __GLIBC__
  // Every step frees what it has allocated; giving that back to the system each time costs a quarter of the step.
  mallopt(M_MMAP_THRESHOLD, 256 << 20);
  mallopt(M_TRIM_THRESHOLD, 1 << 30);
#endif
  std::string failed;
  try {
    const torch::Device device = les::choose_device(m.settings.device, world);
    m.model = std::make_unique<les::LesModel>(m.path, device);
    m.comm.set_gpu_aware(m.settings.gpu_aware == les::GpuAware::Yes ||
                         (m.settings.gpu_aware == les::GpuAware::Auto && les::MpiCommunicator::mpi_is_gpu_aware()));
  } catch (const std::exception &e) {
    failed = fmt::format("pair_coeff les: {}", e.what());
  }
  stop_together(failed);    // the file may be missing on one node only
  const les::Metadata &info = m.info();
  std::string known;
  for (const auto &s : info.species) known += " " + s;
  if (comm->me == 0)
    utils::logmesg(lmp,
                   "pair les: model {}\n"
                   "  species{}, {} layer(s) of {} A, {} charge channel(s), {}, device {}\n"
                   "  sigma {} A, dl {} A, norm {} eV A, epsilon_inf {}\n",
                   m.path, known, info.layers, info.cutoff, info.channels, info.dtype, m.model->device().str(),
                   info.sigma, info.dl, info.norm, m.epsilon_inf());
}

/* ---------------------------------------------------------------------- */

void PairLES::check_input()
{
  if (force->newton_pair == 0) error->all(FLERR, "pair_style les requires newton pair on");
  if (atom->tag_enable == 0) error->all(FLERR, "pair_style les requires atom IDs (atom_modify id yes)");
  if (strcmp(update->unit_style, "metal") != 0 && strcmp(update->unit_style, "real") != 0)
    error->all(FLERR, "pair_style les works in units metal or real, not {}", update->unit_style);
  if (several(force))
    error->all(FLERR, "pair_style les can be used only once; map atom types to elements in one pair_coeff instead");
  const int periodic = domain->xperiodic + domain->yperiodic + domain->zperiodic;
  if (periodic != 0 && periodic != 3)
    error->all(
        FLERR,
        "pair_style les needs a system that is periodic in all directions (boundary p p p) or in none (f, s or m); "
        "a mixture (slab, wire) is not implemented");
  if (neighbor->nex_type || neighbor->nex_group || neighbor->nex_mol || neighbor->includegroup)
    error->all(FLERR, "pair_style les must see all neighbors; neigh_modify exclude and include would change the model");
  if (strcmp(force->pair_style, "hybrid") == 0 && comm->me == 0)
    error->warning(
        FLERR, "pair_style hybrid: a pair_coeff of another style for two types of the model takes these neighbors from "
               "pair_style les; use hybrid/overlay");
  if (atom->molecular != Atom::ATOMIC)
    for (int k = 1; k <= 3; k++)
      if (force->special_lj[k] != 1.0)
        error->all(FLERR,
                   "pair_style les must see bonded neighbors; use 'special_bonds lj/coul 1 1 1' or atom_style atomic");
}

void PairLES::init_style()
{
  check_input();
  Impl &m = *impl;
  const les::Metadata &info = m.info();
  const int layers = info.layers;
  if (layers > 1 && neighbor->style != Neighbor::BIN && neighbor->style != Neighbor::NSQ)
    error->all(FLERR, "pair_style les: models with message passing need neighbor style bin or nsq");
  neighbor->add_request(this, layers > 1 ? NeighConst::REQ_FULL | NeighConst::REQ_GHOST : NeighConst::REQ_FULL);
  if (layers > 1) {    // ghosts out to `layers` cutoffs, while neighbor lists reach only one
    const double needed = layers * info.cutoff + neighbor->skin;
    if (comm->me == 0 && comm->cutghostuser < needed)
      utils::logmesg(lmp, "pair les: ghost cutoff set to {:.6g} A for {} layers of {} A\n", needed, layers,
                     info.cutoff);
    comm->cutghostuser = MAX(comm->cutghostuser, needed);
  }

  try {
    const std::string choice =
        m.choose_solver(domain->xperiodic != 0, box_of(domain), static_cast<double>(atom->natoms));
    if (!choice.empty() && comm->me == 0) utils::logmesg(lmp, "pair les: {}\n", choice);
  } catch (const std::exception &e) {
    error->all(FLERR, "pair_style les: {}", reason_of(e));
  }
  m.respond_every_step = m.warned_of_drift = false;
  m.graph.forget_owners();
  m.evaluated_at = m.charges_at = m.born_at = -1;
}

double PairLES::init_one(int i, int j)
{
  if (setflag[i][j] == 0 && setflag[j][i] == 0)
    error->all(FLERR,
               "pair_style les: pair_coeff is not set for types {} and {}; NULL is for pair_style hybrid/overlay", i,
               j);
  return impl->info().cutoff;
}

PairLES *PairLES::find(LAMMPS *lmp, const char *caller)
{
  if (several(lmp->force)) lmp->error->all(FLERR, "{} needs exactly one pair_style les, but there are several", caller);
  auto *pair = dynamic_cast<PairLES *>(lmp->force->pair_match("les", 1, 1));
  if (!pair) lmp->error->all(FLERR, "{} needs pair_style les, alone or in pair_style hybrid/overlay", caller);
  return pair;
}

/* ---------------------------------------------------------------------- */

void PairLES::compute(int eflag, int vflag)
{
  ev_init(eflag, vflag);
  Impl &m = *impl;
  if (neighbor->ago == 0) m.graph.forget_owners();
  m.cell = box_of(domain);
  const bool first = m.first_step();
  les::StepTimes &times = m.times;
  times.steps++;
  times.measure(les::StepTimes::EDGES, [&] { build_graph(m.may_merge_images(m.respond_every_step)); });
  std::string failed;
  const auto attempt = [&](auto &&work) {
    try {
      work();
    } catch (const std::exception &e) {
      if (failed.empty()) failed = failure("evaluating the model", reason_of(e));
    }
  };
  times.measure(les::StepTimes::NETWORK, [&] { attempt([&] { m.run_network(); }); });
  try {
    times.measure(les::StepTimes::LONG_RANGE, [&] { m.run_long_range(vflag_atom != 0); });
    if (first && m.has_solver()) report_solver();
  } catch (const std::exception &e) {    // in the midst of a collective step: the others cannot be told
    error->one(FLERR, failure("the long-range sum", reason_of(e)));
  }
  times.measure(les::StepTimes::PULL_BACK, [&] { attempt([&] { m.run_pull_back(m.respond_every_step); }); });
  if (domain->box_change) warn_of_drift();
  bool finite = true;
  times.measure(les::StepTimes::TALLY, [&] { finite = add_to_lammps(); });
  if (!finite && failed.empty())
    failed = failure("checking the forces",
                     "a force or an energy is not finite; atoms may have come too close, or the model was asked "
                     "about structures far from its training data");
  stop_together(failed);
  m.evaluated_at = update->ntimestep;
  m.nlocal = atom->nlocal;
  m.nghost = atom->nghost;
  m.charges_at = m.born_at = -1;
  m.forget_graph();
}

void PairLES::build_graph(bool merge_images)
{
  Impl &m = *impl;
  const int nall = atom->nlocal + atom->nghost;
  const les::LocalGraph::Atoms atoms{atom->x, atom->type, atom->tag, atom->nlocal, nall};
  if (m.selects_edges()) {
    if (neighbor->ago == 0 || !m.has_listed_edges(merge_images))
      m.list_edges(atoms, *list, m.species_of_type, merge_images);
    m.select_edges(atoms);
  } else {
    m.build_graph(atoms, *list, m.species_of_type, merge_images);
  }
  // images that were merged may be wanted apart later in the step, when a fix has moved box and atoms on
  if (merge_images) m.x.assign(&atom->x[0][0], &atom->x[0][0] + (nall ? 3 * static_cast<size_t>(nall) : 0));
}

// Once a run: what was set up, and the mesh against the direct sum if asked for. Collective.
void PairLES::report_solver()
{
  Impl &m = *impl;
  if (comm->me == 0) utils::logmesg(lmp, "pair les: {}\n", m.solver_description());
  if (!m.settings.check || !m.solver_is_mesh()) return;
  const auto [forces, potentials] = m.mesh_errors();
  if (comm->me == 0)
    utils::logmesg(lmp, "pair les: against the direct sum: relative rms error of forces {:.2g}, of potentials {:.2g}\n",
                   forces, potentials);
}

// Wave vectors and mesh stay as they were chosen, so that energy, forces and pressure are consistent; far from there they fit badly.
void PairLES::warn_of_drift()
{
  Impl &m = *impl;
  if (!m.has_solver() || !domain->xperiodic || m.warned_of_drift || m.cell_drift() < 0.05) return;
  m.warned_of_drift = true;
  if (comm->me == 0)
    error->warning(FLERR,
                   "pair les: the cell has changed by more than 5 % since its wave vectors were chosen; 'run' again to "
                   "choose them anew");
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
bool PairLES::add_to_lammps()
{
  Impl &m = *impl;
  const double ev = force->qe2f;    // energy units per eV: 1 (metal) or 23.06 (real)
  double **f = atom->f;
  const les::Tally tally = m.tally(vflag_atom != 0);
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
    if (vflag_atom) add_virial(vatom[i], tally.atom_virial.data_ptr<double>() + 9 * static_cast<size_t>(a));
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

// End the run in good order, and say why, if any rank has failed: a rank that stops alone takes its message with it.
void PairLES::stop_together(const std::string &failure_here)
{
  int first = failure_here.empty() ? comm->nprocs : comm->me;
  MPI_Allreduce(MPI_IN_PLACE, &first, 1, MPI_INT, MPI_MIN, world);
  if (first == comm->nprocs) return;
  int length = static_cast<int>(failure_here.size());
  MPI_Bcast(&length, 1, MPI_INT, first, world);
  std::string text = failure_here;
  text.resize(length);
  MPI_Bcast(text.data(), length, MPI_CHAR, first, world);
  error->all(FLERR, text);
}

/* ---------------------------------------------------------------------- */

void PairLES::respond_every_step() { impl->respond_every_step = true; }

void PairLES::evaluate_response(const double (*directions)[3], int count)
{
  Impl &m = *impl;
  if (m.info().channels == 0)
    error->all(FLERR, "pair les: model file {} has no charges, so it has no Born effective charges", m.path);
  std::vector<double> &out = count == 3 ? m.z : m.along;
  const size_t nall = atom->nlocal + atom->nghost, width = 3 * static_cast<size_t>(count);
  out.assign(nall * width, 0.0);
  Tensor rows;
  try {
    if (m.images_merged() && !m.may_merge_images(true)) {    // asked for after the step: images are needed apart
      std::vector<double *> rows_of_x(nall);
      for (size_t i = 0; i < nall; i++) rows_of_x[i] = &m.x[3 * i];
      m.LesStep::build_graph({rows_of_x.data(), atom->type, atom->tag, atom->nlocal, static_cast<int>(nall)}, *list,
                             m.species_of_type, false);
    }
    rows = m.born_rows(domain->xperiodic != 0,
                       torch::tensor(at::ArrayRef<double>(directions[0], 3 * count), torch::kFloat64).view({count, 3}));
  } catch (const std::exception &e) {
    error->one(FLERR, failure("computing Born effective charges", reason_of(e)));
  }
  const double *row = rows.data_ptr<double>();
  for (int a = 0; a < m.graph.n_all(); a++)
    for (size_t k = 0; k < width; k++)
      out[width * static_cast<size_t>(m.graph.lammps_index(a)) + k] += row[width * static_cast<size_t>(a) + k];
  m.to_owners = &out;
  m.width = static_cast<int>(width);
  comm->reverse_comm(this, m.width);
}

const double *PairLES::born()
{
  check_evaluated("Born effective charges");
  if (impl->born_at != update->ntimestep) {
    const double axes[3][3] = {{1.0, 0.0, 0.0}, {0.0, 1.0, 0.0}, {0.0, 0.0, 1.0}};
    impl->times.measure(les::StepTimes::BORN, [&] { evaluate_response(axes, 3); });
    impl->born_at = update->ntimestep;
  }
  return impl->z.data();
}

const double *PairLES::born_along(const double *field)
{
  check_evaluated("Born effective charges");
  const double direction[1][3] = {{field[0], field[1], field[2]}};
  impl->times.measure(les::StepTimes::BORN, [&] { evaluate_response(direction, 1); });
  return impl->along.data();
}

// Charges and potentials come from the device when they are asked for.
void PairLES::fetch_charges(const char *what)
{
  check_evaluated(what);
  Impl &m = *impl;
  if (m.charges_at == update->ntimestep) return;
  const auto host = [](const Tensor &t) { return t.to(torch::kCPU, torch::kFloat64).contiguous(); };
  const Tensor charge = host(m.charges), potential = host(m.long_range.potential);
  const double *q = charge.data_ptr<double>(), *phi = potential.data_ptr<double>();
  const size_t channels = m.info().channels;
  m.q.assign(atom->nlocal * channels, 0.0);
  m.phi.assign(atom->nlocal * channels, 0.0);
  for (int a = 0; a < m.graph.n_owned(); a++)
    for (size_t c = 0; c < channels; c++) {
      const size_t to = m.graph.lammps_index(a) * channels + c, from = a * channels + c;
      m.q[to] = m.charge_unit[c] * q[from];
      m.phi[to] = phi[from] / m.charge_unit[c];
    }
  m.charges_at = update->ntimestep;
}

const double *PairLES::charges()
{
  fetch_charges("charges");
  return impl->q.data();
}

const double *PairLES::potentials()
{
  fetch_charges("potentials");
  return impl->phi.data();
}

int PairLES::channels() const
{
  if (!impl->model) error->all(FLERR, "pair les: the model is not known before pair_coeff");
  return impl->info().channels;
}

bool PairLES::knows_type(int type) const { return impl->species_of_type[type] >= 0; }

void PairLES::check_evaluated(const char *what)
{
  if (impl->evaluated_at != update->ntimestep || impl->nlocal != atom->nlocal || impl->nghost != atom->nghost)
    error->all(FLERR,
               "pair les: {} were asked for at step {}, but forces were not computed there, or atoms came or went "
               "since; use 'run 0' first",
               what, update->ntimestep);
}

int PairLES::pack_reverse_comm(int n, int first, double *buf)
{
  const int width = impl->width;
  const double *rows = impl->to_owners->data() + static_cast<size_t>(width) * first;
  std::copy(rows, rows + static_cast<size_t>(width) * n, buf);
  return width * n;
}

void PairLES::unpack_reverse_comm(int n, int *indices, double *buf)
{
  const size_t width = impl->width;
  double *rows = impl->to_owners->data();
  for (int i = 0; i < n; i++)
    for (size_t k = 0; k < width; k++) rows[width * static_cast<size_t>(indices[i]) + k] += buf[width * i + k];
}

double PairLES::memory_usage()
{
  const Impl &m = *impl;
  double bytes = Pair::memory_usage() + sizeof(double) * (m.q.size() + m.phi.size() + m.z.size() + m.along.size());
  for (const Tensor &t : {m.positions, m.edge_vectors, m.edge_index, m.edge_gradient})
    if (t.defined()) bytes += t.nbytes();
  return bytes;
}

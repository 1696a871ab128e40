// Latent Ewald Summation models (Cheng, npj Comput. Mater. 11, 80 (2025); Zhong et al., npj Comput. Mater. (2025)).
//
// Two things cross ranks: the long-range sum inside the solver, and LAMMPS's own ghost communication, which brings the forces and
// the Born effective charges that this rank found on ghosts back to their owners.

#include "pair_les.h"

#include "keywords.h"
#include "local_graph.h"

#include "born.h"
#include "les_model.h"
#include "long_range.h"
#include "mpi_communicator.h"

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
#include <torch/cuda.h>

#include <cmath>
#include <cstring>

using namespace LAMMPS_NS;
using torch::Tensor;

namespace {

enum class DeviceChoice { Auto, Cpu, Cuda };

struct Settings {
  DeviceChoice device = DeviceChoice::Auto;
  int gpu = -1;    // -1: by the rank within the node
  les::BornForm born = les::BornForm::Local;
  double epsilon_inf = 0.0;    // 0: as the model file says
};

// GPUs are dealt out by the rank within the node.
torch::Device choose_device(DeviceChoice choice, int index, MPI_Comm world, Error *error)
{
  const int gpus = torch::cuda::is_available() ? static_cast<int>(torch::cuda::device_count()) : 0;
  if (choice == DeviceChoice::Cpu || (choice == DeviceChoice::Auto && gpus == 0)) return torch::kCPU;
  if (gpus == 0)
    error->all(FLERR, "pair_style les: device cuda was asked for, but torch sees no CUDA GPU; use device cpu, or a "
                      "CUDA build of torch");
  if (index >= gpus)
    error->all(FLERR, "pair_style les: device cuda:{} was asked for, but torch sees {} GPU(s)", index, gpus);
  if (index >= 0) return torch::Device(torch::kCUDA, static_cast<torch::DeviceIndex>(index));
  MPI_Comm node;
  MPI_Comm_split_type(world, MPI_COMM_TYPE_SHARED, 0, MPI_INFO_NULL, &node);
  int rank = 0;
  MPI_Comm_rank(node, &rank);
  MPI_Comm_free(&node);
  return torch::Device(torch::kCUDA, static_cast<torch::DeviceIndex>(rank % gpus));
}

// More than one pair_style les under pair_style hybrid. (A lone style answers to every sub-style number.)
bool several(Force *force)
{
  const Pair *second = force->pair_match("les", 1, 2);
  return second && second != force->pair_match("les", 1, 1);
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

class PairLES::Impl {
 public:
  explicit Impl(MPI_Comm world) : comm(world) {}

  Settings settings;
  bool born_every_step = false;

  // model
  std::unique_ptr<les::LesModel> model;
  std::string path;
  std::vector<int> species_of_type;     // [ntypes + 1]
  std::vector<double> atomic_energy;    // [species] eV
  std::vector<double> charge_unit;      // [channels] e per file unit, sign included
  les::MpiCommunicator comm;
  std::unique_ptr<les::LongRangeSolver> solver;
  bool solver_ready = false;

  // this step
  les::LocalGraph graph;
  bool images_merged = false;
  les::Latents latents;
  bool has_graph = false;    // autograd graph still alive
  les::LongRange long_range;
  Tensor positions, edge_vectors, edge_index, edge_gradient;    // f64; gradient dE/d(edge vector) at fixed phi
  Tensor cell;
  bigint evaluated_at = -1, born_at = -1;
  int nlocal = 0, nghost = 0;    // when forces were computed

  // per atom, LAMMPS indices
  std::vector<double> q, phi;    // [nlocal * channels]
  std::vector<double> z;         // [nall * 9]

  const les::Metadata &info() const { return model->metadata(); }

  double epsilon_inf() const { return settings.epsilon_inf > 0.0 ? settings.epsilon_inf : info().epsilon_inf; }

  std::vector<double> coupling_weights() const    // [channels] of Q = sqrt(eps) unit sign q
  {
    const double root = std::sqrt(epsilon_inf());
    std::vector<double> w = charge_unit;
    for (auto &x : w) x *= root;
    return w;
  }

  void build_graph(const les::LocalGraph::Atoms &atoms, const NeighList &list, bool merge_images)
  {
    graph.build(atoms, list, species_of_type, info().cutoff, info().layers, merge_images);
    images_merged = merge_images;
    const auto device = model->device();
    positions = graph.positions().to(device);
    edge_vectors = graph.edge_vectors().to(device);
    edge_index = graph.edge_index().to(device);
  }

  // What a rank without atoms, or one whose model has failed, takes into the collective steps.
  les::Latents nothing() const
  {
    const int n = graph.n_owned();
    const auto options = torch::dtype(model->dtype()).device(model->device());
    return {torch::zeros({graph.n_edges(), 3}, options), torch::zeros({n}, options),
            torch::zeros({n, info().channels}, options)};
  }

  void run_network()
  {
    latents = nothing();
    const int n = graph.n_owned();
    if (n > 0) latents = model->latents(edge_vectors, edge_index, graph.species().to(model->device()), n);
  }

  // Collective: every rank takes part, even one whose model has failed.
  void run_long_range(bool atom_virial)
  {
    const int n = graph.n_owned();
    if (solver) {
      if (!solver_ready) solver->setup(cell);
      solver_ready = true;
      long_range = solver->compute(positions.narrow(0, 0, n), latents.charge.detach(), cell, atom_virial);
    } else {
      const auto f64 = positions.options();
      long_range = {torch::zeros({n}, f64), torch::zeros_like(latents.charge), torch::zeros({n, 3}, f64),
                    torch::zeros({3, 3}), torch::zeros({n, 3, 3}, f64)};
    }
  }

  void run_pull_back(bool keep_graph)
  {
    edge_gradient = torch::zeros_like(edge_vectors);
    has_graph = false;
    edge_gradient = model->pull_back(latents, true, long_range.potential, keep_graph);
    has_graph = keep_graph;
  }

  // Rows of graph atoms, images not yet added to their owners. [n_all, 3, 3] f64 on the host
  Tensor born_rows(bool periodic)
  {
    if (!has_graph) run_network();
    has_graph = false;
    const auto f64 = torch::dtype(torch::kFloat64).device(model->device());
    const Tensor weights = torch::tensor(coupling_weights(), f64);
    const Tensor coupling = latents.charge.detach().to(torch::kFloat64).matmul(weights);
    const les::ChargePullBack pull_back = [&](const Tensor &w, bool last) {
      return model->pull_back(latents, false, w.unsqueeze(1) * weights, !last);
    };
    const les::BornSettings born{settings.born, info().layers, info().remove_mean, periodic, cell};
    const les::AtomsAndEdges atoms{positions, graph.n_owned(), edge_vectors, edge_index};
    const Tensor rows = les::born_effective_charges(born, atoms, coupling, pull_back, comm);
    latents = {};
    return rows.to(torch::kCPU).contiguous();
  }

  // In the local form of a deep model, images must keep their own coordinates.
  bool may_merge(bool with_born) const
  {
    return info().layers > 1 && !(with_born && settings.born == les::BornForm::Local);
  }
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
   pair_style les [kspace auto|direct] [born local|phase] [epsilon_inf X] [device auto|cpu|cuda|cuda:N]
------------------------------------------------------------------------- */

void PairLES::settings(int narg, char **arg)
{
  Settings &s = impl->settings;
  s = Settings();
  les::Keywords args(lmp, "pair_style les", {"kspace", "born", "epsilon_inf", "device"}, narg, arg, 0);
  while (args.next()) {
    if (args.is("kspace")) {
      if (args.text() == "mesh")
        error->all(FLERR, "pair_style les: kspace mesh is not part of this version; use kspace direct");
      args.choice({"auto", "direct"});
    } else if (args.is("born")) {
      s.born = args.choice({"local", "phase"}) == 0 ? les::BornForm::Local : les::BornForm::Phase;
    } else if (args.is("epsilon_inf")) {
      s.epsilon_inf = args.positive();
    } else if (utils::strmatch(args.text(), "^cuda:\\d+$") && args.text().size() < 9) {
      s.device = DeviceChoice::Cuda;
      s.gpu = std::stoi(args.text().substr(5));
    } else {
      const int choice = args.choice({"auto", "cpu", "cuda", "cuda:N"});
      if (choice == 3) args.refuse("a GPU number in place of N");
      s.device = static_cast<DeviceChoice>(choice);
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
  at::set_num_threads(
      comm->nthreads);    // LAMMPS's setting: OMP_NUM_THREADS or 1, so that ranks do not fight over cores
  try {
    m.model = std::make_unique<les::LesModel>(m.path, choose_device(m.settings.device, m.settings.gpu, world, error));
  } catch (const les::ModelFileError &e) {
    error->all(FLERR, "pair_coeff les: {}", e.what());
  }
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
  if (neighbor->exclude && comm->me == 0)
    error->warning(FLERR,
                   "neigh_modify exclude hides neighbors from pair_style les: the model sees atoms that are not there");
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

  const les::LongRangeParameters parameters{info.sigma,       info.dl,          info.norm,
                                            info.remove_self, info.self_factor, info.open_shift};
  m.solver.reset();
  if (info.channels > 0)
    m.solver = domain->xperiodic ? les::make_direct_sum(parameters, m.comm) : les::make_open_sum(parameters, m.comm);
  m.solver_ready = false;    // wave vectors are chosen anew at the start of each run
  m.born_every_step = false;
  m.graph.forget_owners();
  m.evaluated_at = m.born_at = -1;
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
  m.cell = torch::tensor({domain->xprd, 0.0, 0.0, domain->xy, domain->yprd, 0.0, domain->xz, domain->yz, domain->zprd},
                         torch::kFloat64)
               .view({3, 3});
  const bool first = !m.solver_ready;
  m.build_graph({atom->x, atom->type, atom->tag, atom->nlocal, atom->nlocal + atom->nghost}, *list,
                m.may_merge(m.born_every_step));
  std::string failed;
  const auto attempt = [&](auto &&work) {
    try {
      work();
    } catch (const std::exception &e) {
      if (failed.empty()) failed = failure("evaluating the model", reason_of(e));
    }
  };
  attempt([&] { m.run_network(); });
  try {
    m.run_long_range(vflag_atom != 0);
  } catch (const std::exception &e) {    // in the midst of a collective step: the others cannot be told
    error->one(FLERR, failure("the long-range sum", reason_of(e)));
  }
  attempt([&] { m.run_pull_back(m.born_every_step); });
  if (first && m.solver && comm->me == 0) utils::logmesg(lmp, "pair les: {}\n", m.solver->description());
  if (!add_to_lammps() && failed.empty())
    failed = failure("checking the forces",
                     "a force or an energy is not finite; atoms may have come too close, or the model was asked "
                     "about structures far from its training data");
  stop_together(failed);
  m.evaluated_at = update->ntimestep;
  m.nlocal = atom->nlocal;
  m.nghost = atom->nghost;
  m.born_at = -1;
  if (m.born_every_step) evaluate_born();
  if (!m.has_graph) m.latents = {};    // frees the autograd graph
}

// Energies, forces, virials and per-atom results of this step into LAMMPS's arrays, in its units. False if some are not finite.
bool PairLES::add_to_lammps()
{
  Impl &m = *impl;
  const double ev = force->qe2f;    // energy units per eV: 1 (metal) or 23.06 (real)
  double **f = atom->f;
  const auto host = [](const Tensor &t) { return t.to(torch::kCPU, torch::kFloat64).contiguous(); };
  const Tensor short_range = host(m.latents.energy.detach()), shares = host(m.long_range.energy);
  const Tensor gradients = host(m.edge_gradient), pulls = host(m.long_range.forces);
  const Tensor vectors = host(m.edge_vectors), index = m.edge_index.to(torch::kCPU).contiguous();
  const double *g = gradients.data_ptr<double>(), *d = vectors.data_ptr<double>();
  const int64_t n_edges = m.graph.n_edges();
  const int64_t *center = index.data_ptr<int64_t>(), *neighbor_of = center + n_edges;

  for (int64_t e = 0; e < n_edges; e++) {
    const int c = m.graph.lammps_index(static_cast<int>(center[e])),
              j = m.graph.lammps_index(static_cast<int>(neighbor_of[e]));
    const double *ge = g + 3 * e, *de = d + 3 * e;
    for (int a = 0; a < 3; a++) {
      f[c][a] += ev * ge[a];
      f[j][a] -= ev * ge[a];
    }
    if (vflag_either) {    // -r (x) g, half to either atom
      const double v[6] = {-ev * de[0] * ge[0], -ev * de[1] * ge[1], -ev * de[2] * ge[2],
                           -ev * de[0] * ge[1], -ev * de[0] * ge[2], -ev * de[1] * ge[2]};
      for (int k = 0; k < 6; k++) {
        if (vflag_global) virial[k] += v[k];
        if (vflag_atom) {
          vatom[c][k] += 0.5 * v[k];
          vatom[j][k] += 0.5 * v[k];
        }
      }
    }
  }

  const auto add_virial = [&](double *v, const double *w) {    // w [3, 3]
    const int order[6] = {0, 4, 8, 1, 2, 5};
    for (int k = 0; k < 6; k++) v[k] += ev * w[order[k]];
  };
  if (vflag_global) add_virial(virial, host(m.long_range.virial).data_ptr<double>());
  const Tensor atom_virials = vflag_atom ? host(m.long_range.atom_virial) : Tensor();

  const int n = m.graph.n_owned(), channels = m.info().channels;
  const Tensor charge = host(m.latents.charge.detach()), potential = host(m.long_range.potential),
               species = m.graph.species();
  const int64_t *kind = species.data_ptr<int64_t>();
  const double *q = charge.data_ptr<double>(), *phi = potential.data_ptr<double>(), *pull = pulls.data_ptr<double>();
  const double *e_short = short_range.data_ptr<double>(), *e_long = shares.data_ptr<double>();
  m.q.assign(static_cast<size_t>(atom->nlocal) * channels, 0.0);
  m.phi.assign(static_cast<size_t>(atom->nlocal) * channels, 0.0);
  bool finite = true;
  for (int a = 0; a < n; a++) {
    const int i = m.graph.lammps_index(a);
    const double e_atom = e_short[a] + m.atomic_energy[kind[a]];
    if (eflag_global) {
      eng_vdwl += ev * e_atom;
      eng_coul += ev * e_long[a];
    }
    if (eflag_atom) eatom[i] += ev * (e_atom + e_long[a]);
    for (int b = 0; b < 3; b++) f[i][b] += ev * pull[3 * a + b];
    finite = finite && std::isfinite(f[i][0] + f[i][1] + f[i][2] + e_atom + e_long[a]);
    if (vflag_atom) add_virial(vatom[i], atom_virials.data_ptr<double>() + 9 * a);
    for (int c = 0; c < channels; c++) {
      m.q[i * channels + c] = m.charge_unit[c] * q[a * channels + c];
      m.phi[i * channels + c] = phi[a * channels + c] / m.charge_unit[c];
    }
  }
  return finite;
}

std::string PairLES::failure(const char *doing, const std::string &reason) const
{
  return fmt::format("pair les: {} failed at step {} on rank {} ({} owned atoms, {} edges): {}", doing,
                     update->ntimestep, comm->me, impl->graph.n_owned(), impl->graph.n_edges(), reason);
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

void PairLES::compute_born_every_step() { impl->born_every_step = true; }

void PairLES::evaluate_born()
{
  Impl &m = *impl;
  const int nall = atom->nlocal + atom->nghost;
  m.z.assign(static_cast<size_t>(nall) * 9, 0.0);
  Tensor rows;
  try {
    if (m.images_merged && !m.may_merge(true)) {    // asked for after the step: the graph at hand has merged images
      m.build_graph({atom->x, atom->type, atom->tag, atom->nlocal, nall}, *list, false);
      m.has_graph = false;
    }
    rows = m.born_rows(domain->xperiodic != 0);
  } catch (const std::exception &e) {
    error->one(FLERR, failure("computing Born effective charges", reason_of(e)));
  }
  const double *z = rows.data_ptr<double>();
  for (int a = 0; a < m.graph.n_all(); a++)
    for (int k = 0; k < 9; k++)
      m.z[9 * static_cast<size_t>(m.graph.lammps_index(a)) + k] += z[9 * static_cast<size_t>(a) + k];
  comm->reverse_comm(this);
  m.born_at = update->ntimestep;
}

const double *PairLES::born()
{
  check_evaluated("Born effective charges");
  if (impl->info().channels == 0)
    error->all(FLERR, "pair les: model file {} has no charges, so it has no Born effective charges", impl->path);
  if (impl->born_at != update->ntimestep) evaluate_born();
  return impl->z.data();
}

const double *PairLES::charges()
{
  check_evaluated("charges");
  return impl->q.data();
}

const double *PairLES::potentials()
{
  check_evaluated("potentials");
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
               "pair les: {} were asked for at step {}, but forces were not computed there, or atoms were moved since; "
               "use 'run 0' first",
               what, update->ntimestep);
}

int PairLES::pack_reverse_comm(int n, int first, double *buf)
{
  const double *z = impl->z.data() + 9 * static_cast<size_t>(first);
  std::copy(z, z + 9 * static_cast<size_t>(n), buf);
  return 9 * n;
}

void PairLES::unpack_reverse_comm(int n, int *indices, double *buf)
{
  double *z = impl->z.data();
  for (int i = 0; i < n; i++)
    for (int k = 0; k < 9; k++) z[9 * static_cast<size_t>(indices[i]) + k] += buf[9 * static_cast<size_t>(i) + k];
}

double PairLES::memory_usage()
{
  const Impl &m = *impl;
  double bytes = Pair::memory_usage() + sizeof(double) * (m.q.size() + m.phi.size() + m.z.size());
  for (const Tensor &t : {m.positions, m.edge_vectors, m.edge_index, m.edge_gradient})
    if (t.defined()) bytes += t.nbytes();
  return bytes;
}

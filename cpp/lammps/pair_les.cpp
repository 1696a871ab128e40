// Latent Ewald Summation models (Cheng, npj Comput. Mater. 11, 80 (2025); Zhong et al., npj Comput. Mater. (2025)): commands of the
// pair style and what is set up before a run.

#include "pair_les_impl.h"
#include "program.h"

#include "keywords.h"
#include "model_file.h"

#include "atom.h"
#include "comm.h"
#include "domain.h"
#include "error.h"
#include "force.h"
#include "memory.h"
#include "neighbor.h"
#include "universe.h"
#include "update.h"

#include <ATen/Parallel.h>

#ifdef __GLIBC__
#include <malloc.h>
#endif

using namespace LAMMPS_NS;
using les::reason_of;
using torch::Tensor;

namespace {

// A number, or the six of a tensor
std::string epsilon_text(const std::array<double, 9> &e)
{
  if (e[1] == 0.0 && e[2] == 0.0 && e[5] == 0.0 && e[0] == e[4] && e[0] == e[8]) return fmt::format("{}", e[0]);
  return fmt::format("xx {} yy {} zz {} xy {} xz {} yz {}", e[0], e[4], e[8], e[1], e[2], e[5]);
}

// epsilon_inf X, or epsilon_inf XX YY ZZ XY XZ YZ
std::array<double, 9> dielectric_tensor(les::Keywords &args)
{
  constexpr double LARGEST = les::Metadata::Response::LARGEST_EPSILON;
  const std::string expected =
      fmt::format("a number from {:g} to {:g}, or six, XX YY ZZ XY XZ YZ, of a tensor with such eigenvalues",
                  les::Metadata::Response::SMALLEST_EPSILON, LARGEST);
  std::vector<double> e;
  for (const auto &value : args.values()) e.push_back(value.number(-LARGEST, LARGEST, expected));
  std::array<double, 9> tensor{};
  if (e.size() == 1) tensor = {e[0], 0.0, 0.0, 0.0, e[0], 0.0, 0.0, 0.0, e[0]};
  if (e.size() == 6) tensor = {e[0], e[3], e[4], e[3], e[1], e[5], e[4], e[5], e[2]};
  if (!les::is_dielectric(tensor)) args.refuse(expected);
  return tensor;
}

}    // namespace

PairLES::PairLES(LAMMPS *lmp) :
    Pair(lmp), impl(std::make_unique<Impl>(world, [this](bool forward, int columns) {
      if (forward) comm->forward_comm(this, columns);
      else comm->reverse_comm(this, columns);
    }))
{
  single_enable = 0;
  restartinfo = 0;
  one_coeff = 1;
  manybody_flag = 1;
  centroidstressflag = CENTROID_AVAIL;
  no_virial_fdotr_compute = 1;
  comm_reverse = 9;    // LAMMPS sizes its buffers by this; more for several layers, see init_style
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
   pair_style les [kspace auto|direct|mesh] [accuracy X] [spacing H] [order P] [mesh_error auto|yes|no] [slab F]
                  [bec local|phase] [epsilon_inf X] [multichannel_bec yes|no] [unstable refuse|allow] [kset run|cell|S] [device auto|cpu|cuda|cuda:N]
                  [network auto|native|script] [edges auto|step|rebuild] [exchange yes|no] [store X] [gpu_aware auto|yes|no]
                  [gpu_kernels yes|no]
------------------------------------------------------------------------- */

void PairLES::settings(int narg, char **arg)
{
  impl->settings = {};
  auto &s = impl->settings;
  les::KspaceSettings &kspace = s.evaluator.kspace;
  les::Keywords args(lmp, "pair_style les",
                     {"kspace", "accuracy", "spacing", "order", "mesh_error", "slab", "bec", "epsilon_inf",
                      "multichannel_bec", "unstable", "kset", "device", "network", "edges", "exchange", "store",
                      "gpu_aware", "gpu_kernels"},
                     narg, arg, 0);
  while (args.next()) {
    if (args.is("kspace")) {
      kspace.method = args.choice<les::KspaceChoice>(les::KSPACE_CHOICES);
    } else if (args.is("accuracy")) {
      kspace.mesh.accuracy = args.number(1e-7, 1e-2, "a relative error between 1e-7 and 1e-2");
    } else if (args.is("spacing")) {
      kspace.mesh.spacing = args.number(1e-3, 1e3);
    } else if (args.is("order")) {
      kspace.mesh.order = args.integer(les::MeshSettings::MIN_ORDER, les::MeshSettings::MAX_ORDER);
    } else if (args.is("mesh_error")) {
      kspace.mesh_error = args.choice<les::MeshCheck>(les::MESH_CHECKS);
    } else if (args.is("slab")) {
      kspace.slab = args.number(1.5, 100.0);
    } else if (args.is("bec")) {
      s.evaluator.bec = args.choice<les::BornForm>(les::BORN_FORMS);
    } else if (args.is("epsilon_inf")) {
      s.evaluator.epsilon_inf = dielectric_tensor(args);
    } else if (args.is("multichannel_bec")) {
      s.multichannel_bec = args.yes_or_no();
    } else if (args.is("unstable")) {
      s.unstable = args.choice<Impl::Unstable>({"refuse", "allow"});
    } else if (args.is("kset")) {
      if (args.text() == "run") s.kset_strain = HUGE_VAL;
      else if (args.text() == "cell") s.kset_strain = 0.01;
      else s.kset_strain = args.number(0.0, 1.0, "run, cell, or a strain from 0 to 1");
    } else if (args.is("network")) {
      s.network = args.choice<les::NetworkChoice>(les::NETWORK_CHOICES);
    } else if (args.is("edges")) {
      s.edges = args.choice<les::EdgeChoice>({"auto", "step", "rebuild"});
    } else if (args.is("exchange")) {
      s.exchange = args.yes_or_no();
    } else if (args.is("store")) {
      s.evaluator.store_bytes = 1e9 * args.number(0.0, 1e6, "a number of GB from 0 to 1e6");
    } else if (args.is("gpu_aware")) {
      s.gpu_aware = args.choice<Impl::GpuAware>({"auto", "yes", "no"});
    } else if (args.is("gpu_kernels")) {
      s.evaluator.kernels = args.yes_or_no();
    } else if (utils::strmatch(args.text(), "^cuda:")) {
      constexpr int MOST = 127;    // GPUs that torch counts
      if (!utils::strmatch(args.text(), "^cuda:\\d+$") || args.text().size() > 8 ||
          std::stoi(args.text().substr(5)) > MOST)
        args.refuse(fmt::format("cuda:N with a number N from 0 to {}", MOST));
      s.device = {les::DeviceChoice::CUDA, std::stoi(args.text().substr(5))};
    } else {
      s.device = {args.choice<les::DeviceChoice::Kind>({"auto", "cpu", "cuda", "cuda:N"}), -1};
    }
  }
  if (impl->evaluator) load_model();    // the style was given again: pair_coeff stays, the device may have changed
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

  Impl &m = *impl;
  m.path = arg[2];
  load_model();
  const les::Metadata &info = m.info();
  const std::string known = m.known_species();
  m.species_of_type.assign(ntypes + 1, -1);
  for (int type = 1; type <= ntypes; type++) {
    const std::string element = arg[2 + type];
    if (element == "NULL") continue;
    for (size_t s = 0; s < info.network.species.size(); s++)
      if (info.network.species[s] == element) m.species_of_type[type] = static_cast<int>(s);
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
  for (const auto &s : info.network.species) m.atomic_energy.push_back(info.atomic_energies.at(s));
  m.charge_unit = info.charges.weights();
}

void PairLES::load_model()
{
  Impl &m = *impl;
  m.evaluated.known = false;    // what is there is another model's
  // LAMMPS's setting: OMP_NUM_THREADS or 1, so that ranks do not fight over cores
  at::set_num_threads(comm->nthreads);
#ifdef __GLIBC__
  // Every step frees what it has allocated; giving that back to the system each time costs a quarter of the step.
  if (!mallopt(M_MMAP_THRESHOLD, 256 << 20)) mallopt(M_MMAP_THRESHOLD, 32 << 20);    // the most that older ones take
  mallopt(M_TRIM_THRESHOLD, 1 << 30);
#endif
  std::string failed, found, bytes;
  try {
    if (comm->me == 0) {                                 // thousands of ranks must not open it at once
      found = utils::get_potential_file_path(m.path);    // also in LAMMPS_POTENTIALS
      bytes = les::read_model_file(found.empty() ? m.path : found);
    }
  } catch (const std::exception &e) {
    failed = fmt::format("pair_coeff les: {}", e.what());
  }
  if (bytes.size() > MAXSMALLINT)
    failed = fmt::format("pair_coeff les: model file {} has {} bytes, more than can be sent to all ranks at once",
                         m.path, bytes.size());
  stop_together(failed);
  int size = static_cast<int>(bytes.size());
  MPI_Bcast(&size, 1, MPI_INT, 0, world);
  bytes.resize(size);
  MPI_Bcast(bytes.data(), size, MPI_CHAR, 0, world);
  try {
    const torch::Device device = les::choose_device(m.settings.device, world, universe->iworld * comm->nprocs);
    m.evaluator = std::make_unique<les::Evaluator>(les::load_network(m.path, bytes, device, m.settings.network),
                                                   m.settings.evaluator, m.comm);
    m.graphs = std::make_unique<les::GraphBuilder>(m.evaluator->network(), m.settings.edges, m.graph_reach(),
                                                   m.settings.evaluator.kernels);
    m.graphs_again = std::make_unique<les::GraphBuilder>(m.evaluator->network(), les::EdgeChoice::Step,
                                                         les::GraphBuilder::reach_of(m.info().network, false), false);
    m.comm.set_gpu_aware(m.settings.gpu_aware == Impl::GpuAware::Yes ||
                         (m.settings.gpu_aware == Impl::GpuAware::Auto && les::MpiCommunicator::mpi_is_gpu_aware()));
  } catch (const std::exception &e) {
    failed = fmt::format("pair_coeff les: {}", e.what());
  }
  stop_together(failed);    // a GPU may be missing on one node only
  const int cpu = m.evaluator->network().device().is_cpu();
  int cpus = 0;
  MPI_Allreduce(&cpu, &cpus, 1, MPI_INT, MPI_SUM, world);
  if (cpus != 0 && cpus != comm->nprocs)
    error->all(
        FLERR,
        "pair_coeff les: {} of {} ranks have no GPU, but the others have; use device cpu, or nodes with GPUs only",
        cpus, comm->nprocs);
  const les::Metadata &info = m.info();
  if (comm->me == 0)
    utils::logmesg(lmp,
                   "pair les: model {}\n"
                   "  species{}, {} layer(s) of {} A, {} charge channel(s), {}, device {}\n"
                   "  sigma {} A, dl {} A, norm {} eV A, {} {}\n"
                   "  network by {}\n",
                   m.path, m.known_species(), info.network.layers, info.network.cutoff, info.charges.channels,
                   info.network.dtype, m.evaluator->network().device().str(), info.long_range.sigma, info.long_range.dl,
                   info.long_range.norm, info.gives("alpha") ? "epsilon_e" : "epsilon_inf",
                   epsilon_text(m.evaluator->epsilon()), m.evaluator->network().description());
  if (comm->me == 0 && !cpu && m.settings.evaluator.kernels && !les::gpu::available(m.evaluator->network().device()))
    utils::logmesg(lmp, "  without kernels: the driver (libcuda) or their compiler (libnvrtc) was not found\n");
  if (comm->me == 0 && info.charges.channels > 0)
    utils::logmesg(lmp, "  Born effective charges in the {} form, {}\n",
                   les::BORN_FORMS[static_cast<int>(m.evaluator->born_form())],
                   m.settings.evaluator.bec ? fmt::format("as pair_style says; that of the model file is {}",
                                                          les::BORN_FORMS[static_cast<int>(info.response.bec_form)])
                                            : "that of the model file");
}

void PairLES::init_style()
{
  check_input();
  compare_masses();
  warn_of_heat_flux();
  warn_of_other_commands();
  Impl &m = *impl;
  const les::Metadata::Network &network = m.info().network;
  // lists of pair_style hybrid leave pairs out
  m.finds_neighbors = m.graphs->finds_neighbors() && !utils::strmatch(force->pair_style, "^hybrid");
  if (!m.finds_neighbors)
    neighbor->add_request(this, m.needs_ghosts() ? NeighConst::REQ_FULL | NeighConst::REQ_GHOST : NeighConst::REQ_FULL);
  if (m.needs_ghosts()) {    // out to `layers` cutoffs, while neighbor lists reach only one
    if (neighbor->style != Neighbor::BIN && neighbor->style != Neighbor::NSQ)
      error->all(FLERR, "pair_style les: the edges of ghosts need neighbor style bin or nsq");
    if (comm->mode != Comm::SINGLE)
      error->all(FLERR,
                 "pair_style les: the edges of ghosts need ghosts out to {} cutoffs; use comm_modify mode single",
                 network.layers);
    const double needed = network.layers * network.cutoff + neighbor->skin;
    if (comm->me == 0 && comm->cutghostuser < needed)
      utils::logmesg(lmp, "pair les: ghost cutoff set to {:.6g} A for {} layers of {} A\n", needed, network.layers,
                     network.cutoff);
    comm->cutghostuser = MAX(comm->cutghostuser, needed);
  }
  if (network.pieces() > 1) {    // LAMMPS sizes its buffers right after this
    comm_forward = comm_reverse = les::GhostRows::COLUMNS;
    force->pair->comm_forward = MAX(force->pair->comm_forward, comm_forward);    // of pair_style hybrid
    force->pair->comm_reverse = MAX(force->pair->comm_reverse, comm_reverse);
  }

  try {
    const std::string choice =
        m.evaluator->begin_run(boundary(), les::cell_tensor(les::cell_of(domain)), static_cast<double>(atom->natoms));
    if (!choice.empty() && comm->me == 0) utils::logmesg(lmp, "pair les: {}\n", choice);
  } catch (const std::exception &e) {
    error->all(FLERR, "pair_style les: {}", reason_of(e));
  }
  m.want_every_step = {};
  m.warned_of_drift = false;
  m.evaluated.known = false;
  m.reported.clear();
  m.graphs->local().forget_owners();
}

les::Boundary PairLES::boundary() const
{
  return {domain->xperiodic != 0, domain->yperiodic != 0, domain->zperiodic != 0};
}

double PairLES::init_one(int, int) { return impl->info().network.cutoff; }

PairLES *PairLES::find(LAMMPS *lmp, const char *caller)
{
  if (several(lmp)) lmp->error->all(FLERR, "{} needs exactly one pair_style les, but there are several", caller);
  auto *pair = dynamic_cast<PairLES *>(lmp->force->pair_match("les", 1, 1));
  if (!pair) lmp->error->all(FLERR, "{} needs pair_style les, alone or in pair_style hybrid/overlay", caller);
  return pair;
}

int PairLES::channels() const
{
  if (!impl->evaluator) error->all(FLERR, "pair les: the model is not known before pair_coeff");
  return impl->channels();
}

bool PairLES::sees(int i) const
{
  return impl->species_of_type[atom->type[i]] >= 0 && !(atom->mask[i] & impl->excluded);
}

double PairLES::memory_usage()
{
  const Impl &m = *impl;
  double bytes = Pair::memory_usage() + sizeof(double) * (m.z.size() + m.along.size());
  for (const auto &values : m.quantities) bytes += static_cast<double>(sizeof(double) * values.size());
  if (!m.evaluator) return bytes;
  const les::Graph &graph = m.evaluator->graph();
  for (const Tensor &t : {graph.positions, graph.edge_vectors, graph.edge_index})
    if (t.defined()) bytes += t.nbytes();
  return bytes;
}

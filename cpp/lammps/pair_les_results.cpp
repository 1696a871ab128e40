// What fix efield/bec and the computes read from pair_style les: charges, potentials, Born effective charges.

#include "host_copy.h"
#include "pair_les_impl.h"

#include "atom.h"
#include "comm.h"
#include "domain.h"
#include "error.h"
#include "update.h"

#include <algorithm>
#include <cmath>
#include <cstring>

using namespace LAMMPS_NS;
using torch::Tensor;

void PairLES::check_born()
{
  Impl &m = *impl;
  if (!m.info().coupling_is_known() && !m.settings.multichannel_bec)
    error->all(FLERR,
               "pair les: model file {} has {} charge channels, and no label settled how they couple to a field: "
               "energies do not. Train with Born effective charges, or take the signs of the file as they are by "
               "'pair_style les multichannel_bec yes'",
               m.path, m.channels());
  if (!domain->triclinic_general || m.warned_of_axes) return;
  m.warned_of_axes = true;
  if (comm->me == 0)
    error->warning(
        FLERR,
        "pair les: in a general triclinic box the field, the current and the columns of Born effective charges are "
        "along LAMMPS's restricted axes; 'dump_modify triclinic/general yes' turns only x, v and f");
}

void PairLES::respond_every_step(bool axes, const double *field)
{
  check_born();
  std::vector<double> rows;
  if (axes) rows = {1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0};
  const bool along = field && (!axes || has_second_order());
  if (along) rows.insert(rows.end(), field, field + 3);
  les::Want &want = impl->want_every_step;
  want.response = true;
  want.second_order = along;
  if (!rows.empty()) want.directions = torch::tensor(rows, torch::kFloat64).view({-1, 3});
}

void PairLES::evaluate_response(const double (*directions)[3], int count, bool second_order)
{
  Impl &m = *impl;
  if (m.channels() == 0)
    error->all(FLERR, "pair les: model file {} has no charges, so it has no Born effective charges", m.path);
  std::vector<double> &out = count == 3 ? m.z : m.along;
  const size_t nall = m.surroundings ? m.surroundings->atoms().nall : atom->nlocal + atom->nghost,
               width = 3 * static_cast<size_t>(count);
  out.assign(nall * width, 0.0);
  Tensor rows;
  together([&] {
    rows = m.evaluator->born(
        torch::tensor(at::ArrayRef<double>(directions[0], 3 * count), torch::kFloat64).view({count, 3}), second_order);
    if (!rows.isfinite().all().item<bool>()) throw std::runtime_error("a Born effective charge is not finite");
  });
  const double *row = rows.data_ptr<double>();
  for (int64_t a = 0; a < rows.size(0); a++)
    for (size_t k = 0; k < width; k++)
      out[width * static_cast<size_t>(m.local().lammps_index(static_cast<int>(a))) + k] += row[width * a + k];
  if (m.surroundings) together([&] { m.surroundings->add_to_owners(out, static_cast<int>(width)); });
  else m.exchange.add_to_owners(out, width);
}

const double *PairLES::born()
{
  require_evaluation("Born effective charges");
  if (!impl->have_born) {
    const double axes[3][3] = {{1.0, 0.0, 0.0}, {0.0, 1.0, 0.0}, {0.0, 0.0, 1.0}};
    impl->times.measure(les::StepTimes::BORN, [&] { evaluate_response(axes, 3, false); });
    impl->have_born = true;
  }
  return impl->z.data();
}

const double *PairLES::born_along(const double *field)
{
  require_evaluation("Born effective charges");
  const double direction[1][3] = {{field[0], field[1], field[2]}};
  impl->times.measure(les::StepTimes::BORN, [&] { evaluate_response(direction, 1, true); });
  return impl->along.data();
}

const double *PairLES::root_of_epsilon() const { return impl->evaluator->root_of_epsilon().data_ptr<double>(); }

bool PairLES::removes_mean() const { return impl->info().response.remove_mean; }

bool PairLES::has_second_order() const { return impl->info().gives("alpha"); }

bool PairLES::has(les::AtomQuantity quantity) const { return impl->info().gives(les::kind_of(quantity).latent); }

// They come from the device when they are asked for.
const double *PairLES::atom_quantity(les::AtomQuantity quantity)
{
  const les::AtomQuantityKind &kind = les::kind_of(quantity);
  require_evaluation(kind.what);
  Impl &m = *impl;
  std::vector<double> &values = m.quantities[static_cast<size_t>(quantity)];
  const size_t columns = static_cast<size_t>(kind.width) * m.channels();
  if (m.have_quantity[static_cast<size_t>(quantity)]) return values.data();
  Tensor rows;
  together([&] {
    m.times.doing = "fetching what atoms have";
    rows = les::to_host(m.evaluator->atom_quantity(quantity).contiguous());
  });
  const les::LocalGraph &graph = m.local();
  const double *row = rows.data_ptr<double>();
  values.assign(atom->nlocal * columns, 0.0);
  for (int a = 0; a < graph.n_owned(); a++, row += columns)
    std::copy_n(row, columns, &values[graph.lammps_index(a) * columns]);
  m.have_quantity[static_cast<size_t>(quantity)] = true;
  return values.data();
}

// The atoms that the last evaluation has seen, and where.
void PairLES::remember_atoms()
{
  Impl &m = *impl;
  const int nlocal = atom->nlocal;
  auto &e = m.evaluated;
  e.known = true;
  e.periodic = domain->xperiodic != 0;
  e.cell = les::cell_of(domain);
  e.x.resize(3 * static_cast<size_t>(nlocal));
  e.species.resize(nlocal);
  for (int i = 0; i < nlocal; i++) {
    std::copy(atom->x[i], atom->x[i] + 3, &e.x[3 * static_cast<size_t>(i)]);
    e.species[i] = sees(i) ? m.species_of_type[atom->type[i]] : -1;
  }
  e.tag.assign(atom->tag, atom->tag + nlocal + atom->nghost);
  m.have_born = false;
  m.have_quantity.fill(false);
}

// Trial moves that were taken back, commands between runs: on this rank. The tolerance is that of folding a coordinate back and forth.
bool PairLES::atoms_are_those_evaluated() const
{
  constexpr double TOLERANCE = 1e-10;    // A
  const auto &e = impl->evaluated;
  const size_t nlocal = atom->nlocal, nall = nlocal + atom->nghost;
  if (!e.known || e.periodic != (domain->xperiodic != 0) || e.species.size() != nlocal || e.tag.size() != nall ||
      !std::equal(e.tag.begin(), e.tag.end(), atom->tag))
    return false;
  const les::Cell cell = les::cell_of(domain);
  for (size_t k = 0; k < cell.size() && domain->xperiodic; k++)
    if (std::abs(cell[k] - e.cell[k]) > TOLERANCE) return false;
  const bool same = nlocal == 0 || std::memcmp(atom->x[0], e.x.data(), e.x.size() * sizeof(double)) == 0;
  for (size_t i = 0; i < nlocal; i++) {
    if (e.species[i] != (sees(static_cast<int>(i)) ? impl->species_of_type[atom->type[i]] : -1)) return false;
    for (int a = 0; a < 3 && !same; a++)
      if (!(std::abs(atom->x[i][a] - e.x[3 * i + a]) <= TOLERANCE)) return false;
  }
  return true;
}

void PairLES::require_evaluation(const char *what)
{
  Impl &m = *impl;
  int state[2] = {!atoms_are_those_evaluated(), !m.evaluated.known};    // on some rank only
  MPI_Allreduce(MPI_IN_PLACE, state, 2, MPI_INT, MPI_MAX, world);
  if (!state[0]) return;
  // within a run the model is set up, and atoms are in their places, but LAMMPS's ghosts and lists may be those of a move taken back
  if (state[1] || update->whichflag == 0 || (m.has_solver() && m.first_step()))
    error->all(
        FLERR,
        "pair les: {} were asked for at step {}, but forces were not computed there, or the cell has changed, or atoms "
        "were moved or changed, or atoms came or went since; use 'run 0' first",
        what, update->ntimestep);
  evaluate_again();
}

// Charges, and what Born effective charges need, for the atoms as they are now. Forces and energies stay those of LAMMPS.
void PairLES::evaluate_again()
{
  Impl &m = *impl;
  start_evaluation();
  together([&] {
    m.times.doing = "evaluating the model again";
    les::LocalGraph::Atoms owned = m.atoms_of(atom);
    owned.nall = owned.nlocal;
    const double cutoff = m.info().network.cutoff;
    m.surroundings = std::make_unique<les::Surroundings>(owned, m.last_cell, boundary(), cutoff,
                                                         cutoff * m.info().network.layers, m.comm);
    m.graphs_again->local().forget_owners();
    les::Graph graph = m.graphs_again->build(m.surroundings->atoms(), m.surroundings->neighbors(), m.species_of_type);
    graph.cell = les::cell_tensor(m.last_cell);
    graph.periodic = boundary();
    m.evaluator->evaluate_charges(std::move(graph), m.times);
    if (m.has_solver()) m.evaluator->take_mesh_errors();    // they are reported of steps
  });
  remember_atoms();
}

int PairLES::pack_forward_comm(int n, int *indices, double *buf, int, int *)
{
  const les::GhostRows &rows = impl->rows;
  for (int i = 0; i < n; i++) buf = std::copy_n(rows.row(indices[i]), rows.columns, buf);
  return n * static_cast<int>(rows.columns);
}

void PairLES::unpack_forward_comm(int n, int first, double *buf)
{
  const les::GhostRows &rows = impl->rows;
  for (int i = 0; i < n; i++, buf += rows.columns) std::copy_n(buf, rows.columns, rows.row(first + i));
}

int PairLES::pack_reverse_comm(int n, int first, double *buf)
{
  const les::GhostRows &rows = impl->rows;
  for (int i = 0; i < n; i++) buf = std::copy_n(rows.row(first + i), rows.columns, buf);
  return n * static_cast<int>(rows.columns);
}

void PairLES::unpack_reverse_comm(int n, int *indices, double *buf)
{
  const les::GhostRows &rows = impl->rows;
  for (int i = 0; i < n; i++)
    for (size_t k = 0; k < rows.columns; k++) rows.row(indices[i])[k] += *buf++;
}

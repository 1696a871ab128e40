// What fix efield/bec and the computes read from pair_style les: charges, potentials, Born effective charges.

#include "pair_les_impl.h"

#include "atom.h"
#include "comm.h"
#include "domain.h"
#include "error.h"
#include "update.h"

using namespace LAMMPS_NS;
using les::reason_of;
using torch::Tensor;

void PairLES::check_born()
{
  Impl &m = *impl;
  if (!m.info().coupling_is_known() && !m.settings.multichannel_bec)
    error->all(FLERR,
               "pair les: model file {} has {} charge channels, and no label settled how they couple to a field: "
               "energies do not. Train with Born effective charges, or take the signs of the file as they are by "
               "'pair_style les multichannel_bec yes'",
               m.path, m.info().channels);
  try {
    if (les::needs_layers(m.born_form(), m.info().layers, domain->xperiodic != 0)) m.model->check_tells_layers_apart();
  } catch (const std::exception &e) {
    error->all(FLERR, "pair les: model file {}: {}", m.path, e.what());
  }
}

void PairLES::respond_every_step()
{
  check_born();
  impl->respond_every_step = true;
}

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
    rows = m.born_rows(torch::tensor(at::ArrayRef<double>(directions[0], 3 * count), torch::kFloat64).view({count, 3}));
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

void PairLES::check_evaluated(const char *what)
{
  int stale = impl->evaluated_at != update->ntimestep || impl->nlocal != atom->nlocal || impl->nghost != atom->nghost;
  MPI_Allreduce(MPI_IN_PLACE, &stale, 1, MPI_INT, MPI_MAX, world);    // atoms may have gone from one rank only
  if (stale)
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

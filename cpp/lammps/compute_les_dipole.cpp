#include "compute_les_dipole.h"

#include "atom_quantities.h"
#include "pair_les.h"

#include "atom.h"
#include "domain.h"
#include "error.h"
#include "update.h"

#include <vector>

using namespace LAMMPS_NS;
using les::AtomQuantity;

/* ----------------------------------------------------------------------
   compute ID group les/dipole
------------------------------------------------------------------------- */

ComputeLESDipole::ComputeLESDipole(LAMMPS *lmp, int narg, char **arg) : Compute(lmp, narg, arg), pair(nullptr)
{
  if (narg != 3) error->all(FLERR, "compute les/dipole takes no arguments, got '{}'", arg[3]);
  vector_flag = 1;
  size_vector = 3;
  extvector = 1;
  vector = new double[3]{};
}

ComputeLESDipole::~ComputeLESDipole()
{
  if (copymode) return;
  delete[] vector;
}

void ComputeLESDipole::init()
{
  pair = PairLES::find(lmp, "compute les/dipole");
  if (pair->channels() == 0) error->all(FLERR, "compute les/dipole: the model of pair_style les has no charges");
  pair->check_born();
}

// P = eps^(1/2) sum_i (Q_i r_i + U_i), with what is induced, positions unwrapped
void ComputeLESDipole::compute_vector()
{
  invoked_vector = update->ntimestep;
  const int nlocal = atom->nlocal, channels = pair->channels();
  std::vector<double> charge(nlocal, 0.0), dipole(3 * static_cast<size_t>(nlocal), 0.0);
  const auto add = [&](AtomQuantity quantity, std::vector<double> &to, int width) {
    if (!pair->has(quantity)) return;
    const double *values = pair->atom_quantity(quantity);
    for (int i = 0; i < nlocal; i++)
      for (int c = 0; c < channels; c++)
        for (int k = 0; k < width; k++) to[static_cast<size_t>(width) * i + k] += *values++;
  };
  add(AtomQuantity::Charge, charge, 1);
  add(AtomQuantity::InducedCharge, charge, 1);
  add(AtomQuantity::Dipole, dipole, 3);
  add(AtomQuantity::InducedDipole, dipole, 3);

  double mean = 0.0;
  if (pair->removes_mean()) {    // over all atoms of the model
    double mine[2] = {}, all[2];
    for (int i = 0; i < nlocal; i++) {
      if (!pair->sees(i)) continue;
      mine[0] += charge[i];
      mine[1] += 1.0;
    }
    MPI_Allreduce(mine, all, 2, MPI_DOUBLE, MPI_SUM, world);
    mean = all[1] > 0.0 ? all[0] / all[1] : 0.0;
  }
  double mine[3] = {}, sum[3];
  for (int i = 0; i < nlocal; i++) {
    if (!(atom->mask[i] & groupbit) || !pair->sees(i)) continue;
    double r[3];
    domain->unmap(atom->x[i], atom->image[i], r);
    for (int a = 0; a < 3; a++) mine[a] += (charge[i] - mean) * r[a] + dipole[3 * static_cast<size_t>(i) + a];
  }
  MPI_Allreduce(mine, sum, 3, MPI_DOUBLE, MPI_SUM, world);
  const double *root = pair->root_of_epsilon();
  for (int a = 0; a < 3; a++) vector[a] = root[3 * a] * sum[0] + root[3 * a + 1] * sum[1] + root[3 * a + 2] * sum[2];
}

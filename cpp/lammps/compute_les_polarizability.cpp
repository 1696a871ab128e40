#include "compute_les_polarizability.h"

#include "atom_quantities.h"
#include "pair_les.h"

#include "atom.h"
#include "error.h"
#include "update.h"

using namespace LAMMPS_NS;
using les::AtomQuantity;

/* ----------------------------------------------------------------------
   compute ID group les/polarizability
------------------------------------------------------------------------- */

ComputeLESPolarizability::ComputeLESPolarizability(LAMMPS *lmp, int narg, char **arg) :
    Compute(lmp, narg, arg), pair(nullptr)
{
  if (narg != 3) error->all(FLERR, "compute les/polarizability takes no arguments, got '{}'", arg[3]);
  vector_flag = 1;
  size_vector = 6;
  extvector = 1;
  vector = new double[6]{};
}

ComputeLESPolarizability::~ComputeLESPolarizability()
{
  if (copymode) return;
  delete[] vector;
}

void ComputeLESPolarizability::init()
{
  pair = PairLES::find(lmp, "compute les/polarizability");
  pair->check_born();
  if (!pair->has(AtomQuantity::Alpha))
    error->all(FLERR,
               "compute les/polarizability needs a model that gives alpha, which that of pair_style les does not");
}

void ComputeLESPolarizability::compute_vector()
{
  invoked_vector = update->ntimestep;
  const double *alpha = pair->atom_quantity(AtomQuantity::Alpha);
  const int channels = pair->channels();
  double mine[6] = {}, sum[6];
  for (int i = 0; i < atom->nlocal; i++)
    for (int c = 0; c < channels && (atom->mask[i] & groupbit); c++)
      for (int k = 0; k < 6; k++) mine[k] += alpha[6 * (static_cast<size_t>(i) * channels + c) + k];
  MPI_Allreduce(mine, sum, 6, MPI_DOUBLE, MPI_SUM, world);

  // root sum root, e A^2/V -> A^3
  const double full[3][3] = {{sum[0], sum[3], sum[4]}, {sum[3], sum[1], sum[5]}, {sum[4], sum[5], sum[2]}};
  const double *root = pair->root_of_epsilon();
  const int rows[6] = {0, 1, 2, 0, 0, 1}, columns[6] = {0, 1, 2, 1, 2, 2};
  for (int k = 0; k < 6; k++) {
    vector[k] = 0.0;
    for (int a = 0; a < 3; a++)
      for (int b = 0; b < 3; b++)
        vector[k] += les::COULOMB * root[3 * rows[k] + a] * full[a][b] * root[3 * b + columns[k]];
  }
}

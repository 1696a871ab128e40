#include "compute_les_current.h"

#include "current.h"
#include "pair_les.h"

#include "atom.h"
#include "error.h"
#include "update.h"

using namespace LAMMPS_NS;

/* ----------------------------------------------------------------------
   compute ID group les/current
------------------------------------------------------------------------- */

ComputeLESCurrent::ComputeLESCurrent(LAMMPS *lmp, int narg, char **arg) : Compute(lmp, narg, arg), pair(nullptr)
{
  if (narg != 3) error->all(FLERR, "compute les/current takes no arguments, got '{}'", arg[3]);
  vector_flag = 1;
  size_vector = 3;
  extvector = 1;
  vector = new double[3]{0.0, 0.0, 0.0};
}

ComputeLESCurrent::~ComputeLESCurrent()
{
  if (copymode) return;
  delete[] vector;
}

void ComputeLESCurrent::init()
{
  pair = PairLES::find(lmp, "compute les/current");
  if (pair->channels() == 0) error->all(FLERR, "compute les/current: the model of pair_style les has no charges");
  pair->check_born();
}

void ComputeLESCurrent::compute_vector()
{
  invoked_vector = update->ntimestep;
  les::current(pair->born(), atom->v, atom->mask, groupbit, atom->nlocal, world, vector);
}

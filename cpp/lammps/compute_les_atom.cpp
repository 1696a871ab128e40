#include "compute_les_atom.h"

#include "pair_les.h"

#include "atom.h"
#include "error.h"
#include "memory.h"
#include "update.h"

#include <algorithm>

using namespace LAMMPS_NS;

/* ----------------------------------------------------------------------
   compute ID group les/atom [q] [phi] [bec]
------------------------------------------------------------------------- */

ComputeLESAtom::ComputeLESAtom(LAMMPS *lmp, int narg, char **arg) :
    Compute(lmp, narg, arg), pair(nullptr), channels(1), nmax(0)
{
  for (int i = 3; i < narg; i++) {
    const std::string word = arg[i];
    if (word == "q") quantities.push_back(CHARGE);
    else if (word == "phi") quantities.push_back(POTENTIAL);
    else if (word == "bec") quantities.push_back(BORN);
    else error->all(FLERR, "compute les/atom: unknown keyword '{}'; known are q, phi, bec", word);
  }
  if (quantities.empty()) quantities.push_back(CHARGE);
  peratom_flag = 1;
  // the number of columns depends on the model; it must be right as soon as other commands refer to it
  channels = PairLES::find(lmp, "compute les/atom")->channels();
  set_columns();
}

ComputeLESAtom::~ComputeLESAtom()
{
  if (copymode) return;
  memory->destroy(vector_atom);
  memory->destroy(array_atom);
}

int ComputeLESAtom::width(Quantity quantity) const { return quantity == BORN ? 9 : channels; }

void ComputeLESAtom::set_columns()
{
  int columns = 0;
  for (const auto q : quantities) columns += width(q);
  if (columns == 0) error->all(FLERR, "compute les/atom: the model of pair_style les has no charges");
  size_peratom_cols = columns == 1 ? 0 : columns;
}

void ComputeLESAtom::init()
{
  pair = PairLES::find(lmp, "compute les/atom");
  if (pair->channels() != channels)
    error->all(FLERR,
               "compute les/atom: the model has {} charge channel(s) now, but had {} when the compute was defined; "
               "define it after pair_coeff",
               pair->channels(), channels);
  if (std::find(quantities.begin(), quantities.end(), BORN) != quantities.end()) pair->check_born();
}

void ComputeLESAtom::compute_peratom()
{
  invoked_peratom = update->ntimestep;
  const int columns = size_peratom_cols ? size_peratom_cols : 1;
  if (atom->nmax > nmax) {
    nmax = atom->nmax;
    if (size_peratom_cols) {
      memory->destroy(array_atom);
      memory->create(array_atom, nmax, columns, "les/atom:array_atom");
    } else {
      memory->destroy(vector_atom);
      memory->create(vector_atom, nmax, "les/atom:vector_atom");
    }
  }

  int column = 0;
  for (const auto quantity : quantities) {
    const double *values = quantity == CHARGE      ? pair->charges()
                           : quantity == POTENTIAL ? pair->potentials()
                                                   : pair->born();
    const int n = width(quantity);
    for (int i = 0; i < atom->nlocal; i++) {
      const bool in_group = atom->mask[i] & groupbit;
      double *row = size_peratom_cols ? array_atom[i] : &vector_atom[i];
      for (int k = 0; k < n; k++) row[column + k] = in_group ? values[static_cast<size_t>(n) * i + k] : 0.0;
    }
    column += n;
  }
}

double ComputeLESAtom::memory_usage()
{
  return static_cast<double>(nmax) * (size_peratom_cols ? size_peratom_cols : 1) * sizeof(double);
}

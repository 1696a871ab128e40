#include "compute_les_atom.h"

#include "atom_quantities.h"
#include "pair_les.h"

#include "atom.h"
#include "error.h"
#include "memory.h"
#include "update.h"

#include <algorithm>

using namespace LAMMPS_NS;
using les::ATOM_QUANTITIES;
using les::AtomQuantity;

/* ----------------------------------------------------------------------
   compute ID group les/atom [q] [phi] [dipole] [quadrupole] [alpha] [dq] [du] [field] [bec]
------------------------------------------------------------------------- */

ComputeLESAtom::ComputeLESAtom(LAMMPS *lmp, int narg, char **arg) :
    Compute(lmp, narg, arg), pair(nullptr), channels(1), nmax(0)
{
  for (int i = 3; i < narg; i++) {
    const std::string word = arg[i];
    std::string known;
    int found = word == "bec" ? BORN : static_cast<int>(ATOM_QUANTITIES.size());
    for (const auto &kind : ATOM_QUANTITIES) {
      known += std::string(kind.word) + ", ";
      if (word == kind.word) found = static_cast<int>(kind.quantity);
    }
    if (found == static_cast<int>(ATOM_QUANTITIES.size()))
      error->all(FLERR, "compute les/atom: unknown keyword '{}'; known are {}bec", word, known);
    quantities.push_back(found);
  }
  if (quantities.empty()) quantities.push_back(static_cast<int>(AtomQuantity::Charge));
  peratom_flag = 1;
  // the number of columns depends on the model; it must be right as soon as other commands refer to it
  pair = PairLES::find(lmp, "compute les/atom");
  channels = pair->channels();
  set_columns();
  check_latents();
}

ComputeLESAtom::~ComputeLESAtom()
{
  if (copymode) return;
  memory->destroy(vector_atom);
  memory->destroy(array_atom);
}

int ComputeLESAtom::width(int quantity) const
{
  return quantity == BORN ? 9 : channels * ATOM_QUANTITIES[quantity].width;
}

void ComputeLESAtom::check_latents() const
{
  for (const int q : quantities)
    if (q != BORN && !pair->has(static_cast<AtomQuantity>(q)))
      error->all(FLERR, "compute les/atom: '{}' needs a model that gives {}, which that of pair_style les does not",
                 ATOM_QUANTITIES[q].word, ATOM_QUANTITIES[q].latent);
}

void ComputeLESAtom::set_columns()
{
  int columns = 0;
  for (const int q : quantities) columns += width(q);
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
  check_latents();
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
  for (const int quantity : quantities) {
    const double *values = quantity == BORN ? pair->born() : pair->atom_quantity(static_cast<AtomQuantity>(quantity));
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

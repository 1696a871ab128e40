// What a run needs of LAMMPS, checked before it begins.

#include "pair_les_impl.h"

#include "atom.h"
#include "comm.h"
#include "domain.h"
#include "error.h"
#include "force.h"
#include "group.h"
#include "modify.h"
#include "neighbor.h"
#include "update.h"

#include <cstring>

using namespace LAMMPS_NS;

// More than one pair_style les under pair_style hybrid. (A lone style answers to every sub-style number.)
bool PairLES::several(LAMMPS *lmp)
{
  const Pair *second = lmp->force->pair_match("les", 1, 2);
  return second && second != lmp->force->pair_match("les", 1, 1);
}

void PairLES::check_input()
{
  if (force->newton_pair == 0)
    error->all(FLERR,
               "pair_style les requires newton pair on: remove 'newton off', or start a KOKKOS run with '-sf kk -pk "
               "kokkos newton on neigh half'");
  if (atom->tag_enable == 0) error->all(FLERR, "pair_style les requires atom IDs (atom_modify id yes)");
  if (strcmp(update->unit_style, "metal") != 0 && strcmp(update->unit_style, "real") != 0)
    error->all(FLERR, "pair_style les works in units metal or real, not {}", update->unit_style);
  if (several(lmp))
    error->all(FLERR, "pair_style les can be used only once; map atom types to elements in one pair_coeff instead");
  if (boundary() == les::Boundary{true, true, false} && (domain->boundary[2][0] != 1 || domain->boundary[2][1] != 1))
    error->all(FLERR, "pair_style les: a slab needs walls that stay, boundary p p f, since the height of the box is "
                      "that of its long-range sum; s and m follow the atoms");
  excluded_groups();
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

// Fixes of the kind of gcmc put the atoms of a trial deletion into a group of their own, which has no neighbors: atoms that are not
// there. They set that up in their init(), after that of the pair style. Whatever else neigh_modify leaves out is refused.
int PairLES::excluded_groups() const
{
  bool refused = neighbor->nex_type || neighbor->nex_mol || neighbor->includegroup;
  int bits = 0;
  for (int n = 0; n < neighbor->nex_group; n++) {
    const char *known = group->names[neighbor->ex1_group[n]];    // null where the group has been deleted since
    const std::string name = known ? known : "";                 // Fix...:..._exclusion_group:ID of the fix
    if (neighbor->ex2_group[n] == 0 && utils::strmatch(name, "^Fix\\w+:\\w*exclusion_group:") &&
        modify->get_fix_by_id(name.substr(name.rfind(':') + 1)))
      bits |= group->bitmask[neighbor->ex1_group[n]];
    else refused = true;
  }
  if (refused)
    error->all(FLERR, "pair_style les must see all neighbors; neigh_modify exclude and include would change the model");
  return bits;
}

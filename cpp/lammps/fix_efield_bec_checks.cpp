// What fix efield/bec does not go together with: refused where results would be wrong, else warned about once a run.

#include "fix_efield_bec.h"

#include "atom.h"
#include "comm.h"
#include "domain.h"
#include "error.h"
#include "input.h"
#include "modify.h"
#include "universe.h"
#include "update.h"

using namespace LAMMPS_NS;

namespace {

// Fixes that set, constrain, scale or transform the forces that are there when their turn comes.
constexpr const char *ACT_ON_FORCES[] = {"^pimd",     "^shake",     "^rattle",     "^filter/corotate", "^setforce",
                                         "^aveforce", "^lineforce", "^planeforce", "^enforce2d",       "^freeze",
                                         "^oneway",   "^grem",      "^alchemy"};

// Fixes that try moves with the energy of the whole system.
constexpr const char *TRY_MOVES[] = {
    "^gcmc", "^gemc", "^widom", "^atom/swap", "^mol/swap", "^neighbor/swap", "^charge/regulation"};

template <size_t N> bool is_one_of(const Fix *fix, const char *const (&styles)[N])
{
  for (const char *style : styles)
    if (utils::strmatch(fix->style, style)) return true;
  return false;
}

}    // namespace

// False for a field that is zero for good, which is there for its outputs.
bool FixEfieldBEC::acts() const
{
  for (const auto &component : field)
    if (!component.variable.empty() || component.value != 0.0) return true;
  return false;
}

// The energy of the field is known along the path of one system. Between two systems it has no value.
void FixEfieldBEC::refuse_exchange_of_energies() const
{
  if (thermo_energy && universe->nworlds > 1)
    error->all(FLERR,
               "fix efield/bec: 'fix_modify {} energy yes' in a run of several partitions: the energy of the field is "
               "the work along the path of each, and cannot be compared between them; leave it out, and read f_{}",
               id, id);
  const std::string command = input->command ? input->command : "";
  if (acts() && (utils::strmatch(command, "^neb") || utils::strmatch(command, "^temper") || command == "tad"))
    error->all(
        FLERR,
        "fix efield/bec: '{}' compares the energies of replicas, and the energy of the field is known only along "
        "the path of each; run it without the field, see the page of this fix",
        command);
}

void FixEfieldBEC::warn_of_other_fixes() const
{
  const auto warn = [&](const std::string &text) {
    if (comm->me == 0) error->warning(FLERR, text);
  };
  const auto shares_atoms = [&](const Fix *other) {
    int some = 0;
    for (int i = 0; i < atom->nlocal && !some; i++)
      some = (atom->mask[i] & groupbit) && (atom->mask[i] & other->groupbit);
    MPI_Allreduce(MPI_IN_PLACE, &some, 1, MPI_INT, MPI_MAX, world);
    return some != 0;
  };
  bool defined = false;    // this fix, before the other one
  for (const auto *other : modify->get_fix_list()) {
    defined = defined || other == this;
    if (utils::strmatch(other->style, "^efield") && !utils::strmatch(other->style, "^efield/bec"))
      warn(
          fmt::format("fix {} {} acts on atom charges, which pair_style les does not use; it does nothing to the model",
                      other->id, other->style));
    if (!acts()) continue;
    if (!defined && is_one_of(other, ACT_ON_FORCES) && shares_atoms(other))
      warn(fmt::format("fix {} {} is defined before fix {} efield/bec: it acts without the forces of the field, which "
                       "are added to what it leaves; define fix {} first",
                       other->id, other->style, id, id));
    if (is_one_of(other, TRY_MOVES))
      warn(fmt::format("fix {} {} accepts moves by energies without that of the field of fix {} efield/bec, which is "
                       "known along a path only",
                       other->id, other->style, id));
    if (utils::strmatch(other->style, "^hmc") && !thermo_energy)
      warn(fmt::format("fix {} hmc accepts moves by energies without that of the field; use 'fix_modify {} energy yes'",
                       other->id, id));
  }
  if (domain->deform_vremap)
    warn(fmt::format(
        "fix {} efield/bec: with 'fix deform ... remap v' velocities contain the flow of the box, and so do "
        "work, polarization and current",
        id));
}

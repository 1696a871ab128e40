// Registration: what `plugin load leslmpplugin.so` brings into LAMMPS.

#include "lammps_plugin.h"

#include "compute_les_atom.h"
#include "compute_les_current.h"
#include "compute_les_dipole.h"
#include "compute_les_polarizability.h"
#include "fix_efield_bec.h"
#include "pair_les.h"

#include "lammps.h"

using LAMMPS_NS::LAMMPS;

namespace {

template <class Style> void *create_pair(void *lmp) { return new Style(static_cast<LAMMPS *>(lmp)); }

template <class Style> void *create(void *lmp, int narg, char **arg)
{
  return new Style(static_cast<LAMMPS *>(lmp), narg, arg);
}

}    // namespace

void lammpsplugin_init(void *lmp, void *handle, void *register_plugin)
{
  const auto add = reinterpret_cast<lammps_plugin_register>(register_plugin);
  const auto *lammps = static_cast<LAMMPS *>(lmp);

  lammps_plugin plugin{};
  // LAMMPS warns where this differs from its own version: its classes may then be laid out differently.
#ifdef LES_LAMMPS_NUM_VER
  plugin.version = lammps->num_ver == LES_LAMMPS_NUM_VER ? lammps->version : "another version of LAMMPS";
#else
  plugin.version = lammps->version;
#endif
  plugin.author = "lammps-les developers";
  plugin.handle = handle;

  plugin.style = "pair";
  plugin.name = "les";
  plugin.info = "Latent Ewald Summation machine-learning potentials";
  plugin.creator.v1 = create_pair<LAMMPS_NS::PairLES>;
  add(&plugin, lmp);

  plugin.style = "fix";
  plugin.name = "efield/bec";
  plugin.info = "electric field on Born effective charges of pair_style les";
  plugin.creator.v2 = create<LAMMPS_NS::FixEfieldBEC>;
  add(&plugin, lmp);

  plugin.style = "compute";
  plugin.name = "les/atom";
  plugin.info = "charges, dipoles, fields and Born effective charges of pair_style les";
  plugin.creator.v2 = create<LAMMPS_NS::ComputeLESAtom>;
  add(&plugin, lmp);

  plugin.name = "les/current";
  plugin.info = "electric current from Born effective charges";
  plugin.creator.v2 = create<LAMMPS_NS::ComputeLESCurrent>;
  add(&plugin, lmp);

  plugin.name = "les/dipole";
  plugin.info = "dipole moment of a group of atoms of pair_style les";
  plugin.creator.v2 = create<LAMMPS_NS::ComputeLESDipole>;
  add(&plugin, lmp);

  plugin.name = "les/polarizability";
  plugin.info = "electronic polarizability of a group of atoms of pair_style les";
  plugin.creator.v2 = create<LAMMPS_NS::ComputeLESPolarizability>;
  add(&plugin, lmp);
}

// What compute heat/flux can have of pair_style les. The tensors are made in cpp/evaluation/heat_flux.h.

#include "pair_les_impl.h"

#include "comm.h"
#include "compute.h"
#include "domain.h"
#include "error.h"
#include "modify.h"

using namespace LAMMPS_NS;

// compute heat/flux takes any per-atom stress. Which one it takes is not to be seen, but where there is no other, it is the wrong one.
void PairLES::warn_of_heat_flux() const
{
  bool flux = false, centroid = false;
  for (const Compute *compute : modify->get_compute_list()) {
    flux = flux || utils::strmatch(compute->style, "^heat/flux$");
    centroid = centroid || compute->pressatomflag == 2;
  }
  if (flux && !centroid && comm->me == 0)
    error->warning(FLERR,
                   "pair les: with compute stress/atom, compute heat/flux is wrong for a many-body model; give it "
                   "a compute centroid/stress/atom");
}

// In a step for which compute centroid/stress/atom has asked.
void PairLES::check_heat_flux() const
{
  const Impl &m = *impl;
  for (const auto &latent : m.info().latents)
    if (latent != "charge")
      error->all(FLERR,
                 "pair les: compute centroid/stress/atom is not implemented for models with {}, as model file {} is; "
                 "it takes models of charges alone",
                 latent, m.path);
  if (domain->xperiodic && !domain->zperiodic && m.channels() > 0)
    error->all(FLERR, "pair les: compute centroid/stress/atom is not implemented for slabs (boundary p p f)");
  if (m.info().charges.total && domain->xperiodic)
    error->all(
        FLERR,
        "pair les: compute centroid/stress/atom is not defined for model file {} in a periodic system: its fixed "
        "total charge shifts the charges of all atoms at once, which moves energy over any distance",
        m.path);
}

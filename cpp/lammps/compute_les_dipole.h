/* -*- c++ -*- ----------------------------------------------------------
   compute les/dipole: see docs/compute_les_dipole.md
------------------------------------------------------------------------- */

#ifdef COMPUTE_CLASS
// clang-format off
ComputeStyle(les/dipole,ComputeLESDipole);
// clang-format on
#else

#ifndef LMP_COMPUTE_LES_DIPOLE_H
#define LMP_COMPUTE_LES_DIPOLE_H

#include "compute.h"

namespace LAMMPS_NS {

class ComputeLESDipole : public Compute {
 public:
  ComputeLESDipole(class LAMMPS *, int, char **);
  ~ComputeLESDipole() override;
  void init() override;
  void compute_vector() override;

 private:
  class PairLES *pair;
};

}    // namespace LAMMPS_NS

#endif
#endif

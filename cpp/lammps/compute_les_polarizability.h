/* -*- c++ -*- ----------------------------------------------------------
   compute les/polarizability: see docs/compute_les_polarizability.md
------------------------------------------------------------------------- */

#ifdef COMPUTE_CLASS
// clang-format off
ComputeStyle(les/polarizability,ComputeLESPolarizability);
// clang-format on
#else

#ifndef LMP_COMPUTE_LES_POLARIZABILITY_H
#define LMP_COMPUTE_LES_POLARIZABILITY_H

#include "compute.h"

namespace LAMMPS_NS {

class ComputeLESPolarizability : public Compute {
 public:
  ComputeLESPolarizability(class LAMMPS *, int, char **);
  ~ComputeLESPolarizability() override;
  void init() override;
  void compute_vector() override;

 private:
  class PairLES *pair;
};

}    // namespace LAMMPS_NS

#endif
#endif

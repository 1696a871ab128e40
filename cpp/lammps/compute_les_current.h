/* -*- c++ -*- ----------------------------------------------------------
   compute les/current: see docs/compute_les_current.md
------------------------------------------------------------------------- */

#ifdef COMPUTE_CLASS
// clang-format off
ComputeStyle(les/current,ComputeLESCurrent);
// clang-format on
#else

#ifndef LMP_COMPUTE_LES_CURRENT_H
#define LMP_COMPUTE_LES_CURRENT_H

#include "compute.h"

namespace LAMMPS_NS {

class ComputeLESCurrent : public Compute {
 public:
  ComputeLESCurrent(class LAMMPS *, int, char **);
  ~ComputeLESCurrent() override;
  void init() override;
  void compute_vector() override;

 private:
  class PairLES *pair;
};

}    // namespace LAMMPS_NS

#endif
#endif

/* -*- c++ -*- ----------------------------------------------------------
   compute les/atom: see docs/compute_les_atom.md
------------------------------------------------------------------------- */

#ifdef COMPUTE_CLASS
// clang-format off
ComputeStyle(les/atom,ComputeLESAtom);
// clang-format on
#else

#ifndef LMP_COMPUTE_LES_ATOM_H
#define LMP_COMPUTE_LES_ATOM_H

#include "compute.h"

#include <vector>

namespace LAMMPS_NS {

class ComputeLESAtom : public Compute {
 public:
  ComputeLESAtom(class LAMMPS *, int, char **);
  ~ComputeLESAtom() override;
  void init() override;
  void compute_peratom() override;
  double memory_usage() override;

 private:
  static constexpr int BORN = -1;
  std::vector<int> quantities;    // in the order asked: AtomQuantity, or BORN
  class PairLES *pair;
  int channels, nmax;

  int width(int) const;
  void check_latents() const;
  void set_columns();
};

}    // namespace LAMMPS_NS

#endif
#endif

/* -*- c++ -*- ----------------------------------------------------------
   fix efield/bec: see docs/fix_efield_bec.md
------------------------------------------------------------------------- */

#ifdef FIX_CLASS
// clang-format off
FixStyle(efield/bec,FixEfieldBEC);
// clang-format on
#else

#ifndef LMP_FIX_EFIELD_BEC_H
#define LMP_FIX_EFIELD_BEC_H

#include "fix.h"

#include <memory>
#include <string>
#include <vector>

namespace LAMMPS_NS {

class FixEfieldBEC : public Fix {
 public:
  FixEfieldBEC(class LAMMPS *, int, char **);
  ~FixEfieldBEC() override;
  int setmask() override;
  void init() override;
  void setup(int) override;
  void min_setup(int) override;
  void post_force(int) override;
  void post_force_respa(int, int, int) override;
  void min_post_force(int) override;
  double compute_scalar() override;
  double compute_vector(int) override;
  void write_restart(FILE *) override;
  void restart(char *) override;
  void grow_arrays(int) override;
  void copy_arrays(int, int, int) override;
  void set_arrays(int) override;
  int pack_exchange(int, double *) override;
  int unpack_exchange(int, double *) override;
  double memory_usage() override;

 private:
  // One component of the field, V/A: a number, or an equal- or atom-style variable.
  struct Component {
    double value = 0.0;
    std::string variable;    // empty for a number
    int index = -1;
    bool per_atom = false;
  };

  Component field[3];
  std::string region_id;
  class Region *region;
  bool neutral;
  bool field_only;    // respond along the field alone, without polarization and current
  class PairLES *pair;
  int ilevel_respa;

  std::unique_ptr<class FieldPath> path;
  bigint counted_at;    // timestep whose motion the path contains; -1 where a run begins

  std::vector<double> pushes;      // [nlocal][3] force of the field, force units
  std::vector<double> field_at;    // [nmax][3], only for atom-style components
  void evaluate_field();
  void check_variable(int a);
  void along_field();
  const double *field_forces();
  double field_on(int i, int a) const;
  bool feels_field(int i);
  void first_evaluation(int);
  void apply(int, int motion);
  bool acts() const;
  void refuse_exchange_of_energies() const;
  void warn_of_other_fixes() const;
};

}    // namespace LAMMPS_NS

#endif
#endif

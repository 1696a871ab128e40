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

#include <array>
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

  // How the box carries a point that moves with it: x -> now + map (x - last). Displacements are counted beyond that, so that
  // they are integrals of velocities whatever a barostat or fix deform does, and do not depend on the origin.
  struct BoxMotion {
    double last_low[3];            // corner at the last evaluation
    std::array<double, 6> last;    // and the cell, as in cell.h
    double low[3], map[6];         // corner now, upper triangular map in the same order
    void advance(const class Domain *, bool first);
    void carry(const double *x, double *moved) const;
  };

  // Of the last evaluation, for the trapezoidal rule along the path of each atom; moves with the atom.
  struct PathPoint {
    double x[3];        // wrapped position
    double force[3];    // that the field applied, after `neutral`
    double z[9];        // Born effective charge, e
  };
  static constexpr int PATH_POINT_SIZE = 15;

  Component field[3];
  std::string region_id;
  class Region *region;
  bool neutral;
  bool field_only;    // respond along the field alone, without polarization and current
  class PairLES *pair;
  int ilevel_respa;

  std::vector<PathPoint> path;    // [nmax]
  bool have_path;                 // false until the first evaluation of a run
  BoxMotion motion;               // of the box, between the last evaluation and this one

  // this rank's parts, summed over ranks when read
  double work;               // done by the field so far, energy units; includes what a restart file said (on rank 0)
  double polarization[3];    // itinerant, e A
  double net_force[3];       // of the field, before `neutral`
  bigint summed_at;          // timestep of the sums below
  double sums[7];            // work, polarization, net force over all ranks

  std::vector<double> pushes;      // [nlocal][3] force of the field, force units
  std::vector<double> field_at;    // [nmax][3], only for atom-style components
  void evaluate_field();
  const double *field_forces();
  double field_on(int i, int a) const;
  bool feels_field(int i);
  void first_evaluation(int);
  void extend_path(int, const double *, const double *);
  const double *totals();
};

}    // namespace LAMMPS_NS

#endif
#endif

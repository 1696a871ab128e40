// What a field adds up along the path of each atom: its work, and the itinerant polarization int Z.dr.
#pragma once

#include "cell.h"

#include "pointers.h"

#include <array>
#include <vector>

namespace LAMMPS_NS {

// The path of an atom goes through the positions at which forces were evaluated, as `Motion` says. What it has added up stays with
// the atom, together with the last of these positions: where a fix takes a move back and restores the atoms (fix hmc), it
// restores this too, and atoms that go leave their part to their rank.
class FieldPath : protected Pointers {
 public:
  enum Motion {
    START,     // a new path begins here: what happened before is not the field's work
    EXTEND,    // the atoms have moved here in the field
    STAY       // trial moves, in a step whose motion has been counted: paths go on from here, wherever that is
  };

  // Of one atom, as it travels with it: 23 numbers.
  struct Point {
    double evaluation;         // its number; 0 for an atom that has come since
    double x[3];               // wrapped position
    double force[3];           // that the field applied, after `neutral`
    double z[9];               // Born effective charge, e
    double work;               // so far, energy units
    double polarization[3];    // so far, e A
    double net[3];             // force of the field before `neutral`
  };
  static constexpr int POINT_SIZE = 23;

  // Sums over atoms and ranks.
  struct Totals {
    double work, polarization[3], net[3];
  };

  explicit FieldPath(LAMMPS *lmp) : Pointers(lmp) {}

  // One evaluation: begin, visit each owned atom, end. begin() is collective.
  void begin(Motion motion);
  void visit(int i, const double *net, const double *force, const double *z, bool polarizes);
  void end();

  Totals totals() const;    // collective
  void go_on_from(double work, const double *polarization,
                  bool here);    // of an earlier run, kept by the rank with `here`

  // where each atom was: moves with the atoms
  std::vector<Point> points;    // [nmax]
  void start_atom(int i);       // a new one

 private:
  // How the box carries a point that moves with it: x -> now + map (x - last). Displacements are counted beyond that, so that
  // they are integrals of velocities whatever a barostat or fix deform does, and do not depend on the origin.
  struct BoxMotion {
    double last_low[3];            // corner at the last evaluation
    std::array<double, 6> last;    // and the cell, as in cell.h
    double low[3], map[6];         // corner now, upper triangular map in the same order
    void advance(const class Domain *, bool first);
    void carry(const double *x, double *moved) const;
  };

  using Sums = std::array<double, 7>;    // work, polarization, net

  Motion motion_ = START;
  BoxMotion box_{};
  double evaluation_ = 0.0;    // number of the last one
  Sums last_{};                // this rank's atoms at its end
  Sums gone_{};    // work and polarization of atoms that have left this rank, less those that came; and of earlier runs

  static void add(const Point &p, Sums &sums);
  Sums carried() const;            // by the atoms of this rank
  bool taken_back_here() const;    // on this rank
};

}    // namespace LAMMPS_NS

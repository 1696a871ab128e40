#include "field_path.h"

#include "atom.h"
#include "domain.h"
#include "error.h"

#include <algorithm>

using namespace LAMMPS_NS;

// The corner of an open box follows the atoms and carries nothing. Nor does fix deform with `remap v`: velocities contain the
// motion of the box there, and so do displacements.
void FieldPath::BoxMotion::advance(const Domain *domain, bool first)
{
  const bool carries = domain->xperiodic && !domain->deform_vremap;
  if (first || !carries) {
    last = les::cell_of(domain);
    std::copy(domain->boxlo, domain->boxlo + 3, last_low);
  }
  const les::Cell h = les::without_flips(les::cell_of(domain), last);
  // map = h_now h_last^-1
  map[0] = h[0] / last[0];
  map[1] = h[1] / last[1];
  map[2] = domain->zperiodic ? h[2] / last[2] : 1.0;    // walls carry nothing
  map[3] = (h[3] - map[1] * last[3]) / last[2];
  map[5] = (h[5] - map[0] * last[5]) / last[1];
  map[4] = (h[4] - map[0] * last[4] - map[5] * last[3]) / last[2];
  for (int a = 0; a < 3; a++) low[a] = carries && (a < 2 || domain->zperiodic) ? domain->boxlo[a] : last_low[a];
}

void FieldPath::BoxMotion::carry(const double *x, double *moved) const
{
  const double d[3] = {x[0] - last_low[0], x[1] - last_low[1], x[2] - last_low[2]};
  moved[0] = low[0] + map[0] * d[0] + map[5] * d[1] + map[4] * d[2];
  moved[1] = low[1] + map[1] * d[1] + map[3] * d[2];
  moved[2] = low[2] + map[2] * d[2];
}

void FieldPath::begin(Motion motion)
{
  int found = taken_back_here();
  MPI_Allreduce(MPI_IN_PLACE, &found, 1, MPI_INT, MPI_MAX, world);
  if (!found) {    // else what the atoms of the move had added goes with it
    const Sums now = carried();
    for (int k = 0; k < 4; k++) gone_[k] += last_[k] - now[k];
  }
  motion_ = motion;
  box_.advance(domain, motion == START);
  evaluation_ += 1.0;
  last_ = Sums{};
}

// Trapezoidal rule from where the atom was last, or where the box has carried it. An atom adds to the polarization if it is
// in the group; the field may still have done work on one that has just left it.
void FieldPath::visit(int i, const double *net, const double *force, const double *z, bool polarizes)
{
  Point &p = points[i];
  const double *x = atom->x[i];
  if (motion_ == EXTEND && p.evaluation > 0.0) {
    double with_box[3];
    box_.carry(p.x, with_box);
    double d[3] = {x[0] - with_box[0], x[1] - with_box[1], x[2] - with_box[2]};
    domain->minimum_image(FLERR, d);
    for (int b = 0; b < 3; b++) {
      p.work += 0.5 * (p.force[b] + force[b]) * d[b];
      if (!polarizes) continue;
      for (int a = 0; a < 3; a++) p.polarization[a] += 0.5 * (p.z[3 * a + b] + z[3 * a + b]) * d[b];
    }
  }
  p.evaluation = evaluation_;
  std::copy(x, x + 3, p.x);
  std::copy(force, force + 3, p.force);
  std::copy(z, z + 9, p.z);
  std::copy(net, net + 3, p.net);
  add(p, last_);
}

void FieldPath::end()
{
  box_.advance(domain, true);    // this evaluation is the last one from now on
}

void FieldPath::add(const Point &p, Sums &sums)
{
  sums[0] += p.work;
  for (int a = 0; a < 3; a++) sums[1 + a] += p.polarization[a];
  for (int a = 0; a < 3; a++) sums[4 + a] += p.net[a];
}

FieldPath::Sums FieldPath::carried() const
{
  Sums sums{};
  for (int i = 0; i < atom->nlocal; i++) add(points[i], sums);
  return sums;
}

// Each evaluation reaches every atom, so one that was last reached by an earlier evaluation has been restored since.
bool FieldPath::taken_back_here() const
{
  bool found = false;
  for (int i = 0; i < atom->nlocal && !found; i++)
    found = points[i].evaluation > 0.0 && points[i].evaluation != evaluation_;
  return found;
}

FieldPath::Totals FieldPath::totals() const
{
  // what atoms carry, where a move was taken back on any rank; else `last_`, also where atoms went since the last evaluation
  const Sums now = carried();
  double mine[15], all[15];
  std::copy(last_.begin(), last_.end(), mine);
  std::copy(now.begin(), now.end(), mine + 7);
  for (int k = 0; k < 4; k++) mine[k] += gone_[k];
  for (int k = 0; k < 4; k++) mine[7 + k] += gone_[k];
  mine[14] = taken_back_here() ? 1.0 : 0.0;
  MPI_Allreduce(mine, all, 15, MPI_DOUBLE, MPI_SUM, world);
  const double *sums = all[14] > 0.0 ? all + 7 : all;
  return {sums[0], {sums[1], sums[2], sums[3]}, {sums[4], sums[5], sums[6]}};
}

void FieldPath::go_on_from(double work, const double *polarization, bool here)
{
  gone_ = Sums{};
  if (here) gone_ = {work, polarization[0], polarization[1], polarization[2]};
}

// Begins where it is, without force or charge to look back on.
void FieldPath::start_atom(int i)
{
  points[i] = Point{};
  std::copy(atom->x[i], atom->x[i] + 3, points[i].x);
}

// The cell as LAMMPS has it: h = xx yy zz yz xz xy.
#pragma once

#include "lattice.h"

#include "domain.h"

#include <array>
#include <cmath>

namespace les {

using Cell = std::array<double, 6>;

inline Cell cell_of(const LAMMPS_NS::Domain *domain)
{
  return {domain->xprd, domain->yprd, domain->zprd, domain->yz, domain->xz, domain->xy};
}

// The same lattice with the vectors that continue those of `before`: a tilt that LAMMPS has flipped since is taken back.
inline Cell without_flips(Cell h, const Cell &before)
{
  const double yz_flips = std::round((h[3] - before[3]) / h[1]);
  h[3] -= yz_flips * h[1];
  h[4] -= yz_flips * h[5];
  h[4] -= std::round((h[4] - before[4]) / h[0]) * h[0];
  h[5] -= std::round((h[5] - before[5]) / h[0]) * h[0];
  return h;
}

// Coordinates along the lattice vectors, from the origin of space.
inline std::array<double, 3> fractional(const double *x, const Cell &h)
{
  const double c = x[2] / h[2], b = (x[1] - h[3] * c) / h[1];
  return {(x[0] - h[5] * b - h[4] * c) / h[0], b, c};
}

// Distances between the lattice planes of the three axes.
inline std::array<double, 3> widths(const Cell &h)
{
  const double b = h[3] / h[2], c = h[5] / h[1];
  return {h[0] / std::hypot(1.0, c, c * b - h[4] / h[2]), h[1] / std::hypot(1.0, b), h[2]};
}

// The lattice vectors, one a row.
inline std::array<double, 9> rows_of(const Cell &h) { return {h[0], 0.0, 0.0, h[5], h[1], 0.0, h[4], h[3], h[2]}; }
inline double strain(const Cell &h, const Cell &before) { return strain(rows_of(h).data(), rows_of(before).data()); }

}    // namespace les

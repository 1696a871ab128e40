// The cell as LAMMPS has it: h = xx yy zz yz xz xy.
#pragma once

#include "domain.h"

#include <algorithm>
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

}    // namespace les

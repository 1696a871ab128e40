// What is asked of a cell and of its boundaries, and how far two cells are from each other.
#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <stdexcept>

namespace les {

// Whether the system is periodic along each lattice vector.
using Boundary = std::array<bool, 3>;

// Along all of them, or along none: a mixture is refused.
inline bool is_periodic(const Boundary &boundary)
{
  if (boundary[1] != boundary[0] || boundary[2] != boundary[0])
    throw std::runtime_error(
        "boundaries must be periodic along all three lattice vectors (in LAMMPS: boundary p p p) or along none (f, s "
        "or m); a mixture (slab, wire) is not implemented: take a periodic cell with vacuum, or an open system");
  return boundary[0];
}

// Largest change of a lattice vector, relative to its length: stretch and shear alike. Rows of 3 x 3 numbers
inline double strain(const double *cell, const double *before)
{
  double largest = 0.0;
  for (const double *a = cell, *b = before; a < cell + 9; a += 3, b += 3)
    largest = std::max(largest, std::hypot(a[0] - b[0], a[1] - b[1], a[2] - b[2]) / std::hypot(b[0], b[1], b[2]));
  return largest;
}

}    // namespace les

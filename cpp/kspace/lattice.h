// What is asked of a cell and of its boundaries, and how far two cells are from each other.
#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <stdexcept>

namespace les {

// Whether the system is periodic along each lattice vector.
using Boundary = std::array<bool, 3>;

// Along all of them, along the first two, or along none: other mixtures are refused.
enum class Periodicity { Full, Slab, Open };
inline Periodicity periodicity_of(const Boundary &boundary)
{
  const bool in_plane = boundary[0];
  if (boundary[1] != in_plane || (boundary[2] && !in_plane))
    throw std::runtime_error(
        "boundaries must be periodic along all three lattice vectors (in LAMMPS: boundary p p p), along the first two "
        "(a slab, p p f), or along none (f, s or m); for another slab, turn the system; for a wire, take a periodic "
        "cell with vacuum");
  return !in_plane ? Periodicity::Open : boundary[2] ? Periodicity::Full : Periodicity::Slab;
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

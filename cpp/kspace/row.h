// A short row of numbers as vector instructions, which compilers do not find by themselves in loops over a few points.
#pragma once

#include <cstring>

namespace les {

// P numbers, and zeros up to whole vectors of 16 bytes, which every processor has.
template <int P, class T> struct Row {
  typedef T Vector __attribute__((vector_size(16)));    // of gcc and clang
  static constexpr int LANES = 16 / sizeof(T), VECTORS = (P + LANES - 1) / LANES, SIZE = LANES * VECTORS;
  Vector v[VECTORS] = {};

  void load(const T *from) { std::memcpy(v, from, sizeof(v)); }
  void store(T *to) const { std::memcpy(to, v, sizeof(v)); }
  void add(T factor, const Row &other)
  {
    for (int n = 0; n < VECTORS; n++) v[n] += factor * other.v[n];
  }
  T dot(const Row &other) const
  {
    Vector sum = v[0] * other.v[0];
    for (int n = 1; n < VECTORS; n++) sum += v[n] * other.v[n];
    T total = sum[0];
    for (int n = 1; n < LANES; n++) total += sum[n];
    return total;
  }
};

}    // namespace les

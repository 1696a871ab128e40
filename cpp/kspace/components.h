// Symmetric tensors by their components: monomials x^a y^b z^c, by degree, and within it by falling a, then b.
#pragma once

namespace les {

// How many there are up to some degree: 1, 4, 10, 20, 35, 56.
constexpr long count_of_powers(long degree) { return (degree + 1) * (degree + 2) * (degree + 3) / 6; }

// The place of x^a y^b z^c among them
constexpr long place_of(long a, long b, long c)
{
  const long d = a + b + c, rest = d - a;
  return count_of_powers(d - 1) + rest * (rest + 1) / 2 + rest - b;
}

}    // namespace les

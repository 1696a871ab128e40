// What the model file says of the long-range sum; meaning in export/FORMAT.md.
#pragma once

#include <cmath>

namespace les {

constexpr double TWO_PI = 2.0 * M_PI;

struct LongRangeParameters {
  double sigma = 1.0;          // A
  double dl = 2.0;             // A
  double norm = 1.0;           // eV A per file unit squared
  bool remove_self = true;     // subtract the self-interaction (periodic) or leave it out (open)
  double self_factor = 1.0;    // how many times, in a periodic system
  double open_shift = 0.0;     // A, added to the distance that divides the open pair sum
};

// dE/dq_i of the self-interaction, by q_i: eV per file unit squared.
inline double self_potential(const LongRangeParameters &p) { return 2.0 * p.norm / (p.sigma * std::pow(TWO_PI, 1.5)); }

}    // namespace les

// Which of the instruction sets that loops are made for this processor has.
#pragma once

#include <cstdlib>
#include <stdexcept>
#include <string>

namespace les {

enum class InstructionSet { Baseline, Avx2, Avx512 };

// The best one, or a lesser one that the environment variable LES_SIMD names: baseline, avx2, avx512. Throws std::runtime_error where it
// names another word, or one that is not there.
inline InstructionSet instruction_set()
{
  constexpr const char *NAMES[] = {"baseline", "avx2", "avx512"};
  int best = 0;
#ifdef __x86_64__
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) best = 1;
  if (best == 1 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq")) best = 2;
#endif
  const char *const wanted = std::getenv("LES_SIMD");
  if (!wanted || !*wanted) return static_cast<InstructionSet>(best);
  std::string names;
  for (int k = 0; k <= best; k++) {
    if (std::string(NAMES[k]) == wanted) return static_cast<InstructionSet>(k);
    names += std::string(k ? ", " : "") + NAMES[k];
  }
  throw std::runtime_error("environment variable LES_SIMD: expected one of what this processor has, " + names +
                           "; got " + wanted);
}

}    // namespace les

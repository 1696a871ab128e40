#include "kernels_here.h"

#include "instruction_set.h"

namespace les::cace {

extern const Kernels<float> baseline_float;
extern const Kernels<double> baseline_double;
#ifdef __x86_64__
extern const Kernels<float> avx2_float, avx512_float;
extern const Kernels<double> avx2_double, avx512_double;
#endif

template <> const Kernels<float> &kernels_here()
{
#ifdef __x86_64__
  if (instruction_set() == InstructionSet::Avx512) return avx512_float;
  if (instruction_set() == InstructionSet::Avx2) return avx2_float;
#endif
  return baseline_float;
}

template <> const Kernels<double> &kernels_here()
{
#ifdef __x86_64__
  if (instruction_set() == InstructionSet::Avx512) return avx512_double;
  if (instruction_set() == InstructionSet::Avx2) return avx2_double;
#endif
  return baseline_double;
}

}    // namespace les::cace

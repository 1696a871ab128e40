#include "instruction_sets.h"

#include <cstdlib>
#include <stdexcept>
#include <string>
#include <vector>

namespace les::cace {

extern const Kernels<float> baseline_float;
extern const Kernels<double> baseline_double;
#ifdef LES_X86
extern const Kernels<float> avx2_float, avx512_float;
extern const Kernels<double> avx2_double, avx512_double;
#endif

namespace {

// From the least to the best of those that this processor has
template <class T> std::vector<const Kernels<T> *> available()
{
  constexpr bool single = sizeof(T) == 4;
  const auto choose = [](const auto &f, const auto &d) -> const Kernels<T> * {
    if constexpr (single) return &f;
    else return &d;
  };
  std::vector<const Kernels<T> *> out{choose(baseline_float, baseline_double)};
#ifdef LES_X86
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) out.push_back(choose(avx2_float, avx2_double));
  if (out.size() == 2 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq"))
    out.push_back(choose(avx512_float, avx512_double));
#endif
  return out;
}

}    // namespace

template <class T> const Kernels<T> &kernels()
{
  const auto found = available<T>();
  const char *const wanted = std::getenv("LES_SIMD");
  if (!wanted || !*wanted) return *found.back();
  std::string names;
  for (const Kernels<T> *k : found) {
    if (std::string(k->name) == wanted) return *k;
    names += std::string(names.empty() ? "" : ", ") + k->name;
  }
  throw std::runtime_error("environment variable LES_SIMD: expected one of what this processor has, " + names +
                           "; got " + wanted);
}

template const Kernels<float> &kernels();
template const Kernels<double> &kernels();

}    // namespace les::cace

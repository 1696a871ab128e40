// The kernels for this processor.
#pragma once

#include "layer.h"

namespace les::cace {

// For the best instruction set that this processor has and the kernels were made for: baseline, avx2, avx512. The environment variable
// LES_SIMD may name a lesser one. Throws std::runtime_error where it names another word, or one that is not there.
template <class T> const Kernels<T> &kernels();

}    // namespace les::cace

// The kernels for this processor.
#pragma once

#include "layer.h"

namespace les::cace {

// Those of instruction_set().
template <class T> const Kernels<T> &kernels_here();

}    // namespace les::cace

// The layers of a CACE network from the configuration and the weights in a model file.
#pragma once

#include "../native_network.h"
#include "layer.h"

#include <deque>
#include <memory>
#include <vector>

namespace les::cace {

// A chain of layers: the representation with its readouts, of the energy, of the charges, or of both.
template <class T> struct Branch {
  std::vector<Layer<T>> layers;
  bool energy = false, charges = false;    // which readouts the last layer has, in this order
};

template <class T> struct Arrays {
  std::vector<Branch<T>> branches;    // one, or two where the charges have a representation of their own
  std::deque<std::vector<T>> numbers;
  std::deque<std::vector<int>> tables;    // the layers point into both
};

// Throws NotCovered.
template <class T> std::unique_ptr<Arrays<T>> read_arrays(const ModelFile &file);

}    // namespace les::cace

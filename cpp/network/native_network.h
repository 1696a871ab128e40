// Networks by code made for their kind, on a CPU.
#pragma once

#include "model_file.h"
#include "network.h"

namespace les {

// The network is not one that the kernels know; the text says why: "its messages are attenuated".
class NotCovered : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

// Throws NotCovered.
std::unique_ptr<Network> load_native(const ModelFile &file);

}    // namespace les

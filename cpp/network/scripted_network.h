// The network of a model file as TorchScript.
#pragma once

#include "model_file.h"
#include "network.h"

namespace les {

// `why`: it is this that evaluates the network, for the log; may be empty.
std::unique_ptr<Network> load_scripted(const ModelFile &file, torch::Device device, const std::string &why);

}    // namespace les

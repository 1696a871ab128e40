// Which device a rank computes on.
#pragma once

#include <mpi.h>
#include <torch/types.h>

namespace les {

struct DeviceChoice {
  enum Kind { AUTO, CPU, CUDA } kind = AUTO;
  int gpu = -1;    // -1: by the rank within the node
};

// Collective. GPUs are dealt out by the rank within the node; AUTO is the CPU where torch sees none.
// Throws std::runtime_error, with what to do, where a GPU was asked for that is not there.
torch::Device choose_device(const DeviceChoice &choice, MPI_Comm world);

}    // namespace les

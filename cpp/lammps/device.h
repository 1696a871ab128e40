// Which device a rank computes on.
#pragma once

#include <mpi.h>
#include <torch/types.h>

namespace les {

struct DeviceChoice {
  enum Kind { AUTO, CPU, CUDA } kind = AUTO;
  int gpu = -1;    // -1: by the rank within the node
};

// Collective over `world`. GPUs are dealt out by the rank within the node, after `ranks_before` of other partitions; AUTO is the CPU
// where torch sees none. The device becomes the current one.
// Throws std::runtime_error, with what to do, where a GPU was asked for that is not there.
torch::Device choose_device(const DeviceChoice &choice, MPI_Comm world, int ranks_before);

}    // namespace les

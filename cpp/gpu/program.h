// Kernels, launched by name on torch's default stream, the one that this package uses.
//
// A kernel has one argument, a struct that its header in cpp/gpu/kernels defines for both sides; its pointers are to memory of the device.
#pragma once

#include "compile.h"

#include <torch/types.h>

namespace les::gpu {

// Whether kernels can run on a device: a GPU, with its driver and its compiler.
bool available(const torch::Device &device);

struct Grid {
  int64_t x = 1, y = 1;
};
// Blocks of so many threads, or warps, that there are n of them
inline Grid blocks_for(int64_t n, int64_t threads) { return {(n + threads - 1) / threads}; }

class Program {
 public:
  Program() = default;
  // One of cpp/gpu/kernels; compiled when a kernel is first launched on a device.
  Program(std::string name, Macros macros) : name_(std::move(name)), macros_(std::move(macros)) {}

  // In turn with the operations of torch on `device`; an empty grid is none. shared: bytes that the kernel takes beside its own.
  template <class Arguments>
  void launch(const char *kernel, const torch::Device &device, Grid grid, int threads, const Arguments &arguments,
              size_t shared = 0) const
  {
    launch(kernel, device, grid, threads, &arguments, sizeof(Arguments), shared);
  }

 private:
  std::string name_;
  Macros macros_;

  void launch(const char *kernel, const torch::Device &device, Grid grid, int threads, const void *arguments,
              size_t size, size_t shared) const;
};

// Name of a type in kernels
inline const char *name_of(torch::ScalarType type) { return type == torch::kFloat64 ? "double" : "float"; }

}    // namespace les::gpu

#include "device.h"

#include <c10/core/impl/VirtualGuardImpl.h>
#include <torch/cuda.h>

#include <stdexcept>
#include <string>

namespace les {

torch::Device choose_device(const DeviceChoice &choice, MPI_Comm world, int ranks_before)
{
  MPI_Comm node;
  MPI_Comm_split_type(world, MPI_COMM_TYPE_SHARED, 0, MPI_INFO_NULL, &node);
  int rank = 0;
  MPI_Comm_rank(node, &rank);
  MPI_Comm_free(&node);

  const int gpus = torch::cuda::is_available() ? static_cast<int>(torch::cuda::device_count()) : 0;
  if (choice.kind == DeviceChoice::CPU || (choice.kind == DeviceChoice::AUTO && gpus == 0)) return torch::kCPU;
  if (gpus == 0)
    throw std::runtime_error(
        "device cuda was asked for, but torch sees no CUDA GPU; use device cpu, or a CUDA build of torch");
  if (choice.gpu >= gpus)
    throw std::runtime_error("device cuda:" + std::to_string(choice.gpu) + " was asked for, but torch sees " +
                             std::to_string(gpus) + " GPU(s)");
  const int index = choice.gpu >= 0 ? choice.gpu : (ranks_before + rank) % gpus;
  const torch::Device device(torch::kCUDA, static_cast<torch::DeviceIndex>(index));
  c10::impl::VirtualGuardImpl(device.type()).setDevice(device);    // also what an MPI with GPU support looks at
  return device;
}

}    // namespace les

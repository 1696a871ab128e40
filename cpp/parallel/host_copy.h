// Copies between the host and the device of the model, through page-locked memory where the device is a GPU.
#pragma once

#include <torch/types.h>

namespace les {

// Contiguous, on the host; the tensor itself if it is that already.
inline torch::Tensor to_host(const torch::Tensor &values)
{
  if (values.is_cpu()) return values.contiguous();
  torch::Tensor host = torch::empty(values.sizes(), values.options().device(torch::kCPU).pinned_memory(true));
  host.copy_(values);
  return host;
}

inline torch::Tensor to_device(const torch::Tensor &host, const torch::Device &device)
{
  return device.is_cpu() ? host : host.pin_memory().to(device, /*non_blocking=*/true);
}

}    // namespace les

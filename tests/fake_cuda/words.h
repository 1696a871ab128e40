// Tensors and operations in messages.
#pragma once

#include <ATen/core/Tensor.h>

#include <string>
#include <vector>

namespace fake_cuda {

inline std::string describe(const at::Tensor &t)
{
  if (!t.defined()) return "none";
  std::string text = std::string(c10::toString(t.scalar_type())) + "[";
  for (int64_t d = 0; d < t.dim(); d++) text += (d ? ", " : "") + std::to_string(t.size(d));
  return text + "] on " + t.device().str();
}

inline std::string describe(const std::string &operation, const std::vector<at::Tensor> &tensors)
{
  std::string text = operation + " of ";
  for (size_t n = 0; n < tensors.size(); n++) text += (n ? ", " : "") + describe(tensors[n]);
  return text;
}

}    // namespace fake_cuda

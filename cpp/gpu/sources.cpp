#include "compile.h"

namespace les::gpu {

const std::vector<Source> &sources()
{
  static const std::vector<Source> all{
#include "kernel_sources.h"    // made from cpp/gpu/kernels
  };
  return all;
}

}    // namespace les::gpu

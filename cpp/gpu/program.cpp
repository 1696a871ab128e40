#include "program.h"

#include "driver.h"

#include <c10/core/DeviceGuard.h>
#include <c10/core/impl/VirtualGuardImpl.h>

#include <mutex>

namespace les::gpu {

namespace {

constexpr int MAJOR = 75, MINOR = 76, MOST_SHARED_BYTES = 8;    // attributes of a device; of a function
void *const BUFFER = reinterpret_cast<void *>(1), *const BUFFER_SIZE = reinterpret_cast<void *>(2);

void check(int result, const char *what)
{
  if (result == 0) return;
  const char *text = nullptr;
  Driver::get()->cuGetErrorString(result, &text);
  TORCH_CHECK(false, what, ": ", text ? text : "unknown error", " (CUDA error ", result, ")");
}

int architecture()    // of the current device
{
  int device = 0, major = 0, minor = 0;
  check(Driver::get()->cuCtxGetDevice(&device), "asking for the GPU");
  check(Driver::get()->cuDeviceGetAttribute(&major, MAJOR, device), "asking what the GPU can do");
  check(Driver::get()->cuDeviceGetAttribute(&minor, MINOR, device), "asking what the GPU can do");
  return 10 * major + minor;
}

// Modules stay loaded until the process ends.
void *module_of(const std::string &program, const Macros &macros, int device)
{
  static auto *loaded = new std::map<std::tuple<std::string, Macros, int>, void *>;
  static std::mutex mutex;
  const std::lock_guard<std::mutex> guard(mutex);
  void *&module = (*loaded)[{program, macros, device}];
  if (module) return module;
  check(Driver::get()->cuModuleLoadData(&module, compiled(program, macros, architecture()).data()), "loading kernels");
  return module;
}

}    // namespace

bool available(const torch::Device &device) { return device.is_cuda() && Driver::get() && Compiler::get(); }

void Program::launch(const char *kernel, const torch::Device &device, Grid grid, int threads, const void *arguments,
                     size_t size, size_t shared) const
{
  if (grid.x * grid.y == 0) return;
  const c10::DeviceGuard guard(device);
  const Driver &driver = *Driver::get();
  const c10::Stream stream = c10::impl::VirtualGuardImpl(c10::DeviceType::CUDA).getStream(device);
  TORCH_CHECK(stream.id() == 0, "kernels run on torch's default stream; another one is in use");
  void *function = nullptr, *module = module_of(name_, macros_, device.index());
  check(driver.cuModuleGetFunction(&function, module, kernel), kernel);
  if (shared > 48 * 1024)    // what every kernel may have
    check(driver.cuFuncSetAttribute(function, MOST_SHARED_BYTES, static_cast<int>(shared)), kernel);
  void *extra[] = {BUFFER, const_cast<void *>(arguments), BUFFER_SIZE, &size, nullptr};
  check(driver.cuLaunchKernel(function, static_cast<unsigned>(grid.x), static_cast<unsigned>(grid.y), 1,
                              static_cast<unsigned>(threads), 1, 1, static_cast<unsigned>(shared), nullptr, nullptr,
                              extra),
        kernel);
}

}    // namespace les::gpu

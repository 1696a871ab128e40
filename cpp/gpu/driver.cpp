#include "driver.h"

#include <dlfcn.h>

#include <initializer_list>
#include <optional>
#include <vector>

namespace les::gpu {

namespace {

// A symbol that the process has already, or of the first of these libraries that there is.
class Library {
 public:
  Library(std::initializer_list<const char *> names) : names_(names) {}
  template <class F> bool find(F *&function, const char *name)
  {
    void *symbol = dlsym(RTLD_DEFAULT, name);
    for (auto library = names_.begin(); !symbol && library != names_.end(); ++library)
      if (void *handle = dlopen(*library, RTLD_NOW)) symbol = dlsym(handle, name);
    function = reinterpret_cast<F *>(symbol);
    return symbol;
  }

 private:
  std::vector<const char *> names_;
};

#define FIND(name) library.find(out.name, #name)

std::optional<Driver> find_driver()
{
  Library library{"libcuda.so.1"};
  Driver out{};
  const bool found = FIND(cuInit) && FIND(cuCtxGetDevice) && FIND(cuDeviceGetAttribute) && FIND(cuModuleLoadData) &&
                     FIND(cuModuleGetFunction) && FIND(cuFuncSetAttribute) && FIND(cuLaunchKernel) &&
                     FIND(cuGetErrorString);
  return found && out.cuInit(0) == 0 ? std::optional(out) : std::nullopt;
}

std::optional<Compiler> find_compiler()
{
  // torch's own library knows where the wheel of NVRTC lies
  Library library{"libcaffe2_nvrtc.so", "libnvrtc.so.13", "libnvrtc.so.12", "libnvrtc.so"};
  Compiler out{};
  const bool found = FIND(nvrtcVersion) && FIND(nvrtcGetNumSupportedArchs) && FIND(nvrtcGetSupportedArchs) &&
                     FIND(nvrtcCreateProgram) && FIND(nvrtcDestroyProgram) && FIND(nvrtcCompileProgram) &&
                     FIND(nvrtcGetCUBINSize) && FIND(nvrtcGetCUBIN) && FIND(nvrtcGetPTXSize) && FIND(nvrtcGetPTX) &&
                     FIND(nvrtcGetProgramLogSize) && FIND(nvrtcGetProgramLog);
  return found ? std::optional(out) : std::nullopt;
}

}    // namespace

const Driver *Driver::get()
{
  static const std::optional<Driver> driver = find_driver();
  return driver ? &*driver : nullptr;
}

const Compiler *Compiler::get()
{
  static const std::optional<Compiler> compiler = find_compiler();
  return compiler ? &*compiler : nullptr;
}

}    // namespace les::gpu

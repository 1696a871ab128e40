// The few functions of CUDA's driver and of its run-time compiler (NVRTC) that kernels need. They are looked for when first asked for, among
// what torch has brought along: nothing of CUDA is needed to build, and a machine without a GPU has none of them.
#pragma once

#include <cstddef>

namespace les::gpu {

// Driver API: handles are pointers, results 0 where all went well.
struct Driver {
  int (*cuInit)(unsigned flags);
  int (*cuCtxGetDevice)(int *device);
  int (*cuDeviceGetAttribute)(int *value, int attribute, int device);
  int (*cuModuleLoadData)(void **module, const void *image);
  int (*cuModuleGetFunction)(void **function, void *module, const char *name);
  int (*cuFuncSetAttribute)(void *function, int attribute, int value);
  int (*cuLaunchKernel)(void *function, unsigned grid_x, unsigned grid_y, unsigned grid_z, unsigned block_x,
                        unsigned block_y, unsigned block_z, unsigned shared_bytes, void *stream, void **parameters,
                        void **extra);
  int (*cuGetErrorString)(int error, const char **text);

  // Null where there is no driver.
  static const Driver *get();
};

struct Compiler {
  int (*nvrtcVersion)(int *major, int *minor);
  int (*nvrtcGetNumSupportedArchs)(int *count);
  int (*nvrtcGetSupportedArchs)(int *archs);
  int (*nvrtcCreateProgram)(void **program, const char *source, const char *name, int n_headers,
                            const char *const *headers, const char *const *names);
  int (*nvrtcDestroyProgram)(void **program);
  int (*nvrtcCompileProgram)(void *program, int n_options, const char *const *options);
  int (*nvrtcGetCUBINSize)(void *program, size_t *size);
  int (*nvrtcGetCUBIN)(void *program, char *cubin);
  int (*nvrtcGetPTXSize)(void *program, size_t *size);
  int (*nvrtcGetPTX)(void *program, char *ptx);
  int (*nvrtcGetProgramLogSize)(void *program, size_t *size);
  int (*nvrtcGetProgramLog)(void *program, char *log);

  // Null where there is none.
  static const Compiler *get();
};

}    // namespace les::gpu

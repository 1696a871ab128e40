# Target les_torch (and les_torch_python for the Python module); LES_TORCH_HAS_CUDA.
#
# The Python package is linked by its libraries: its own CMake configuration asks for a CUDA toolkit where torch has CUDA, which the
# device-neutral code here does not need. So is a folder LES_TORCH, which nobody can import where the libraries of CUDA are missing.

add_library(les_torch INTERFACE)
add_library(les_torch_python INTERFACE)

if(LES_TORCH)
  if(NOT EXISTS ${LES_TORCH}/include/torch/csrc/api/include/torch/all.h)
    message(FATAL_ERROR "LES_TORCH=${LES_TORCH}: expected the folder 'torch' of an unpacked wheel, or a libtorch, with include/ and lib/")
  endif()
  set(LES_TORCH_DIR ${LES_TORCH})
  set(LES_TORCH_VERSION "(given by LES_TORCH)")
  set(LES_TORCH_ABI 1)    # of all that torch has published since 2.7
else()
  execute_process(
    COMMAND ${Python_EXECUTABLE} -c
    "import torch, os; d = os.path.dirname(torch.__file__); print(d, torch.__version__, int(torch._C._GLIBCXX_USE_CXX11_ABI), sep=';')"
    OUTPUT_VARIABLE LES_TORCH_PACKAGE OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET RESULT_VARIABLE LES_TORCH_MISSING)
  if(NOT LES_TORCH_MISSING)
    list(GET LES_TORCH_PACKAGE 0 LES_TORCH_DIR)
    list(GET LES_TORCH_PACKAGE 1 LES_TORCH_VERSION)
    list(GET LES_TORCH_PACKAGE 2 LES_TORCH_ABI)
  endif()
endif()

if(LES_TORCH_DIR)
  message(STATUS "torch ${LES_TORCH_VERSION} in ${LES_TORCH_DIR}")
  if(EXISTS ${LES_TORCH_DIR}/lib/libtorch_cuda.so)
    set(LES_TORCH_HAS_CUDA ON)
  endif()
  target_include_directories(les_torch SYSTEM INTERFACE
    ${LES_TORCH_DIR}/include ${LES_TORCH_DIR}/include/torch/csrc/api/include)
  target_compile_definitions(les_torch INTERFACE _GLIBCXX_USE_CXX11_ABI=${LES_TORCH_ABI})
  target_link_directories(les_torch INTERFACE ${LES_TORCH_DIR}/lib)
  # libtorch brings libtorch_cuda in where there is one; keep it although no symbol of it is named
  target_link_options(les_torch INTERFACE -Wl,--no-as-needed)
  target_link_libraries(les_torch INTERFACE torch torch_cpu c10)
  target_link_libraries(les_torch_python INTERFACE les_torch torch_python)
else()
  find_package(Torch REQUIRED)
  target_link_libraries(les_torch INTERFACE ${TORCH_LIBRARIES})
  target_compile_options(les_torch INTERFACE ${TORCH_CXX_FLAGS})
  if(TARGET torch_cuda)
    set(LES_TORCH_HAS_CUDA ON)
  endif()
endif()

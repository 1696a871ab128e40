# Target les_torch (and les_torch_python for the Python module); LES_TORCH_HAS_CUDA.
#
# The Python package is linked by its libraries: its own CMake configuration asks for a CUDA toolkit where torch has CUDA, which the
# device-neutral code here does not need.

add_library(les_torch INTERFACE)
add_library(les_torch_python INTERFACE)

execute_process(
  COMMAND ${Python_EXECUTABLE} -c
  "import torch, os; d = os.path.dirname(torch.__file__); print(d, torch.__version__, int(torch._C._GLIBCXX_USE_CXX11_ABI), sep=';')"
  OUTPUT_VARIABLE LES_TORCH OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET RESULT_VARIABLE LES_TORCH_MISSING)

if(LES_TORCH_MISSING)
  find_package(Torch REQUIRED)
  target_link_libraries(les_torch INTERFACE ${TORCH_LIBRARIES})
  target_compile_options(les_torch INTERFACE ${TORCH_CXX_FLAGS})
  if(TARGET torch_cuda)
    set(LES_TORCH_HAS_CUDA ON)
  endif()
else()
  list(GET LES_TORCH 0 LES_TORCH_DIR)
  list(GET LES_TORCH 1 LES_TORCH_VERSION)
  list(GET LES_TORCH 2 LES_TORCH_ABI)
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
endif()

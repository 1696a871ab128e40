// Memory of a CUDA device that is not there.
//
// One file in memory is mapped twice. Tensors point into the first mapping, which has no access rights: host code that touches
// device memory dies there. Operations run on the CPU, through the second mapping.
#pragma once

#include <c10/core/Allocator.h>

#include <cstdint>

namespace fake_cuda {

// What memory holds that nobody has written: not a number in float32 and float64, an absurd index in int64 and int32, neither
// true nor false.
constexpr uint64_t UNWRITTEN = 0xfffbfffbfffbfffb;

c10::Allocator *device_allocator();
c10::Allocator *pinned_allocator();

bool is_device_memory(const void *address);
bool is_pinned_memory(const void *address);
// The same byte where the host may touch it. `address` itself if it is not on the device.
void *reachable(void *address);
// Whether a byte that the host may touch belongs to the device.
bool is_reachable_device_memory(const void *address);
// From an address of the device to the end of what was allocated there; 0 if nothing was.
int64_t bytes_behind(const void *address);

c10::DeviceIndex current_device();
void set_current_device(c10::DeviceIndex index);

}    // namespace fake_cuda

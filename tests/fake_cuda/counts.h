// What a device was asked to do, counted by stage of the program.
//
// The stage is what the environment variable FAKE_CUDA_STAGE says at the moment; LAMMPS sets it from its input by `shell putenv`.
// At the end of the process the counts are written as JSON to $FAKE_CUDA_REPORT.<process id>.
#pragma once

#include <cstdint>
#include <string>

namespace fake_cuda {

// An operation that a device would do; bytes that it reads and writes.
void count_operation(const std::string &what, int64_t bytes);
// A copy between host and device.
void count_transfer(const std::string &what, int64_t bytes);
// The host cannot go on before the device has done all that it was asked for.
void count_wait(const std::string &what);
// Of the device: allocated, or given back where negative.
void count_memory(int64_t bytes);

// The last operation, for messages.
void set_last_operation(const std::string &what);
const char *last_operation();

}    // namespace fake_cuda

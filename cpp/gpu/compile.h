// Kernel sources to machine code.
//
// The sources are the headers of cpp/gpu/kernels, as text inside the library. Sizes of loops are macros, so that a program is compiled for
// what it is used for. Machine code is kept in $XDG_CACHE_HOME/lammps-les (~/.cache/lammps-les), by a hash of all that it depends on.
#pragma once

#include <map>
#include <string>
#include <vector>

namespace les::gpu {

using Macros = std::map<std::string, std::string>;    // name: value

struct Source {
  const char *name, *text;
};
// All of cpp/gpu/kernels
const std::vector<Source> &sources();

struct Compiled {
  std::string code;    // cubin, or PTX where the compiler does not know the architecture yet
  std::string log;
};

// A program of sources() for an architecture (90 for sm_90), by the compiler alone. `options`: further ones, of the compiler. Throws with the
// compiler's messages.
Compiled compile(const std::string &program, const Macros &macros, int architecture,
                 const std::vector<std::string> &options = {});

// The same, from the cache where it holds it.
std::string compiled(const std::string &program, const Macros &macros, int architecture);

}    // namespace les::gpu

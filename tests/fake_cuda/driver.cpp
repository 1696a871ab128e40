// CUDA's driver and run-time compiler, as far as cpp/gpu/driver.h asks for them: the compiler of the host makes a library of kernels that
// play.h plays on the CPU, over the same memory as all other operations.
//
//   FAKE_CUDA_ORDER     descending: threads run from last to first
//   FAKE_CUDA_DRIVER    none: there is none
//   FAKE_CUDA_EDIT      a fault to be planted in the kernels: text=>what it becomes

#include "counts.h"
#include "memory.h"

#include <dlfcn.h>
#include <spawn.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <map>
#include <sstream>
#include <string>
#include <vector>

extern char **environ;

namespace fake_cuda {

namespace {

extern const char *const PLAY =
#include "play_text.h"    // made from play.h
    ;

struct Dim3 {
  unsigned x, y, z;
};
struct Launch {    // as in play.h
  Dim3 grid;
  unsigned threads;
  size_t shared, size;
  bool descending;
};

struct Function {
  std::string name;
  void (*play)(const void *arguments, const Launch &how);
};

struct Program {
  std::map<std::string, std::string> files;
  std::string main, code, log;
};

std::string variable(const char *name)
{
  const char *value = std::getenv(name);
  return value ? value : "";
}

// Whether the fault was planted, where there is one
bool edit(std::map<std::string, std::string> &files)
{
  const std::string what = variable("FAKE_CUDA_EDIT");
  if (what.empty()) return true;
  const size_t arrow = what.find("=>");
  bool found = false;
  for (auto &[name, text] : files)
    if (const size_t at = text.find(what.substr(0, arrow)); at != std::string::npos) {
      text.replace(at, arrow, what.substr(arrow + 2));
      found = true;
    }
  return found;
}

int run(const std::vector<std::string> &command)
{
  std::vector<char *> words, environment;
  for (const std::string &word : command) words.push_back(const_cast<char *>(word.c_str()));
  words.push_back(nullptr);
  for (char **entry = environ; *entry; entry++)    // the compiler needs no GPU
    if (std::strncmp(*entry, "LD_PRELOAD=", 11) != 0) environment.push_back(*entry);
  environment.push_back(nullptr);
  pid_t child;
  if (posix_spawnp(&child, words[0], nullptr, nullptr, words.data(), environment.data()) != 0) return -1;
  int status = 0;
  waitpid(child, &status, 0);
  return status;
}

std::string read(const std::filesystem::path &path)
{
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

int compile(Program &program, const std::vector<std::string> &options)
{
  if (!edit(program.files)) {
    program.log = "FAKE_CUDA_EDIT: the kernels have no such text";
    return 6;
  }
  char name[] = "/tmp/fake_cuda.XXXXXX";
  const std::filesystem::path folder = mkdtemp(name), messages = folder / "messages";
  for (const auto &[file, text] : program.files) std::ofstream(folder / file) << text;
  std::ofstream(folder / "play.h") << PLAY;
  std::ofstream(folder / "kernels.cpp") << "#include \"play.h\"\n" << program.main;
  const std::string source = folder / "kernels.cpp", library = folder / "kernels.so";
  std::vector<std::string> command{LES_COMPILER, "-O1", "-std=c++17", "-shared",           "-fPIC",     "-w",
                                   source,       "-o",  library,      "-U_FORTIFY_SOURCE", "-Wl,-z,now"};
  for (const std::string &option : options)
    if (option.rfind("-D", 0) == 0) command.push_back(option);
  const int status = run(command);
  if (status != 0) program.log = "the compiler of the host failed";
  // its size goes before the library
  const std::string code = read(library);
  const uint64_t size = code.size();
  program.code = std::string(reinterpret_cast<const char *>(&size), sizeof(size)) + code;
  std::filesystem::remove_all(folder);
  return status == 0 ? 0 : 6;
}

// Pointers to memory of the device become what the host may touch; the bytes that they lead to.
int64_t make_reachable(std::vector<char> &arguments)
{
  int64_t bytes = 0;
  for (size_t at = 0; at + sizeof(void *) <= arguments.size(); at += sizeof(void *)) {
    void *pointer;
    std::memcpy(&pointer, arguments.data() + at, sizeof(pointer));
    if (!is_device_memory(pointer)) continue;
    bytes += bytes_behind(pointer);
    pointer = reachable(pointer);
    std::memcpy(arguments.data() + at, &pointer, sizeof(pointer));
  }
  return bytes;
}

}    // namespace

}    // namespace fake_cuda

using namespace fake_cuda;

#define EXPORTED extern "C" __attribute__((visibility("default")))

EXPORTED int cuInit(unsigned) { return variable("FAKE_CUDA_DRIVER") == "none" ? 100 : 0; }
EXPORTED int cuCtxGetDevice(int *device)
{
  *device = current_device();
  return 0;
}
EXPORTED int cuDeviceGetAttribute(int *value, int, int)
{
  *value = 0;
  return 0;
}
EXPORTED int cuGetErrorString(int, const char **text)
{
  *text = "refused by the fake device";
  return 0;
}
EXPORTED int cuModuleLoadData(void **module, const void *image)
{
  uint64_t size;
  std::memcpy(&size, image, sizeof(size));
  const int file = memfd_create("kernels", 0);
  const bool written = write(file, static_cast<const char *>(image) + sizeof(size), size) == static_cast<ssize_t>(size);
  *module = written ? dlopen(("/proc/self/fd/" + std::to_string(file)).c_str(), RTLD_NOW | RTLD_LOCAL) : nullptr;
  if (!*module) std::fprintf(stderr, "fake cuda: %s\n", dlerror());
  return *module ? 0 : 200;
}
EXPORTED int cuModuleGetFunction(void **function, void *module, const char *name)
{
  static auto *functions = new std::map<std::pair<void *, std::string>, Function>;
  Function &found = (*functions)[{module, name}];
  found.name = name;
  found.play = reinterpret_cast<decltype(found.play)>(dlsym(module, name));
  *function = &found;
  return found.play ? 0 : 500;
}
EXPORTED int cuFuncSetAttribute(void *, int, int) { return 0; }
EXPORTED int cuLaunchKernel(void *function, unsigned grid_x, unsigned grid_y, unsigned grid_z, unsigned threads,
                            unsigned, unsigned, unsigned shared, void *, void **, void **extra)
{
  const Function &kernel = *static_cast<Function *>(function);
  const size_t size = *static_cast<size_t *>(extra[3]);
  const char *given = static_cast<const char *>(extra[1]);
  std::vector<char> arguments(given, given + size);
  count_operation("kernel " + kernel.name, make_reachable(arguments));
  set_last_operation("kernel " + kernel.name);
  kernel.play(arguments.data(),
              {{grid_x, grid_y, grid_z}, threads, shared, size, variable("FAKE_CUDA_ORDER") == "descending"});
  return 0;
}

// What a kernel is made of beside its source and options is in the version, and so in the name under which a program is kept.
EXPORTED int nvrtcVersion(int *major, int *minor)
{
  *major = 0;
  *minor = static_cast<int>(std::hash<std::string>()(PLAY + variable("FAKE_CUDA_EDIT")) & 0x7fffffff);
  return 0;
}
EXPORTED int nvrtcGetNumSupportedArchs(int *count)
{
  *count = 1;
  return 0;
}
EXPORTED int nvrtcGetSupportedArchs(int *archs)
{
  *archs = 0;
  return 0;
}
EXPORTED int nvrtcCreateProgram(void **program, const char *source, const char *, int n_headers,
                                const char *const *headers, const char *const *names)
{
  auto *made = new Program;
  for (int h = 0; h < n_headers; h++) made->files[names[h]] = headers[h];
  for (const auto &[name, text] : made->files)
    if (text == source) made->main = "#include \"" + name + "\"\n";
  *program = made;
  return made->main.empty() ? 1 : 0;
}
EXPORTED int nvrtcDestroyProgram(void **program)
{
  delete static_cast<Program *>(*program);
  *program = nullptr;
  return 0;
}
EXPORTED int nvrtcCompileProgram(void *program, int n_options, const char *const *options)
{
  return compile(*static_cast<Program *>(program), {options, options + n_options});
}

namespace {
int give(const std::string &text, size_t *size, char *to)
{
  if (size) *size = text.size();
  else text.copy(to, text.size());
  return 0;
}
}    // namespace
EXPORTED int nvrtcGetCUBINSize(void *program, size_t *size)
{
  return give(static_cast<Program *>(program)->code, size, nullptr);
}
EXPORTED int nvrtcGetCUBIN(void *program, char *cubin)
{
  return give(static_cast<Program *>(program)->code, nullptr, cubin);
}
EXPORTED int nvrtcGetPTXSize(void *, size_t *) { return 1; }
EXPORTED int nvrtcGetPTX(void *, char *) { return 1; }
EXPORTED int nvrtcGetProgramLogSize(void *program, size_t *size)
{
  return give(static_cast<Program *>(program)->log, size, nullptr);
}
EXPORTED int nvrtcGetProgramLog(void *program, char *log)
{
  return give(static_cast<Program *>(program)->log, nullptr, log);
}

#include "compile.h"

#include "driver.h"

#include <c10/util/Exception.h>
#include <c10/util/hash.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>

namespace les::gpu {

namespace {

const Compiler &compiler()
{
  const Compiler *found = Compiler::get();
  TORCH_CHECK(found, "no compiler for kernels (libnvrtc) was found");
  return *found;
}

const char *text_of(const std::string &program)
{
  for (const Source &source : sources())
    if (source.name == program + ".h") return source.text;
  TORCH_CHECK(false, "there are no kernels '", program, "'");
}

// Code for the highest architecture up to this one that the compiler knows: machine code runs on others of the same
// generation, PTX on later ones.
std::string target_for(int architecture)
{
  int count = 0;
  compiler().nvrtcGetNumSupportedArchs(&count);
  std::vector<int> known(count);
  compiler().nvrtcGetSupportedArchs(known.data());
  int best = -1;
  for (const int arch : known)
    if (arch <= architecture) best = std::max(best, arch);
  TORCH_CHECK(best >= 0, "the compiler for kernels (libnvrtc) knows no GPU as old as sm_", architecture);
  return (best / 10 == architecture / 10 ? "sm_" : "compute_") + std::to_string(best);
}

std::vector<std::string> options_for(const Macros &macros, const std::string &target)
{
  std::vector<std::string> options{"--gpu-architecture=" + target, "--std=c++17", "-DLES_KERNELS"};
  for (const auto &[name, value] : macros) options.push_back("-D" + name + "=" + value);
  return options;
}

std::filesystem::path cache_folder()
{
  const char *cache = std::getenv("XDG_CACHE_HOME"), *home = std::getenv("HOME");
  if (cache && *cache) return std::filesystem::path(cache) / "lammps-les";
  return home && *home ? std::filesystem::path(home) / ".cache" / "lammps-les" : std::filesystem::path();
}

std::string hash_of(const std::vector<std::string> &options, const std::string &program)
{
  int major = 0, minor = 0;
  compiler().nvrtcVersion(&major, &minor);
  std::ostringstream all;
  all << program << '\0' << major << '.' << minor << '\0';
  for (const std::string &option : options) all << option << '\0';
  for (const Source &source : sources()) all << source.name << '\0' << source.text << '\0';
  return c10::sha1(all.str()).str();
}

std::string checksum(const std::string &code) { return c10::sha1(code).str(); }

// Empty where there is no such file, or it is damaged
std::string read(const std::filesystem::path &path)
{
  std::ifstream file(path, std::ios::binary);
  const std::string text{std::istreambuf_iterator<char>(file), {}};
  const size_t length = checksum("").size();
  const std::string code = text.substr(std::min(length, text.size()));
  return text.substr(0, length) == checksum(code) ? code : "";
}

// Whole or not at all, since many processes may do it at once. A cache that cannot be written is none.
void keep(const std::filesystem::path &path, const std::string &code)
{
  std::error_code failed;
  std::filesystem::create_directories(path.parent_path(), failed);
  const std::filesystem::path part = path.string() + "." + std::to_string(getpid());
  std::ofstream(part, std::ios::binary) << checksum(code) << code;
  std::filesystem::rename(part, path, failed);
  if (failed) std::filesystem::remove(part, failed);
}

}    // namespace

Compiled compile(const std::string &program, const Macros &macros, int architecture,
                 const std::vector<std::string> &more)
{
  const Compiler &c = compiler();
  const std::string target = target_for(architecture);
  std::vector<std::string> options = options_for(macros, target);
  options.insert(options.end(), more.begin(), more.end());
  std::vector<const char *> texts, names, words;
  for (const Source &source : sources()) {
    texts.push_back(source.text);
    names.push_back(source.name);
  }
  for (const std::string &option : options) words.push_back(option.c_str());

  void *made = nullptr;
  TORCH_CHECK(c.nvrtcCreateProgram(&made, text_of(program), (program + ".cu").c_str(), static_cast<int>(texts.size()),
                                   texts.data(), names.data()) == 0,
              "the compiler for kernels does not start");
  const int failed = c.nvrtcCompileProgram(made, static_cast<int>(words.size()), words.data());
  Compiled out;
  size_t size = 0;
  c.nvrtcGetProgramLogSize(made, &size);
  out.log.resize(size);
  c.nvrtcGetProgramLog(made, out.log.data());
  const bool binary = target[0] == 's';
  if (!failed) {
    (binary ? c.nvrtcGetCUBINSize : c.nvrtcGetPTXSize)(made, &size);
    out.code.resize(size);
    (binary ? c.nvrtcGetCUBIN : c.nvrtcGetPTX)(made, out.code.data());
  }
  c.nvrtcDestroyProgram(&made);
  TORCH_CHECK(!failed, "kernels '", program, "' do not compile for ", target, " (gpu_kernels no does without them):\n",
              out.log.c_str());
  return out;
}

std::string compiled(const std::string &program, const Macros &macros, int architecture)
{
  const std::filesystem::path folder = cache_folder();
  if (folder.empty()) return compile(program, macros, architecture).code;
  const auto path = folder / (program + "-" + hash_of(options_for(macros, target_for(architecture)), program));
  std::string code = read(path);
  if (!code.empty()) return code;
  code = compile(program, macros, architecture).code;
  keep(path, code);
  return code;
}

}    // namespace les::gpu

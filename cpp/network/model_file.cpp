#include "model_file.h"

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <sstream>

namespace les {

namespace {

const char *const METADATA_FILE = "extra/lammps_les.json";
constexpr uintmax_t MOST_BYTES = uintmax_t{1} << 32;

// What `checksums` of FORMAT.md has for a tensor.
uint32_t checksum(const Archive &archive, const Pickle::Tensor &tensor, std::string_view elements)
{
  std::ostringstream about;
  about << tensor.type << " [";
  for (size_t n = 0; n < tensor.sizes.size(); n++) about << (n ? ", " : "") << tensor.sizes[n];
  about << "]\n";
  return crc32_of_both(crc32(about.str()), archive.checksum(elements), elements.size());
}

void check_weights(const Archive &archive, const Pickle &module)
{
  const auto checksums = module.numbers("checksums");
  if (!checksums) return;
  for (const auto &[name, expected] : *checksums) {
    const Pickle::Tensor *const tensor = module.tensor(name);
    if (!tensor) archive.refuse("is damaged: it lacks the weights '" + one_line(name) + "'");
    const auto elements = tensor->contiguous();
    if (!elements || checksum(archive, *tensor, *elements) != expected)
      archive.refuse("is damaged: its weights '" + one_line(name) + "' are not those that it was written with");
  }
}

Metadata metadata_of(const Archive &archive, const std::string &path)
{
  if (!archive.has(METADATA_FILE))
    archive.refuse("holds no lammps_les.json: it is an archive, but not a model file of lammps-les");
  return parse_metadata(std::string(archive.read(METADATA_FILE)), path);
}

}    // namespace

std::string read_model_file(const std::string &path)
{
  namespace fs = std::filesystem;
  const auto refuse = [&](const std::string &what) { throw ModelFileError("model file " + path + " " + what); };
  std::error_code error;
  const fs::file_status status = fs::status(path, error);
  if (status.type() == fs::file_type::not_found) refuse("does not exist; write one with 'lammps-les export'");
  if (error) refuse("cannot be read: " + error.message());
  if (status.type() == fs::file_type::directory)
    refuse("is a folder; give the file in it that 'lammps-les export' wrote");
  if (status.type() != fs::file_type::regular) refuse("is not a file; write one with 'lammps-les export'");
  const uintmax_t size = fs::file_size(path, error);
  if (!error && size > MOST_BYTES) refuse("is larger than 4 GB: no model file of lammps-les");
  errno = 0;
  std::ifstream file(path, std::ios::binary);
  std::string bytes(file && !error ? size : 0, '\0');
  if (!file || error || !file.read(bytes.data(), static_cast<std::streamsize>(bytes.size())))
    refuse("cannot be read: " + (error ? error.message() : errno ? std::strerror(errno) : "it became shorter"));
  return bytes;
}

// First what says most clearly what is wrong with another version, or with a value
ModelFile::ModelFile(const std::string &path, std::string_view bytes) :
    path_(path), bytes_(bytes), archive_(path, bytes), metadata_(metadata_of(archive_, path)), module_(archive_, "data")
{
  const Pickle constants(archive_, "constants");
  if (const auto held = module_.text("metadata")) require_same_metadata(*held, metadata_.text, path);
  check_weights(archive_, module_);
}

}    // namespace les

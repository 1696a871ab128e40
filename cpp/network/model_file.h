// A model file as bytes, and what is asked of it before torch sees it.
#pragma once

#include "pickle.h"

namespace les {

// All bytes of a model file. Throws ModelFileError where there is none, or where it cannot be read.
std::string read_model_file(const std::string &path);

// What the bytes of the file `path`, which is not read again, hold; they must stay as long. Throws ModelFileError where the file is not
// whole, and where its module carries other metadata, or checksums of other weights ("What the module may carry" in export/FORMAT.md).
class ModelFile {
 public:
  ModelFile(const std::string &path, std::string_view bytes);

  const std::string &path() const { return path_; }
  std::string_view bytes() const { return bytes_; }
  const Metadata &metadata() const { return metadata_; }
  const Pickle &module() const { return module_; }    // its weights by name

 private:
  std::string path_;
  std::string_view bytes_;
  Archive archive_;
  Metadata metadata_;
  Pickle module_;
};

}    // namespace les

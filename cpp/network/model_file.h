// A model file as bytes, and what is asked of it before torch sees it.
#pragma once

#include "metadata.h"

#include <string_view>

namespace les {

// All bytes of a model file. Throws ModelFileError where there is none, or where it cannot be read.
std::string read_model_file(const std::string &path);

// The metadata in the bytes of the file `path`, which is not read again. Throws ModelFileError where the file is not whole, and where
// its module carries other metadata, or checksums of other weights ("What the module may carry" in export/FORMAT.md).
Metadata check_model_file(const std::string &path, std::string_view bytes);

}    // namespace les

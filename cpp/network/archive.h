// A TorchScript archive, looked at before torch sees it: torch follows sizes and offsets without a doubt, and compares no checksum.
#pragma once

#include "metadata.h"

#include <cstdint>
#include <map>
#include <string_view>

namespace les {

// CRC-32 of zip and zlib.
uint32_t crc32(std::string_view bytes);
// Of bytes that follow others: from the CRC-32 of either part, and the number of those that follow.
uint32_t crc32_of_both(uint32_t first, uint32_t second, size_t bytes_of_second);

// Text for an error message: its first line that says something, of printable characters.
std::string one_line(const std::string &text);

// A zip file, whose records lie in one folder; they are named without it.
class Archive {
 public:
  // `bytes` must stay as long as the archive. Throws ModelFileError, naming `path`, where the zip file or a record is damaged, where a name
  // stands twice, or where records are packed in a way that TorchScript does not use.
  Archive(const std::string &path, std::string_view bytes);

  bool has(const std::string &name) const { return records_.count(name) == 1; }
  // Unpacked. Throws where there is none.
  std::string_view read(const std::string &name) const;
  // CRC-32 of bytes that `read` gave, or of a part of them: not worked out again for a whole record.
  uint32_t checksum(std::string_view bytes) const;

  [[noreturn]] void refuse(const std::string &what) const;

 private:
  struct Record {
    std::string_view bytes;    // unpacked
    uint32_t checksum;
  };
  std::string path_;
  std::map<std::string, Record> records_;
  std::map<std::string, std::string> inflated_;    // those that were compressed
};

}    // namespace les

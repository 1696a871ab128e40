#include "archive.h"

#include <caffe2/serialize/in_memory_adapter.h>
#include <caffe2/serialize/inline_container.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <cstring>
#include <memory>
#include <set>

namespace les {

namespace {

// A CRC is the remainder of a polynomial over the field of two elements; the highest bit of the number is its constant term.
constexpr uint32_t times_x(uint32_t value) { return (value >> 1) ^ (value & 1 ? 0xEDB88320u : 0u); }

constexpr size_t AT_ONCE = 16;    // bytes

// Of a byte that 0 ... AT_ONCE - 1 others follow.
constexpr auto CRC_TABLES = [] {
  std::array<std::array<uint32_t, 256>, AT_ONCE> tables{};
  for (uint32_t n = 0; n < 256; n++) {
    uint32_t c = n;
    for (int bit = 0; bit < 8; bit++) c = times_x(c);
    tables[0][n] = c;
  }
  for (size_t t = 1; t < AT_ONCE; t++)
    for (uint32_t n = 0; n < 256; n++) tables[t][n] = (tables[t - 1][n] >> 8) ^ tables[0][tables[t - 1][n] & 255];
  return tables;
}();

uint32_t product(uint32_t a, uint32_t b)
{
  uint32_t sum = 0;
  for (uint32_t bit = 1u << 31; bit; bit >>= 1, b = times_x(b))
    if (a & bit) sum ^= b;
  return sum;
}

// Numbers of a zip file, little endian, on any machine.
template <class T> T number(std::string_view bytes, size_t at)
{
  T value = 0;
  for (size_t n = 0; n < sizeof(T); n++) value |= static_cast<T>(static_cast<unsigned char>(bytes[at + n])) << (8 * n);
  return value;
}

bool begins(std::string_view bytes, size_t at, const char *signature)
{
  return at <= bytes.size() && bytes.size() - at >= 4 && bytes.compare(at, 4, signature, 4) == 0;
}

// Where the directory lies, and how many entries it has.
struct Directory {
  uint64_t entries, size, start;
  bool operator==(const Directory &other) const = default;
};

// Lengths of the parts of a zip file, without names and the like
constexpr size_t LOCAL = 30, ENTRY = 46, END = 22, LOCATOR = 20, END_64 = 56;

Directory find_directory(const Archive &archive, std::string_view bytes)
{
  if (bytes.size() < END || !begins(bytes, bytes.size() - END, "PK\5\6"))
    archive.refuse("is no TorchScript archive, or was cut off");
  const size_t end = bytes.size() - END;
  const Directory found{number<uint16_t>(bytes, end + 10), number<uint32_t>(bytes, end + 12),
                        number<uint32_t>(bytes, end + 16)};
  size_t after = end;
  if (end >= LOCATOR + END_64 && begins(bytes, end - LOCATOR, "PK\6\7")) {    // the same for large files
    after = end - LOCATOR - END_64;
    if (number<uint64_t>(bytes, end - LOCATOR + 8) != after || !begins(bytes, after, "PK\6\6") ||
        Directory{number<uint64_t>(bytes, after + 32), number<uint64_t>(bytes, after + 40),
                  number<uint64_t>(bytes, after + 48)} != found)
      archive.refuse("is damaged: the ends of its directory disagree, or it is larger than 4 GB");
  }
  if (found.start + found.size != after) archive.refuse("is damaged: its directory is not where it should be");
  return found;
}

}    // namespace

uint32_t crc32(std::string_view bytes)
{
  uint32_t crc = ~uint32_t{0};
  size_t at = 0;
  for (; bytes.size() - at >= AT_ONCE; at += AT_ONCE) {
    uint32_t next = 0;
    for (size_t word = 0; word < AT_ONCE / 4; word++) {
      const uint32_t four = number<uint32_t>(bytes, at + 4 * word) ^ (word == 0 ? crc : 0);
      for (size_t n = 0; n < 4; n++) next ^= CRC_TABLES[AT_ONCE - 1 - 4 * word - n][(four >> (8 * n)) & 255];
    }
    crc = next;
  }
  for (; at < bytes.size(); at++) crc = (crc >> 8) ^ CRC_TABLES[0][(crc ^ static_cast<unsigned char>(bytes[at])) & 255];
  return ~crc;
}

uint32_t crc32_of_both(uint32_t first, uint32_t second, size_t bytes_of_second)
{
  uint32_t shift = 1u << 31, power = 1u << 23;    // 1 and x^8
  for (size_t n = bytes_of_second; n > 0; n >>= 1, power = product(power, power))
    if (n & 1) shift = product(shift, power);
  return product(first, shift) ^ second;
}

std::string one_line(const std::string &text)
{
  const size_t begin = text.find_first_not_of(" \t\r\n");
  if (begin == std::string::npos) return "no reason given";
  std::string line = text.substr(begin, std::min(text.find('\n', begin) - begin, size_t{300}));
  for (char &c : line)
    if (c < ' ' || c > '~') c = '?';
  return line;
}

Archive::Archive(const std::string &path, std::string_view bytes) : path_(path)
{
  const Directory directory = find_directory(*this, bytes);
  std::unique_ptr<caffe2::serialize::PyTorchStreamReader> torch;    // which can inflate
  std::set<std::string> lower;                                      // torch looks for names in any case
  std::string folder;
  const auto need = [&](bool holds, const std::string &name, const char *what) {
    if (!holds) refuse("is damaged: its record '" + one_line(name) + "' " + what);
  };
  size_t at = directory.start;
  const size_t end = directory.start + directory.size;
  for (uint64_t n = 0; n < directory.entries; n++) {
    if (end - at < ENTRY || !begins(bytes, at, "PK\1\2")) refuse("is damaged: its directory is not whole");
    const auto flags = number<uint16_t>(bytes, at + 8), method = number<uint16_t>(bytes, at + 10);
    const auto crc = number<uint32_t>(bytes, at + 16);
    const size_t packed = number<uint32_t>(bytes, at + 20), size = number<uint32_t>(bytes, at + 24),
                 length = number<uint16_t>(bytes, at + 28), local = number<uint32_t>(bytes, at + 42);
    const size_t more = number<uint16_t>(bytes, at + 30) + size_t{number<uint16_t>(bytes, at + 32)};
    if (end - at < ENTRY + length + more) refuse("is damaged: its directory is not whole");
    const std::string full(bytes.substr(at + ENTRY, length));
    at += ENTRY + length + more;

    if (n == 0) folder = full.substr(0, full.find('/') + 1);
    const std::string name = full.substr(std::min(folder.size(), full.size()));
    need(!folder.empty() && !name.empty() && full.compare(0, folder.size(), folder) == 0, full,
         "does not lie in the folder of the others");
    std::string in_lower = name;
    std::transform(name.begin(), name.end(), in_lower.begin(), [](unsigned char c) { return std::tolower(c); });
    need(lower.insert(in_lower).second, name, "stands twice in its directory");
    need((flags & 1) == 0 && (method == 0 || method == 8), name, "is encrypted, or packed in an unknown way");

    const size_t room = directory.start;
    need(local <= room && room - local >= LOCAL && begins(bytes, local, "PK\3\4"), name, "is not where it should be");
    const size_t start = local + LOCAL + number<uint16_t>(bytes, local + 26) + number<uint16_t>(bytes, local + 28);
    need(start <= room && room - start >= packed, name, "reaches beyond its end");
    need(bytes.substr(local + LOCAL, length) == full, name, "has another name in its place");
    if (method == 0) {
      need(packed == size, name, "has two sizes");
      records_[name] = {bytes.substr(start, size), crc};
    } else {
      constexpr size_t MOST_DEFLATED = 1040;
      need(size / MOST_DEFLATED <= packed, name, "has an impossible size");
      std::string &text = inflated_[name];
      text.resize(size);
      try {
        if (!torch)
          torch = std::make_unique<caffe2::serialize::PyTorchStreamReader>(
              std::make_shared<caffe2::serialize::MemoryReadAdapter>(bytes.data(), bytes.size()));
        torch->getRecord(name, text.data(), size);
      } catch (const std::exception &) {
        need(false, name, "cannot be unpacked");
      }
      records_[name] = {text, crc};
    }
    need(crc32(records_[name].bytes) == crc, name, "does not have the checksum that it was written with");
  }
  if (at != end) refuse("is damaged: its directory is not whole");
}

std::string_view Archive::read(const std::string &name) const
{
  const auto found = records_.find(name);
  if (found == records_.end()) refuse("is damaged: it has no record '" + one_line(name) + "'");
  return found->second.bytes;
}

uint32_t Archive::checksum(std::string_view bytes) const
{
  for (const auto &[name, record] : records_)
    if (record.bytes.data() == bytes.data() && record.bytes.size() == bytes.size()) return record.checksum;
  return crc32(bytes);
}

void Archive::refuse(const std::string &what) const
{
  throw ModelFileError("model file " + path_ + " " + what +
                       "; copy it again, or make it again with 'lammps-les export'");
}

}    // namespace les

#include "counts.h"

#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <mutex>

namespace fake_cuda {

namespace {

struct Count {
  int64_t number = 0, bytes = 0;
};
using Table = std::map<std::string, Count>;

struct Stage {
  Table operations, transfers, waits;
};

std::mutex mutex;
std::map<std::string, Stage> &stages()
{
  static auto *all = new std::map<std::string, Stage>;    // counted in until the very end
  return *all;
}
int64_t allocated = 0, most_allocated = 0;
char last[2000] = "none";

void add(Table Stage::*table, const std::string &what, int64_t bytes)
{
  const std::lock_guard<std::mutex> guard(mutex);
  const char *name = std::getenv("FAKE_CUDA_STAGE");
  Count &count = (stages()[name ? name : ""].*table)[what];
  count.number++;
  count.bytes += bytes;
}

void write(std::FILE *file, const char *name, const Table &table)
{
  std::fprintf(file, "\"%s\": {", name);
  const char *comma = "";
  for (const auto &[what, count] : table) {
    std::fprintf(file, "%s\n   \"%s\": [%lld, %lld]", comma, what.c_str(), static_cast<long long>(count.number),
                 static_cast<long long>(count.bytes));
    comma = ",";
  }
  std::fprintf(file, "}");
}

void report()
{
  const char *path = std::getenv("FAKE_CUDA_REPORT");
  const std::lock_guard<std::mutex> guard(mutex);
  if (!path || stages().empty()) return;
  std::FILE *file = std::fopen((std::string(path) + "." + std::to_string(getpid())).c_str(), "w");
  if (!file) return;
  std::fprintf(file, "{\"peak_bytes\": %lld, \"stages\": {", static_cast<long long>(most_allocated));
  const char *comma = "";
  for (const auto &[name, stage] : stages()) {
    std::fprintf(file, "%s\n \"%s\": {", comma, name.c_str());
    write(file, "operations", stage.operations);
    std::fprintf(file, ",\n  ");
    write(file, "transfers", stage.transfers);
    std::fprintf(file, ",\n  ");
    write(file, "waits", stage.waits);
    std::fprintf(file, "}");
    comma = ",";
  }
  std::fprintf(file, "}}\n");
  std::fclose(file);
}

const int at_exit = std::atexit(report);

}    // namespace

void count_operation(const std::string &what, int64_t bytes) { add(&Stage::operations, what, bytes); }
void count_transfer(const std::string &what, int64_t bytes) { add(&Stage::transfers, what, bytes); }
void count_wait(const std::string &what) { add(&Stage::waits, what, 0); }
void count_memory(int64_t bytes)
{
  allocated += bytes;    // under the lock of the memory
  most_allocated = std::max(most_allocated, allocated);
}

void set_last_operation(const std::string &what) { std::snprintf(last, sizeof(last), "%s", what.c_str()); }
const char *last_operation() { return last; }

}    // namespace fake_cuda

#include "memory.h"

#include "counts.h"

#include <c10/core/CPUAllocator.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cstdlib>
#include <cstring>
#include <map>
#include <mutex>

namespace fake_cuda {

namespace {

thread_local c10::DeviceIndex current = 0;
std::mutex mutex;

void fill_unwritten(char *from, size_t bytes)
{
  auto *words = reinterpret_cast<uint64_t *>(from);
  std::fill_n(words, bytes / sizeof(uint64_t), UNWRITTEN);
}

// First fit among free ranges; both blocks that are new and blocks that were given back hold UNWRITTEN.
class DeviceMemory : public c10::Allocator {
 public:
  static constexpr size_t SIZE = size_t(64) << 30, GRAIN = 512;    // address space, not memory

  DeviceMemory()
  {
    const int file = memfd_create("fake_cuda", MFD_CLOEXEC);
    if (file < 0 || ftruncate(file, SIZE) != 0) fail("cannot make a file in memory");
    device_ = map(file, PROT_NONE);
    host_ = map(file, PROT_READ | PROT_WRITE);
    free_[0] = SIZE;
  }

  bool owns(const void *p) const { return p >= device_ && p < device_ + SIZE; }
  bool owns_on_host(const void *p) const { return p >= host_ && p < host_ + SIZE; }
  int64_t bytes_behind(const void *p) const
  {
    const std::lock_guard<std::mutex> guard(mutex);
    const auto offset = static_cast<size_t>(static_cast<const char *>(p) - device_);
    auto block = used_.upper_bound(offset);
    if (block == used_.begin()) return 0;
    --block;
    const size_t end = block->first + block->second;
    return end > offset ? static_cast<int64_t>(end - offset) : 0;
  }
  void *on_host(void *p) const { return host_ + (static_cast<char *>(p) - device_); }

  c10::DataPtr allocate(size_t bytes) override
  {
    const c10::Device device(c10::kCUDA, current);
    if (bytes == 0) return {nullptr, nullptr, &give_back, device};
    const std::lock_guard<std::mutex> guard(mutex);
    const size_t size = (bytes + GRAIN - 1) / GRAIN * GRAIN;
    for (auto range = free_.begin(); range != free_.end(); ++range) {
      if (range->second < size) continue;
      const size_t offset = range->first, rest = range->second - size;
      free_.erase(range);
      if (rest) free_[offset + size] = rest;
      used_[offset] = size;
      fill_unwritten(host_ + offset, size);
      count_memory(static_cast<int64_t>(size));
      char *p = device_ + offset;
      return {p, p, &give_back, device};
    }
    TORCH_CHECK(false, "fake cuda: out of memory");
  }
  c10::DeleterFnPtr raw_deleter() const override { return &give_back; }
  void copy_data(void *to, const void *from, size_t bytes) const override
  {
    std::memcpy(reachable(to), reachable(const_cast<void *>(from)), bytes);
  }

 private:
  char *device_, *host_;
  std::map<size_t, size_t> free_, used_;    // offset: bytes

  static char *map(int file, int rights)
  {
    void *p = mmap(nullptr, SIZE, rights, MAP_SHARED | MAP_NORESERVE, file, 0);
    if (p == MAP_FAILED) fail("cannot map the memory of the device");
    return static_cast<char *>(p);
  }
  static void fail(const char *what)
  {
    std::perror(what);
    std::abort();
  }
  static void give_back(void *p);
};

DeviceMemory &memory()
{
  static auto *all = new DeviceMemory;    // lives as long as the last tensor
  return *all;
}

void DeviceMemory::give_back(void *p)
{
  if (!p) return;
  const std::lock_guard<std::mutex> guard(mutex);
  DeviceMemory &m = memory();
  const auto block = m.used_.find(static_cast<size_t>(static_cast<char *>(p) - m.device_));
  const auto [offset, size] = *block;
  m.used_.erase(block);
  fill_unwritten(m.host_ + offset, size);
  count_memory(-static_cast<int64_t>(size));
  auto here = m.free_.emplace(offset, size).first;
  const auto merge = [&](auto first, auto second) {
    if (first->first + first->second != second->first) return false;
    first->second += second->second;
    m.free_.erase(second);
    return true;
  };
  if (const auto next = std::next(here); next != m.free_.end()) merge(here, next);
  if (here != m.free_.begin()) merge(std::prev(here), here);
}

class PinnedMemory : public c10::Allocator {
 public:
  bool owns(const void *p)
  {
    const std::lock_guard<std::mutex> guard(mutex);
    auto block = blocks_.upper_bound(static_cast<const char *>(p));
    if (block == blocks_.begin()) return false;
    --block;
    return static_cast<const char *>(p) < block->first + block->second;
  }
  c10::DataPtr allocate(size_t bytes) override
  {
    if (bytes == 0) return {nullptr, nullptr, &give_back, c10::Device(c10::kCPU)};
    const size_t size = (bytes + 63) / 64 * 64;
    auto *p = static_cast<char *>(std::aligned_alloc(64, size));
    fill_unwritten(p, size);
    const std::lock_guard<std::mutex> guard(mutex);
    blocks_[p] = bytes;
    return {p, p, &give_back, c10::Device(c10::kCPU)};
  }
  c10::DeleterFnPtr raw_deleter() const override { return &give_back; }
  void copy_data(void *to, const void *from, size_t bytes) const override { std::memcpy(to, from, bytes); }

 private:
  std::map<const char *, size_t> blocks_;
  static void give_back(void *p);
};

PinnedMemory &pinned()
{
  static auto *all = new PinnedMemory;
  return *all;
}

void PinnedMemory::give_back(void *p)
{
  if (!p) return;
  const std::lock_guard<std::mutex> guard(mutex);
  pinned().blocks_.erase(static_cast<char *>(p));
  std::free(p);
}

}    // namespace

c10::Allocator *device_allocator() { return &memory(); }
c10::Allocator *pinned_allocator() { return &pinned(); }
bool is_device_memory(const void *address) { return memory().owns(address); }
bool is_pinned_memory(const void *address) { return pinned().owns(address); }
void *reachable(void *address) { return is_device_memory(address) ? memory().on_host(address) : address; }
bool is_reachable_device_memory(const void *address) { return memory().owns_on_host(address); }
int64_t bytes_behind(const void *address) { return memory().bytes_behind(address); }
c10::DeviceIndex current_device() { return current; }
void set_current_device(c10::DeviceIndex index)
{
  if (index >= 0) current = index;
}

}    // namespace fake_cuda

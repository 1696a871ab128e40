// How much memory is held when some work is done that was not held before.
#pragma once

#include <c10/core/Allocator.h>
#include <c10/util/ThreadLocalDebugInfo.h>

namespace les {

// Bytes that torch's allocators have given out and not got back in this thread since `MemoryUse` was made; it counts until its end. Not
// possible under a profiler of torch, which counts in the same place.
class MemoryUse {
 public:
  static bool possible() { return !c10::ThreadLocalDebugInfo::get(c10::DebugInfoKind::PROFILER_STATE); }
  double bytes() const { return counter_->bytes; }

 private:
  struct Counter : c10::MemoryReportingInfoBase {
    double bytes = 0.0;
    void reportMemoryUsage(void *, int64_t size, size_t, size_t, c10::Device) override
    {
      bytes += static_cast<double>(size);
    }
    bool memoryProfilingEnabled() const override { return true; }
  };
  std::shared_ptr<Counter> counter_ = std::make_shared<Counter>();
  c10::DebugInfoGuard guard_{c10::DebugInfoKind::PROFILER_STATE, counter_};
};

}    // namespace les

// A CUDA device that is not there, for builds of torch without CUDA: preload the library, and `device cuda` works.
//
// It is registered where torch looks for the real one. Loaded before torch first asks (LD_PRELOAD does that), unmodified programs use
// it. It shows tensors of two devices in one operation, host access to device memory and reads of unwritten memory, and counts
// operations, transfers and host waits. It cannot show what needs time to pass: races between streams, or a copy that is
// read before it has arrived; nor what a GPU's libraries can and cannot do, nor speed.
//
//   FAKE_CUDA_DEVICES    how many there are; default 1
//   FAKE_CUDA_FAILS      an operation and a rank, where it fails as if no memory were left: aten::mm@1
//   FAKE_CUDA_REPORT, FAKE_CUDA_STAGE    see counts.h

#include "counts.h"
#include "memory.h"

#include <ATen/detail/CUDAHooksInterface.h>
#include <c10/core/impl/DeviceGuardImplInterface.h>

#include <execinfo.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>
#include <cstring>

namespace fake_cuda {

namespace {

c10::DeviceIndex device_count()
{
  const char *count = std::getenv("FAKE_CUDA_DEVICES");
  return static_cast<c10::DeviceIndex>(count ? std::atoi(count) : 1);
}

c10::Device device_or_current(c10::Device d) { return {c10::kCUDA, d.index() >= 0 ? d.index() : current_device()}; }

// Everything runs at once on the one stream of a device.
struct Guard : public c10::impl::DeviceGuardImplInterface {
  c10::DeviceType type() const override { return c10::kCUDA; }
  c10::Device getDevice() const override { return {c10::kCUDA, current_device()}; }
  c10::Device exchangeDevice(c10::Device d) const override
  {
    const c10::Device before = getDevice();
    set_current_device(d.index());
    return before;
  }
  void setDevice(c10::Device d) const override
  {
    TORCH_CHECK(d.index() < deviceCount(), "fake cuda: there is no device ", d);
    set_current_device(d.index());
  }
  void uncheckedSetDevice(c10::Device d) const noexcept override { set_current_device(d.index()); }
  c10::DeviceIndex deviceCount() const noexcept override { return device_count(); }

  c10::Stream getStream(c10::Device d) const noexcept override
  {
    return c10::Stream(c10::Stream::DEFAULT, device_or_current(d));
  }
  c10::Stream getDefaultStream(c10::Device d) const override { return getStream(d); }
  c10::Stream getNewStream(c10::Device d, int) const override { return getStream(d); }
  c10::Stream exchangeStream(c10::Stream s) const noexcept override { return getStream(s.device()); }
  bool queryStream(const c10::Stream &) const override { return true; }
  void synchronizeStream(const c10::Stream &) const override { count_wait("synchronize a stream"); }
  void recordDataPtrOnStream(const c10::DataPtr &, const c10::Stream &) const override {}

  void record(void **, const c10::Stream &, const c10::DeviceIndex, const c10::EventFlag) const override {}
  void block(void *, const c10::Stream &) const override {}
  bool queryEvent(void *) const override { return true; }
  void destroyEvent(void *, const c10::DeviceIndex) const noexcept override {}
};
C10_REGISTER_GUARD_IMPL(CUDA, Guard);

struct Hooks : public at::CUDAHooksInterface {
  explicit Hooks(at::CUDAHooksArgs) {}
  void init() const override {}
  bool isBuilt() const override { return true; }
  bool isAvailable() const override { return device_count() > 0; }
  bool hasCUDA() const override { return device_count() > 0; }
  bool hasCUDART() const override { return true; }
  bool hasPrimaryContext(c10::DeviceIndex) const override { return true; }
  c10::DeviceIndex deviceCount() const override { return device_count(); }
  int getNumGPUs() const override { return device_count(); }
  c10::DeviceIndex current_device() const override { return fake_cuda::current_device(); }
  c10::DeviceIndex getCurrentDevice() const override { return fake_cuda::current_device(); }
  void setCurrentDevice(c10::DeviceIndex d) const override { set_current_device(d); }
  bool isPinnedPtr(const void *p) const override { return is_pinned_memory(p); }
  c10::Device getDeviceFromPtr(void *p) const override
  {
    TORCH_CHECK(is_device_memory(p), "fake cuda: not an address of the device");
    return {c10::kCUDA, fake_cuda::current_device()};
  }
  c10::Allocator *getPinnedMemoryAllocator() const override { return pinned_allocator(); }
  void deviceSynchronize(c10::DeviceIndex) const override { count_wait("synchronize the device"); }
};

// Where the host touches device memory: say so, with a stack, and die.
void on_fault(int signal, siginfo_t *info, void *)
{
  if (is_device_memory(info->si_addr)) {
    const auto say = [](const char *text) { (void) !::write(STDERR_FILENO, text, std::strlen(text)); };
    say("\nfake cuda: the host touched device memory; the last operation on the device was ");
    say(last_operation());
    say("\n");
    void *frames[40];
    backtrace_symbols_fd(frames, backtrace(frames, 40), STDERR_FILENO);
  }
  std::signal(signal, SIG_DFL);
  std::raise(signal);
}

const bool started = [] {
  c10::SetAllocator(c10::kCUDA, device_allocator());
  struct sigaction action{};
  action.sa_sigaction = on_fault;
  action.sa_flags = SA_SIGINFO;
  sigaction(SIGSEGV, &action, nullptr);
  return true;
}();

}    // namespace

}    // namespace fake_cuda

namespace at {
using CUDAHooks = fake_cuda::Hooks;    // the name under which torch looks for them
REGISTER_CUDA_HOOKS(CUDAHooks)
}    // namespace at

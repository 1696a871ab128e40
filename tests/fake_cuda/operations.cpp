// Operations on tensors of the device: checked, counted, and run on the CPU over the same memory.

#include "counts.h"
#include "memory.h"
#include "words.h"

#include <ATen/ATen.h>
#include <ATen/EmptyTensor.h>
#include <ATen/core/dispatch/Dispatcher.h>
#include <ATen/native/Resize.h>
#include <ATen/ops/_reshape_alias_native.h>
#include <ATen/ops/as_strided_native.h>
#include <ATen/ops/unfold_native.h>
#include <ATen/ops/view_native.h>
#include <torch/library.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <set>

namespace fake_cuda {

namespace {

using at::Tensor;
using c10::IValue;

const c10::DispatchKeySet CPU_KEYS(c10::DispatchKey::CPU), CUDA_KEYS(c10::DispatchKey::CUDA);

// The host needs the result, or how much of it there is, before it can go on.
const std::set<std::string> WAITS{"aten::_local_scalar_dense",
                                  "aten::bincount",
                                  "aten::equal",
                                  "aten::is_nonzero",
                                  "aten::linalg_eig",
                                  "aten::masked_select",
                                  "aten::nonzero",
                                  "aten::repeat_interleave.Tensor",
                                  "aten::_unique2",
                                  "aten::unique_dim"};
// Arguments may be indices on the host: torch brings them to the device.
const std::set<std::string> HOST_INDICES{"aten::index.Tensor", "aten::index.Tensor_out", "aten::_index_put_impl_",
                                         "aten::index_put_"};
// They write to their first argument without reading it, or to a part of it.
const std::set<std::string> WRITERS{"aten::copy_",
                                    "aten::fill_.Scalar",
                                    "aten::fill_.Tensor",
                                    "aten::zero_",
                                    "aten::resize_",
                                    "aten::set_",
                                    "aten::index_copy_",
                                    "aten::index_fill_.int_Scalar",
                                    "aten::index_fill_.int_Tensor",
                                    "aten::_index_put_impl_",
                                    "aten::index_put_",
                                    "aten::masked_fill_.Scalar",
                                    "aten::masked_fill_.Tensor",
                                    "aten::scatter_.src",
                                    "aten::scatter_.value",
                                    "aten::uniform_",
                                    "aten::normal_"};

// Also on the screen: who catches the exception may print no more than a part of it.
void refuse(const std::string &what)
{
  std::fprintf(stderr, "fake cuda: %s\n", what.c_str());
  TORCH_CHECK(false, "fake cuda: ", what);
}

// ---- the same memory, seen from the host and from the device

Tensor on_host(const Tensor &t)
{
  if (!t.defined() || !t.is_cuda()) return t;
  const auto &storage = t.storage();
  at::DataPtr data(reachable(storage.data_ptr().get()), c10::kCPU);
  c10::Storage same(c10::Storage::use_byte_size_t(), storage.nbytes(), std::move(data), c10::GetCPUAllocator(), true);
  Tensor out = at::detail::make_tensor<c10::TensorImpl>(std::move(same), CPU_KEYS, t.dtype());
  out.unsafeGetTensorImpl()->set_sizes_and_strides(t.sizes(), t.strides(), t.storage_offset());
  if (t.is_conj()) out._set_conj(true);
  if (t.is_neg()) out._set_neg(true);
  return out;
}

// A view of `base`, as `host` is a view of on_host(base).
Tensor same_view(const Tensor &base, const Tensor &host)
{
  Tensor out = at::detail::make_tensor<c10::TensorImpl>(c10::Storage(base.storage()), CUDA_KEYS, host.dtype());
  out.unsafeGetTensorImpl()->set_sizes_and_strides(host.sizes(), host.strides(), host.storage_offset());
  if (host.is_conj()) out._set_conj(true);
  if (host.is_neg()) out._set_neg(true);
  return out;
}

class OnDevice {    // what is allocated meanwhile belongs to it
 public:
  explicit OnDevice(c10::Device device) : before_(current_device()) { set_current_device(device.index()); }
  ~OnDevice() { set_current_device(before_); }

 private:
  c10::DeviceIndex before_;
};

Tensor empty_on(c10::Device device, at::IntArrayRef size, at::IntArrayRef stride, at::ScalarType type)
{
  const OnDevice guard(device);
  return at::detail::empty_strided_generic(size, stride, device_allocator(), CUDA_KEYS, type);
}

Tensor moved_to(c10::Device device, const Tensor &host)
{
  Tensor out = empty_on(device, host.sizes(), host.strides(), host.scalar_type());
  on_host(out).copy_(host);
  return out;
}

// ---- unwritten memory

template <class T> bool any_unwritten(const Tensor &host)
{
  const T *values = static_cast<const T *>(host.data_ptr());
  const int64_t count = static_cast<int64_t>(host.nbytes() / sizeof(T));
  return std::find(values, values + count, static_cast<T>(UNWRITTEN)) != values + count;
}

bool holds_unwritten(const Tensor &t)
{
  if (!t.defined() || !t.is_cuda() || t.numel() == 0) return false;
  Tensor host = on_host(t);
  for (int64_t d = host.dim(); d-- > 0;)
    if (host.stride(d) == 0) host = host.select(d, 0);
  host = host.contiguous();
  const size_t word = host.is_complex() ? host.element_size() / 2 : host.element_size();
  if (host.scalar_type() == at::kBool) {
    const auto *values = static_cast<const uint8_t *>(host.data_ptr());
    return std::any_of(values, values + host.numel(), [](uint8_t v) { return v > 1; });
  }
  return word == 8 ? any_unwritten<uint64_t>(host) : word == 4 ? any_unwritten<uint32_t>(host) : false;
}

// ---- any operation

// Of beta self + ...: BLAS does not look at what it multiplies by 0.
bool has_no_beta(const c10::FunctionSchema &schema, c10::ArrayRef<IValue> arguments)
{
  for (size_t a = 0; a < arguments.size(); a++)
    if (schema.arguments()[a].name() == "beta") return arguments[a].toScalar().equal(0);
  return false;
}

struct Call {
  std::string name;
  std::vector<Tensor> tensors, read;    // of its arguments
  std::optional<c10::Device> device;

  Call(const c10::FunctionSchema &schema, c10::ArrayRef<IValue> arguments)
  {
    name = schema.name() + (schema.overload_name().empty() ? "" : "." + schema.overload_name());
    for (size_t a = 0; a < arguments.size(); a++) {
      const auto &argument = schema.arguments()[a];
      const bool writes = argument.alias_info() && argument.alias_info()->isWrite();
      const bool unread = writes ? argument.kwarg_only() || WRITERS.count(name)
                                 : a == 0 && has_no_beta(schema, arguments);
      const auto see = [&](const Tensor &t) {
        if (!t.defined()) return;
        tensors.push_back(t);
        if (!unread) read.push_back(t);
        if (t.is_cuda() && !device) device = t.device();
      };
      const IValue &value = arguments[a];
      if (value.isTensor()) see(value.toTensor());
      else if (value.isList() || value.isTensorList()) {
        for (const IValue &element : value.toList())
          if (element.isTensor()) see(element.toTensor());
      } else if (value.isDevice() && value.toDevice().is_cuda() && !device) device = value.toDevice();
    }
    if (!device || device->index() < 0) device = c10::Device(c10::kCUDA, current_device());
  }

  // 0-dimensional tensors of the host go as numbers, as in CUDA.
  void check_devices() const
  {
    for (const Tensor &t : tensors) {
      if (t.is_cpu() ? t.dim() == 0 : t.device() == *device) continue;
      if (!t.is_cpu() || !HOST_INDICES.count(name))
        refuse("tensors of two devices in one operation: " + describe(name, tensors));
      count_transfer("index to device, pageable", static_cast<int64_t>(t.nbytes()));
      count_wait("copy of an index to the device: " + describe(t));
    }
  }
  void check_written() const
  {
    for (const Tensor &t : read)
      if (holds_unwritten(t)) refuse("memory that nobody has written is read by " + describe(name, tensors));
  }
  // For an operation that the environment names, all overloads, on one MPI rank: 'aten::mm@1'.
  void fail_on_demand() const
  {
    const char *fails = std::getenv("FAKE_CUDA_FAILS"), *rank = std::getenv("PMI_RANK");
    if (fails && name.substr(0, name.find('.')) + "@" + (rank ? rank : "0") == fails)
      refuse("no memory is left for " + describe(name, tensors));
  }
  void count(int64_t result_bytes) const
  {
    int64_t bytes = result_bytes;
    for (const Tensor &t : tensors) bytes += static_cast<int64_t>(t.nbytes());
    count_operation(name, bytes);
    bool waits = WAITS.count(name) > 0;
    if (HOST_INDICES.count(name))    // masks become lists of indices
      for (size_t t = 1; t < tensors.size(); t++)
        waits |= tensors[t].scalar_type() == at::kBool && tensors[t].is_cuda();
    if (waits) count_wait(describe(name, tensors));
    if (name == "aten::_local_scalar_dense") count_transfer("to host, pageable", tensors[0].element_size());
  }
};

// Arguments for the CPU.
IValue on_host(const IValue &value)
{
  if (value.isTensor()) return on_host(value.toTensor());
  if (value.isDevice()) return c10::Device(c10::kCPU);
  if (value.isTensorList()) {
    std::vector<Tensor> hosts;
    for (const Tensor &t : value.toTensorVector()) hosts.push_back(on_host(t));
    return hosts;
  }
  if (value.isList() && value.toList().elementType()->kind() == c10::OptionalType::Kind) {    // of indices
    c10::List<std::optional<Tensor>> hosts;
    for (const IValue &element : value.toList())
      hosts.push_back(element.isTensor() ? std::optional<Tensor>(on_host(element.toTensor())) : std::nullopt);
    return hosts;
  }
  return value;
}

void run(const c10::OperatorHandle &op, torch::jit::Stack *stack)
{
  const auto &schema = op.schema();
  const size_t n_arguments = schema.arguments().size(), n_results = schema.returns().size();
  const std::vector<IValue> given(stack->end() - static_cast<std::ptrdiff_t>(n_arguments), stack->end());
  const Call call(schema, given);
  // views are made on the host and read nothing
  const auto *alias = n_results ? schema.returns()[0].alias_info() : nullptr;
  const bool is_view = alias && !alias->isWrite();
  set_last_operation(describe(call.name, call.tensors));
  if (!is_view) {
    call.check_devices();
    call.check_written();
    call.fail_on_demand();
  }

  std::vector<IValue> hosts;
  for (const IValue &value : given) hosts.push_back(on_host(value));
  torch::jit::drop(*stack, n_arguments);
  for (const IValue &value : hosts) stack->push_back(value);
  op.callBoxed(stack);

  // arguments that were written to: some have been given another size
  std::vector<std::pair<Tensor, Tensor>> written;    // on the host, on the device
  for (size_t a = 0; a < n_arguments; a++) {
    const auto *info = schema.arguments()[a].alias_info();
    if (!info || !info->isWrite() || !given[a].isTensor()) continue;
    const Tensor host = hosts[a].toTensor(), device = given[a].toTensor();
    written.emplace_back(host, device);
    const bool moved = host.numel() && host.storage().data_ptr().get() != reachable(device.storage().data_ptr().get());
    if (!moved && host.sizes() == device.sizes() && host.strides() == device.strides()) continue;
    const Tensor fresh = moved_to(*call.device, host);
    device.unsafeGetTensorImpl()->set_storage_keep_dtype(fresh.storage());
    device.unsafeGetTensorImpl()->set_sizes_and_strides(fresh.sizes(), fresh.strides(), 0);
  }
  int64_t result_bytes = 0;
  const auto back = [&](const Tensor &host) -> Tensor {
    if (!host.defined()) return host;
    for (const auto &[on_host, on_device] : written)
      if (host.is_same(on_host)) return on_device;
    const void *data = host.storage().data_ptr().get();
    if (host.numel() && is_reachable_device_memory(data))
      for (const Tensor &t : call.tensors)
        if (t.is_cuda() && reachable(t.storage().data_ptr().get()) == data) return same_view(t, host);
    result_bytes += static_cast<int64_t>(host.nbytes());
    return moved_to(*call.device, host);
  };
  for (auto result = stack->end() - static_cast<std::ptrdiff_t>(n_results); result != stack->end(); ++result) {
    if (result->isTensor()) *result = back(result->toTensor());
    else if (result->isTensorList()) {
      std::vector<Tensor> all;
      for (const Tensor &t : result->toTensorVector()) all.push_back(back(t));
      *result = all;
    }
  }
  if (!is_view) call.count(result_bytes);
}

// ---- operations that make tensors or copy between devices

c10::Device device_of(std::optional<at::Device> device)
{
  return device && device->index() >= 0 ? *device : c10::Device(c10::kCUDA, current_device());
}

Tensor empty(c10::SymIntArrayRef size, std::optional<at::ScalarType> type, std::optional<at::Layout>,
             std::optional<at::Device> device, std::optional<bool>, std::optional<at::MemoryFormat> format)
{
  const OnDevice guard(device_of(device));
  return at::detail::empty_generic(C10_AS_INTARRAYREF_SLOW(size), device_allocator(), CUDA_KEYS,
                                   type.value_or(c10::get_default_dtype_as_scalartype()), format);
}

Tensor empty_strided(c10::SymIntArrayRef size, c10::SymIntArrayRef stride, std::optional<at::ScalarType> type,
                     std::optional<at::Layout>, std::optional<at::Device> device, std::optional<bool>)
{
  return empty_on(device_of(device), C10_AS_INTARRAYREF_SLOW(size), C10_AS_INTARRAYREF_SLOW(stride),
                  type.value_or(c10::get_default_dtype_as_scalartype()));
}

const Tensor &resize_(const Tensor &self, c10::SymIntArrayRef symbolic_size, std::optional<at::MemoryFormat>)
{
  const auto size = C10_AS_INTARRAYREF_SLOW(symbolic_size);
  const Tensor fresh = empty_on(self.device(), size, at::detail::defaultStrides(size), self.scalar_type());
  auto *impl = self.unsafeGetTensorImpl();
  if (self.storage().nbytes() < fresh.nbytes() + impl->storage_offset() * self.element_size()) {
    on_host(fresh).view(-1).narrow(0, 0, self.numel()).copy_(on_host(self).reshape(-1));
    impl->set_storage_keep_dtype(fresh.storage());
    impl->set_storage_offset(0);
  }
  impl->set_sizes_contiguous(size);
  return self;
}

// A transfer waits unless it was told not to and the host's side is pinned.
void count_copy(const Tensor &to, const Tensor &from, bool non_blocking)
{
  const int64_t bytes = static_cast<int64_t>(from.numel() * to.element_size());
  if (to.is_cuda() && from.is_cuda()) {
    count_operation("copy on the device", 2 * bytes);
    return;
  }
  const Tensor &host = to.is_cuda() ? from : to;
  const bool pinned = host.numel() && is_pinned_memory(host.data_ptr());
  const std::string kind = std::string(to.is_cuda() ? "to device, " : "to host, ") + (pinned ? "pinned" : "pageable");
  count_transfer(kind, bytes);
  if (to.scalar_type() != from.scalar_type() || !to.is_contiguous() || !from.is_contiguous())
    count_operation("conversion beside a transfer", 2 * bytes);
  if (!(pinned && non_blocking)) count_wait("copy " + kind + ": " + describe(from));
}

Tensor &copy_(Tensor &self, const Tensor &source, bool non_blocking)
{
  set_last_operation(describe("copy_", {self, source}));
  if (holds_unwritten(source)) refuse("memory that nobody has written is read by " + describe("copy_", {self, source}));
  if (self.is_cuda() && source.is_cuda() && self.device() != source.device())
    refuse("copy from device to device: " + describe("copy_", {self, source}));
  count_copy(self, source, non_blocking);
  on_host(self).copy_(on_host(source));
  return self;
}

Tensor view(const Tensor &self, c10::SymIntArrayRef size)
{
  return at::native::view(self, C10_AS_INTARRAYREF_SLOW(size));
}

Tensor as_strided(const Tensor &self, c10::SymIntArrayRef size, c10::SymIntArrayRef stride,
                  std::optional<c10::SymInt> offset)
{
  return at::native::as_strided_tensorimpl(self, C10_AS_INTARRAYREF_SLOW(size), C10_AS_INTARRAYREF_SLOW(stride),
                                           offset ? std::optional<int64_t>(offset->expect_int()) : std::nullopt);
}

Tensor reshape_alias(const Tensor &self, c10::SymIntArrayRef size, c10::SymIntArrayRef stride)
{
  return at::native::_reshape_alias(self, C10_AS_INTARRAYREF_SLOW(size), C10_AS_INTARRAYREF_SLOW(stride));
}

TORCH_LIBRARY_IMPL(_, CUDA, all) { all.fallback(torch::CppFunction::makeFromBoxedFunction<&run>()); }
TORCH_LIBRARY_IMPL(aten, CUDA, aten)
{
  aten.impl("empty.memory_format", empty);
  aten.impl("empty_strided", empty_strided);
  aten.impl("resize_", resize_);
  aten.impl("copy_", copy_);
  aten.impl("view", view);
  aten.impl("as_strided", as_strided);
  aten.impl("_reshape_alias", reshape_alias);
  aten.impl("unfold", at::native::unfold);
}

}    // namespace

}    // namespace fake_cuda

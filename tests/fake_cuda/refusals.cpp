// torch itself refuses most operations on tensors of two devices, before they reach the device, and does not say which: this does.

#include "words.h"

#include <ATen/record_function.h>

#include <cstdio>
#include <exception>

namespace fake_cuda {

namespace {

struct MixedCall : public at::ObserverContext {
  std::string what;
};

std::unique_ptr<at::ObserverContext> begin(const at::RecordFunction &call)
{
  std::vector<at::Tensor> tensors;
  bool mixed_devices = false;
  for (const c10::IValue &input : call.inputs()) {
    if (!input.isTensor() || !input.toTensor().defined()) continue;
    tensors.push_back(input.toTensor());
    mixed_devices |= tensors.back().device() != tensors.front().device();
  }
  if (!mixed_devices) return nullptr;
  auto mixed = std::make_unique<MixedCall>();
  mixed->what = describe(call.name(), tensors);
  return mixed;
}

void end(const at::RecordFunction &, at::ObserverContext *context)
{
  if (context && std::uncaught_exceptions() > 0)
    std::fprintf(stderr, "fake cuda: refused, tensors of two devices: %s\n",
                 static_cast<MixedCall *>(context)->what.c_str());
}

const auto watched = at::addGlobalCallback(
    at::RecordFunctionCallback(&begin, &end).needsInputs(true).scopes({at::RecordScope::FUNCTION}));

}    // namespace

}    // namespace fake_cuda

#include "native_network.h"
#include "scripted_network.h"

namespace les {

std::unique_ptr<Network> load_network(const std::string &path, const std::string &bytes, torch::Device device,
                                      NetworkChoice choice)
{
  const ModelFile file(path, bytes);
  if (choice == NetworkChoice::Script) return load_scripted(file, device, "");
  std::string why = "there are none for a GPU";
  if (device.is_cpu()) {
    try {
      return load_native(file);
    } catch (const NotCovered &e) {
      why = e.what();
    }
  }
  if (choice == NetworkChoice::Native)
    throw ModelFileError("model file " + path + " cannot be evaluated by native kernels: " + why +
                         "; take 'network auto' or 'network script'");
  return load_scripted(file, device, "of native kernels, " + why);
}

}    // namespace les

// What the pickles of a TorchScript archive say of its module and of tensors, without torch: data.pkl and constants.pkl.
#pragma once

#include "archive.h"

#include <memory>
#include <optional>
#include <vector>

namespace les {

class Pickle {
 public:
  struct Tensor {
    std::string type;                       // "float32"
    std::vector<int64_t> sizes, strides;    // strides in elements
    std::string_view storage;               // bytes from its first element on

    // Bytes of the elements in row-major order. None where they do not lie so.
    std::optional<std::string_view> contiguous() const;
  };

  // Of the record `name`.pkl, whose tensors lie in the folder `name`. Throws ModelFileError where it is not as TorchScript writes it, and
  // where a tensor is not within its storage, or a storage is not what its record holds.
  Pickle(const Archive &archive, const std::string &name);
  ~Pickle();

  // Of a module: a tensor by the name that torch gives it, and attributes of the module itself. None where it does not have it.
  const Tensor *tensor(const std::string &name) const;
  std::optional<std::string> text(const std::string &attribute) const;
  std::optional<std::map<std::string, int64_t>> numbers(const std::string &attribute) const;

 private:
  struct Node;
  class Reader;
  std::vector<std::unique_ptr<Node>> nodes_;    // all; they point to each other
  const Node *root_ = nullptr;

  static const Node *find(const Node *module, const std::string &attribute);
};

}    // namespace les

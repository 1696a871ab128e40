#include "pickle.h"

#include <algorithm>

namespace les {

// A value of the pickle, as far as it matters.
struct Pickle::Node {
  enum Kind { Other, Mark, Integer, Text, Global, Sequence, Pairs, Object, Storage, OneTensor } kind = Other;
  int64_t integer = 0;                // also elements of a storage
  std::string text;                   // also "module name" of a global, and type of the elements of a storage
  std::vector<const Node *> items;    // keys and values in turn of Pairs, and of the attributes of an object
  Tensor tensor;
  std::string_view bytes;    // of a storage
  int depth = 0;
};

namespace {

struct ElementType {
  const char *storage, *name;
  int64_t size;
};

constexpr ElementType ELEMENT_TYPES[] = {{"DoubleStorage", "float64", 8},
                                         {"FloatStorage", "float32", 4},
                                         {"HalfStorage", "float16", 2},
                                         {"BFloat16Storage", "bfloat16", 2},
                                         {"LongStorage", "int64", 8},
                                         {"IntStorage", "int32", 4},
                                         {"ShortStorage", "int16", 2},
                                         {"CharStorage", "int8", 1},
                                         {"ByteStorage", "uint8", 1},
                                         {"BoolStorage", "bool", 1},
                                         {"ComplexFloatStorage", "complex64", 8},
                                         {"ComplexDoubleStorage", "complex128", 16}};

const ElementType *element_type(const std::string &name, bool of_storage)
{
  for (const ElementType &type : ELEMENT_TYPES)
    if (name == (of_storage ? std::string("torch ") + type.storage : type.name)) return &type;
  return nullptr;
}

constexpr int MOST_NESTED = 200;
constexpr int64_t MOST_ELEMENTS = int64_t{1} << 31;    // products of two stay below 2^63

}    // namespace

// The machine that a pickle is a program for: a stack, and values kept by number.
class Pickle::Reader {
 public:
  Reader(Pickle &pickle, const Archive &archive, const std::string &name) :
      pickle_(pickle), archive_(archive), name_(name), bytes_(archive.read(name + ".pkl"))
  {
    while (step()) {
    }
    pickle_.root_ = top();
    require(stack_.size() == 1, "leaves more than one value");
  }

 private:
  Pickle &pickle_;
  const Archive &archive_;
  const std::string name_;
  const std::string_view bytes_;
  size_t at_ = 0, items_ = 0;    // items: of all containers
  std::vector<Node *> stack_;
  std::map<uint32_t, Node *> memo_;

  void require(bool holds, const std::string &what) const
  {
    if (!holds) archive_.refuse("is damaged: its record '" + name_ + ".pkl' " + what);
  }

  std::string_view take(size_t count)
  {
    require(bytes_.size() - at_ >= count, "is cut off");
    at_ += count;
    return bytes_.substr(at_ - count, count);
  }
  uint32_t take_number(size_t bytes)
  {
    uint32_t value = 0;
    for (size_t n = 0; n < bytes; n++)
      value |= static_cast<uint32_t>(static_cast<unsigned char>(take(1)[0])) << (8 * n);
    return value;
  }
  std::string take_line()
  {
    const size_t end = bytes_.find('\n', at_);
    require(end != std::string_view::npos, "is cut off");
    const std::string line(take(end - at_));
    at_++;
    return line;
  }

  Node *push(Node::Kind kind)
  {
    stack_.push_back(pickle_.nodes_.emplace_back(std::make_unique<Node>()).get());
    stack_.back()->kind = kind;
    return stack_.back();
  }
  void push_integer(int64_t value) { push(Node::Integer)->integer = value; }
  Node *top()
  {
    require(!stack_.empty() && stack_.back()->kind != Node::Mark, "takes a value where there is none");
    return stack_.back();
  }
  Node *pop()
  {
    Node *const value = top();
    stack_.pop_back();
    return value;
  }
  Node *pop(Node::Kind kind, const char *what)
  {
    Node *const value = pop();
    require(value->kind == kind, std::string("lacks ") + what);
    return value;
  }
  void put_into(Node *container, const Node *item)
  {
    require(++items_ <= 4 * bytes_.size(), "has more values than instructions");
    container->items.push_back(item);
    container->depth = std::max(container->depth, item->depth + 1);
    require(container->depth < MOST_NESTED, "is nested too deeply");
  }
  std::vector<Node *> pop_to_mark()
  {
    size_t n = stack_.size();
    while (n > 0 && stack_[n - 1]->kind != Node::Mark) n--;
    require(n > 0, "takes values where there are none");
    std::vector<Node *> found(stack_.begin() + static_cast<std::ptrdiff_t>(n), stack_.end());
    stack_.resize(n - 1);
    return found;
  }
  void push_tuple(const std::vector<Node *> &items)
  {
    Node *const tuple = push(Node::Sequence);
    for (const Node *item : items) put_into(tuple, item);
  }

  // Carries one instruction out. False: the last.
  bool step()
  {
    const char code = take(1)[0];
    switch (code) {
    case '\x80': require(take(1)[0] == 2, "is of an unknown protocol"); break;
    case '.': return false;
    case '(': push(Node::Mark); break;
    case 'N':
    case '\x88':
    case '\x89': push(Node::Other); break;
    case 'G':
      take(8);
      push(Node::Other);
      break;
    case 'K': push_integer(take_number(1)); break;
    case 'M': push_integer(take_number(2)); break;
    case 'J': push_integer(static_cast<int32_t>(take_number(4))); break;
    case '\x8a': {    // torch always writes eight bytes
      require(take(1)[0] == 8, "holds an integer of another length");
      const uint64_t low = take_number(4), high = take_number(4);
      push_integer(static_cast<int64_t>(low | high << 32));
      break;
    }
    case 'X': {
      const uint32_t length = take_number(4);
      const std::string_view text = take(length);
      push(Node::Text)->text = text;
      break;
    }
    case 'c': {
      const std::string module = take_line(), name = take_line();
      push(Node::Global)->text = module + " " + name;
      break;
    }
    case ')': push(Node::Sequence); break;
    case '\x85': push_tuple({pop()}); break;
    case '\x86':
    case '\x87': {
      std::vector<Node *> items(code == '\x86' ? 2 : 3);
      for (size_t n = items.size(); n-- > 0;) items[n] = pop();
      push_tuple(items);
      break;
    }
    case 't': push_tuple(pop_to_mark()); break;
    case ']': push(Node::Sequence); break;
    case '}': push(Node::Pairs); break;
    case 'a': {
      const Node *const item = pop();
      put_into(top(), item);
      break;
    }
    case 'e':
    case 'u': {
      const std::vector<Node *> items = pop_to_mark();
      Node *const container = top();
      require(container->kind == (code == 'e' ? Node::Sequence : Node::Pairs) && (code == 'e' || items.size() % 2 == 0),
              "fills what is no list or dictionary");
      for (const Node *item : items) put_into(container, item);
      break;
    }
    case '\x81':
      pop();
      pop(Node::Global, "the class of an object");
      push(Node::Object);
      break;
    case 'b': {
      const Node *const state = pop();
      require(state != top(), "makes a value of itself");
      for (const Node *item : state->items) put_into(top(), item);
      if (state->kind == Node::Pairs) top()->kind = Node::Object;
      break;
    }
    case 'R': reduce(); break;
    case 'Q': persistent(); break;
    case 'q':
    case 'r': memo_[take_number(code == 'q' ? 1 : 4)] = top(); break;
    case 'h':
    case 'j': {
      const auto kept = memo_.find(take_number(code == 'h' ? 1 : 4));
      require(kept != memo_.end(), "asks for a value that it did not keep");
      stack_.push_back(kept->second);
      break;
    }
    default: require(false, "holds an instruction that TorchScript does not write");
    }
    return true;
  }

  // ('storage', type, key, device, elements) stands for a record.
  void persistent()
  {
    const Node *const id = pop(Node::Sequence, "a storage");
    const auto is = [&](size_t n, Node::Kind kind) { return id->items[n]->kind == kind; };
    require(id->items.size() == 5 && is(0, Node::Text) && id->items[0]->text == "storage" && is(1, Node::Global) &&
                is(2, Node::Text) && is(3, Node::Text) && is(4, Node::Integer),
            "names a storage in an unknown way");
    const std::string key = name_ + "/" + id->items[2]->text;
    const ElementType *const type = element_type(id->items[1]->text, true);
    const int64_t count = id->items[4]->integer;
    require(type, "has a storage of an unknown type");
    require(count >= 0 && count < MOST_ELEMENTS, "has a storage of an impossible size");
    Node *const storage = push(Node::Storage);
    storage->text = type->name;
    storage->integer = count;
    if (count == 0) return;    // torch reads no record
    storage->bytes = archive_.read(key);
    const size_t expected = static_cast<size_t>(count) * static_cast<size_t>(type->size);
    if (storage->bytes.size() != expected)
      archive_.refuse("is damaged: its record '" + key + "' has " + std::to_string(storage->bytes.size()) +
                      " bytes, where its tensors need " + std::to_string(expected));
  }

  void reduce()
  {
    const Node *const arguments = pop(Node::Sequence, "arguments");
    const Node *const function = pop(Node::Global, "a function");
    const std::string &name = function->text;
    if (name == "torch._utils _rebuild_tensor_v2") return rebuild(*arguments);
    if (name.rfind("torch.jit._pickle ", 0) == 0 && name != "torch.jit._pickle build_tensor_from_id") {
      require(!arguments->items.empty(), "lacks arguments");
      stack_.push_back(const_cast<Node *>(arguments->items[0]));    // a list or dictionary, with its type
      return;
    }
    require(name.rfind("torch", 0) != 0 || name == "torch device",
            "holds a value of a kind that this lammps-les does not read (" + one_line(name) + ")");
    for (const Node *item : arguments->items)
      require(item->kind != Node::Storage, "makes something else than a tensor of a storage");
    push(Node::Other);
  }

  // storage, offset, sizes, strides, ...
  void rebuild(const Node &arguments)
  {
    const auto &items = arguments.items;
    require(items.size() >= 4 && items[0]->kind == Node::Storage && items[1]->kind == Node::Integer &&
                items[2]->kind == Node::Sequence && items[3]->kind == Node::Sequence &&
                items[2]->items.size() == items[3]->items.size(),
            "describes a tensor in an unknown way");
    const Node &storage = *items[0];
    Tensor tensor;
    tensor.type = storage.text;
    int64_t reach = items[1]->integer, elements = 1;    // of the last element
    bool inside = reach >= 0 && reach <= storage.integer;
    for (size_t n = 0; n < items[2]->items.size(); n++) {
      const Node &size = *items[2]->items[n], &stride = *items[3]->items[n];
      require(size.kind == Node::Integer && stride.kind == Node::Integer, "describes a tensor in an unknown way");
      inside = inside && size.integer >= 0 && size.integer < MOST_ELEMENTS && stride.integer >= 0 &&
               stride.integer < MOST_ELEMENTS;
      if (!inside) break;
      tensor.sizes.push_back(size.integer);
      tensor.strides.push_back(stride.integer);
      elements = size.integer == 0 ? 0 : std::min(elements, storage.integer) * size.integer;
      if (size.integer > 0) reach = std::min(reach + (size.integer - 1) * stride.integer, MOST_ELEMENTS);
    }
    inside = inside && (elements == 0 || reach < storage.integer);
    require(inside, "has a tensor that reaches beyond its storage");
    const size_t skipped = static_cast<size_t>(items[1]->integer * element_type(storage.text, false)->size);
    if (elements > 0) tensor.storage = storage.bytes.substr(skipped);
    push(Node::OneTensor)->tensor = std::move(tensor);
  }
};

Pickle::Pickle(const Archive &archive, const std::string &name) { Reader(*this, archive, name); }

Pickle::~Pickle() = default;

std::optional<std::string_view> Pickle::Tensor::contiguous() const
{
  int64_t elements = 1;
  if (storage.empty()) return storage;
  for (size_t n = sizes.size(); n-- > 0;) {
    if (sizes[n] > 1 && strides[n] != elements) return {};
    elements *= sizes[n];
  }
  return storage.substr(0, static_cast<size_t>(elements * element_type(type, false)->size));
}

const Pickle::Node *Pickle::find(const Node *module, const std::string &attribute)
{
  if (module && module->kind == Node::Object)
    for (size_t n = 0; n + 1 < module->items.size(); n += 2)
      if (module->items[n]->text == attribute) return module->items[n + 1];
  return nullptr;
}

const Pickle::Tensor *Pickle::tensor(const std::string &name) const
{
  const Node *node = root_;
  for (size_t begin = 0, end = 0; end != std::string::npos; begin = end + 1) {
    end = name.find('.', begin);
    node = find(node, name.substr(begin, end - begin));
  }
  return node && node->kind == Node::OneTensor ? &node->tensor : nullptr;
}

std::optional<std::string> Pickle::text(const std::string &attribute) const
{
  const Node *const found = find(root_, attribute);
  if (!found || found->kind != Node::Text) return {};
  return found->text;
}

std::optional<std::map<std::string, int64_t>> Pickle::numbers(const std::string &attribute) const
{
  const Node *const found = find(root_, attribute);
  if (!found || found->kind != Node::Pairs) return {};
  std::map<std::string, int64_t> numbers;
  for (size_t n = 0; n + 1 < found->items.size(); n += 2) numbers[found->items[n]->text] = found->items[n + 1]->integer;
  return numbers;
}

}    // namespace les

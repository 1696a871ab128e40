// What an exception is about, in one line.
#pragma once

#include <exception>
#include <string>

namespace les {

// Of torch's, without their C++ or TorchScript stack.
inline std::string reason_of(const std::exception &e)
{
  const std::string text = e.what();
  const auto start = text.rfind("Error: ");
  const std::string tail = start == std::string::npos ? text : text.substr(start + 7);
  return tail.substr(0, tail.find('\n'));
}

}    // namespace les

// What Python hands over, checked once: the loops behind it trust their arguments. std::invalid_argument, in Python ValueError, names the
// argument, what was expected, and what came.
#pragma once

#include <torch/types.h>

#include <algorithm>
#include <cmath>
#include <sstream>
#include <stdexcept>
#include <string>
#include <vector>

namespace les {

template <class T>
[[noreturn]] void refuse(const std::string &name, const std::string &expected, const T &found,
                         const char *what = "got ")
{
  std::ostringstream text;
  text << name << ": expected " << expected << ", " << what << found;
  throw std::invalid_argument(text.str());
}

inline void check_number(const std::string &name, double value, double low, double high)
{
  std::ostringstream range;
  range << "a number from " << low << " to " << high;
  if (!(value >= low && value <= high)) refuse(name, range.str(), value);
}

inline void check_positive(const std::string &name, double value)
{
  if (!(value > 0.0 && std::isfinite(value))) refuse(name, "a positive number", value);
}

// The enum whose values have these names, in order.
template <class E> E choice_of(const std::string &name, const std::string &text, const std::vector<std::string> &names)
{
  const auto found = std::find(names.begin(), names.end(), text);
  if (found != names.end()) return static_cast<E>(found - names.begin());
  std::string all;
  for (const auto &n : names) all += (all.empty() ? "one of '" : "', '") + n;
  refuse(name, all + "'", text);
}

inline std::string shape_text(at::IntArrayRef shape)
{
  std::string text = "[";
  for (size_t d = 0; d < shape.size(); d++)
    text += (d ? ", " : "") + (shape[d] < 0 ? std::string("n") : std::to_string(shape[d]));
  return text + "]";
}

using Types = std::vector<torch::ScalarType>;
const Types FLOATS{torch::kFloat64, torch::kFloat32};

// A dense tensor of one of the types, of this shape (-1: any size), on this device. Its values, in plain memory, without a graph.
inline torch::Tensor checked(const std::string &name, const torch::Tensor &t, const Types &types, at::IntArrayRef shape,
                             const torch::Device &device)
{
  std::ostringstream expected, found;
  for (size_t i = 0; i < types.size(); i++) expected << (i ? " or " : "") << types[i];
  expected << " " << shape_text(shape) << " on " << device;
  found << t.scalar_type() << " " << shape_text(t.sizes()) << " on " << t.device();
  bool fits = t.layout() == torch::kStrided && t.device() == device && t.dim() == static_cast<int64_t>(shape.size()) &&
              std::find(types.begin(), types.end(), t.scalar_type()) != types.end();
  for (size_t d = 0; fits && d < shape.size(); d++) fits = shape[d] < 0 || shape[d] == t.size(static_cast<int64_t>(d));
  if (!fits) refuse(name, expected.str(), found.str());
  const torch::Tensor values = t.detach().resolve_neg();
  if (values.is_floating_point() && !values.isfinite().all().item<bool>())
    refuse(name, "finite numbers", "some are not", "");
  return values.is_inference() ? values.clone() : values;
}

// Positions, or vectors between them, [n, 3] f64: beyond such lengths, a place in a cell is rounding.
inline torch::Tensor checked_lengths(const std::string &name, const torch::Tensor &t, int64_t n,
                                     const torch::Device &device)
{
  constexpr double LONGEST = 1e8;    // A
  const torch::Tensor r = checked(name, t, {torch::kFloat64}, {n, 3}, device);
  const double longest = r.numel() > 0 ? r.abs().max().item<double>() : 0.0;
  if (!(longest <= LONGEST)) refuse(name, "lengths up to 1e8 A", longest);
  return r;
}

// The device of a tensor that others are to share.
inline torch::Device checked_device(const std::string &name, const torch::Device &device)
{
  if (!device.is_cpu() && !device.is_cuda()) refuse(name, "the device cpu or cuda", device);
  return device;
}

// Integers from 0 to below `end`.
inline void check_indices(const std::string &name, const torch::Tensor &t, int64_t end)
{
  if (t.numel() == 0) return;
  const int64_t low = t.min().item<int64_t>(), high = t.max().item<int64_t>();
  if (low < 0 || high >= end) {
    std::ostringstream range, found;
    range << "integers from 0 to " << end - 1;
    found << low << " to " << high;
    refuse(name, range.str(), found.str());
  }
}

// [3, 3] f64 on the host, with a volume.
inline torch::Tensor checked_cell(const std::string &name, const torch::Tensor &cell)
{
  const torch::Tensor rows =
      checked(name, cell, FLOATS, {3, 3}, cell.device()).to(torch::kCPU, torch::kFloat64).contiguous();
  const torch::Tensor lengths = rows.norm(2, 1);
  // of vectors nearly in one plane, what is left is rounding
  const double volume = std::abs(torch::det(rows).item<double>());
  if (!(volume > 1e-12 * lengths.prod().item<double>()))
    refuse(name, "three lattice vectors that span a volume", "one of 0", "");
  return rows;
}

}    // namespace les

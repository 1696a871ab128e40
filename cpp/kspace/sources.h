// Sources [n, C, M] at atoms, M components of charge, dipole and quadrupole (latents.h), and fields that act on them.
#pragma once

#include "solver.h"

namespace les {

// The highest moment among the components: 0 charges, 1 dipoles, 2 quadrupoles. Throws where they are none of these.
inline int highest_moment(const torch::Tensor &sources)
{
  const int64_t components = sources.dim() == 3 ? sources.size(2) : 0;
  TORCH_CHECK(components == 1 || components == 4 || components == 13,
              "sources [n, C, 1], [n, C, 4] or [n, C, 13] were expected (charges; and dipoles; and quadrupoles), got ",
              sources.sizes());
  return components == 1 ? 0 : components == 4 ? 1 : 2;
}

// For Solver::apply.
inline void check_order(const torch::Tensor &sources, int order, const Fields *earlier)
{
  int least = highest_moment(sources);
  if (earlier) least = std::max(least, highest_moment(earlier->sources));
  TORCH_CHECK(order >= least && order <= 3, "gradients of the potential up to order ", least,
              " to 3 were expected with these sources, got order ", order);
}

// q F + u.grad F + 1/2 Q:grad grad F, summed over channels, f64: F the `first` of some fields [n, C, ...] and their gradients. [n, ...]
inline torch::Tensor act_on(const torch::Tensor &sources, const std::vector<torch::Tensor> &fields, int first = 0)
{
  const int moments = highest_moment(sources);
  TORCH_CHECK(fields.size() > static_cast<size_t>(first + moments), "gradients of the potential up to order ",
              first + moments, " were expected, got ", fields.size() - 1);
  const torch::Tensor s = sources.to(torch::kFloat64);
  const auto over_channels = [&](const torch::Tensor &t) { return t.size(1) == 1 ? t.select(1, 0) : t.sum(1); };
  torch::Tensor out;
  for (int m = 0; m <= moments; m++) {
    torch::Tensor field = fields[first + m].to(torch::kFloat64);
    torch::Tensor part = m == 0 ? s.select(2, 0) : m == 1 ? s.narrow(2, 1, 3) : 0.5 * s.narrow(2, 4, 9);
    if (m == 2) field = field.flatten(-2);
    for (int axis = 0; axis < first; axis++) part = part.unsqueeze(2);
    const torch::Tensor product = m == 0 ? part * field : (part * field).sum(-1);
    out = m == 0 ? over_channels(product) : out + over_channels(product);
  }
  return out;
}

// What a periodic sum adds to its virial for dipoles and quadrupoles, whose Cartesian components a strain leaves as they are while the
// wave vectors change: of 1/2 <s, K s'>, by atoms, the symmetric part of
//
//   1/2 [grad phi' u + grad grad phi' Q + grad phi u' + grad grad phi Q']
//
// [n, 3, 3] f64; undefined for charges alone. `fields` without its virial; without `earlier`, s' is s.
inline torch::Tensor moment_virial(const Fields &fields, const Fields *earlier)
{
  const auto part = [](const torch::Tensor &sources, const Fields &of) {
    const int moments = highest_moment(sources);
    if (moments == 0) return torch::Tensor();
    const torch::Tensor s = sources.to(torch::kFloat64), u = s.narrow(2, 1, 3);
    torch::Tensor w = (of.derivatives[1].to(torch::kFloat64).unsqueeze(3) * u.unsqueeze(2)).sum(1);
    if (moments == 2)
      w = w + of.derivatives[2].to(torch::kFloat64).matmul(s.narrow(2, 4, 9).unflatten(2, {3, 3})).sum(1);
    return 0.5 * (w + w.transpose(1, 2));
  };
  if (!earlier) return part(fields.sources, fields);
  const torch::Tensor one = part(fields.sources, *earlier), other = part(earlier->sources, fields);
  if (!one.defined() || !other.defined()) return one.defined() ? 0.5 * one : other.defined() ? 0.5 * other : other;
  return 0.5 * (one + other);
}

}    // namespace les

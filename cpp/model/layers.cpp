#include "layers.h"

#include <torch/csrc/autograd/autograd.h>

namespace les {

using torch::Tensor;

namespace {

// d(sum of weights outputs)/d(leaf) of each leaf, undefined where nothing depends on it
std::vector<Tensor> pulled(const Tensor &outputs, const Tensor &weights, const std::vector<Tensor> &leaves, bool last)
{
  if (!outputs.requires_grad() || outputs.numel() == 0) return std::vector<Tensor>(leaves.size());
  return torch::autograd::grad({outputs}, leaves, {weights}, /*retain_graph=*/!last, /*create_graph=*/false,
                               /*allow_unused=*/true);
}

Tensor zero_if_none(const Tensor &gradient, const Tensor &leaf)
{
  return gradient.defined() ? gradient : torch::zeros_like(leaf);
}

// Gradients of `own` and `sent` as one of `made`.
Tensor arrived(const Cut &cut, const Tensor &own, const Tensor &sent)
{
  const int64_t rows = cut.made.size(0), kept = cut.own.size(1);
  Tensor out = torch::zeros({rows + 1, cut.made.size(1)}, cut.made.options());    // the last row is none
  out.narrow(1, kept, sent.size(1)).index_add_(0, cut.row, sent);
  out.narrow(1, 0, kept).narrow(0, 0, cut.own.size(0)) += own;
  return out.narrow(0, 0, rows);
}

// Gradients by what the layers take from the edges.
struct Gathered {
  std::vector<Tensor> tensors, gradients;

  void add(const std::vector<Tensor> &taken, const std::vector<Tensor> &found)
  {
    for (size_t n = 0; n < taken.size(); n++)
      if (found[n].defined()) {
        tensors.push_back(taken[n]);
        gradients.push_back(found[n]);
      }
  }

  // [E, 3] f64: all of them pulled back to the edges
  Tensor by_edges(const Tensor &edge_vectors, bool last) const
  {
    if (tensors.empty()) return torch::zeros_like(edge_vectors, torch::kFloat64);
    return torch::autograd::grad(tensors, {edge_vectors}, gradients, /*retain_graph=*/!last)[0].to(torch::kFloat64);
  }
};

}    // namespace

EdgeResponse edge_response(const LayeredOutputs &layered, const Weights &weights, const Tensor &directions,
                           bool keep_graph)
{
  const int64_t count = directions.size(0);
  Gathered by_taken;
  std::vector<Gathered> by_taken_weighed(count);
  // what comes to a layer from above: as it is, and weighed by the displacement along each direction
  Tensor outputs = layered.outputs, plain = weights.plain;
  std::vector<Tensor> weighed = weights.beside;
  for (size_t layer = layered.taken.size(); layer-- > 0;) {
    const Cut *cut = layer > 0 ? &layered.cuts[layer - 1] : nullptr;
    const std::vector<Tensor> &taken = layered.taken[layer];
    std::vector<Tensor> leaves = taken;
    if (cut) leaves.insert(leaves.end(), {cut->own, cut->sent});
    const size_t own = taken.size(), sent = own + 1;

    const std::vector<Tensor> below = pulled(outputs, plain, leaves, weighed.empty() && !keep_graph);
    by_taken.add(taken, below);
    std::vector<std::vector<Tensor>> below_weighed;
    for (const Tensor &by : weighed) {
      below_weighed.push_back(pulled(outputs, by, leaves, &by == &weighed.back() && !keep_graph));
      by_taken_weighed[below_weighed.size() - 1].add(taken, below_weighed.back());
    }
    if (!cut) break;
    const Tensor given = zero_if_none(below[sent], cut->sent);
    const Tensor reach = cut->vector.matmul(directions.to(cut->vector.options()).t()).neg_();    // [S, k]
    weighed.resize(count);
    for (int64_t k = 0; k < count; k++) {
      const std::vector<Tensor> found = below_weighed.empty() ? std::vector<Tensor>(leaves.size()) : below_weighed[k];
      Tensor more = given * reach.select(1, k).unsqueeze(1);
      if (found[sent].defined()) more += found[sent];
      weighed[k] = arrived(*cut, zero_if_none(found[own], cut->own), more);
    }
    plain = arrived(*cut, zero_if_none(below[own], cut->own), given);
    outputs = cut->made;
  }

  EdgeResponse out{by_taken.by_edges(layered.edge_vectors, false), {}};
  std::vector<Tensor> moments;
  for (int64_t k = 0; k < count; k++)
    moments.push_back(by_taken_weighed[k].by_edges(layered.edge_vectors, k + 1 == count && !keep_graph));
  out.moment = torch::stack(moments, 1);
  return out;
}

}    // namespace les

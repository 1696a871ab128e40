#include "layers.h"

#include <torch/csrc/autograd/autograd.h>

namespace les {

using torch::Tensor;

namespace {

// d(sum of weights outputs)/d(leaf) of each leaf, zero where nothing depends on it
std::vector<Tensor> pulled(const Tensor &outputs, const Tensor &weights, const std::vector<Tensor> &leaves, bool last)
{
  std::vector<Tensor> gradients(leaves.size());
  if (outputs.requires_grad() && outputs.numel() > 0)
    gradients = torch::autograd::grad({outputs}, leaves, {weights}, /*retain_graph=*/!last, /*create_graph=*/false,
                                      /*allow_unused=*/true);
  for (size_t n = 0; n < leaves.size(); n++)
    if (!gradients[n].defined()) gradients[n] = torch::zeros_like(leaves[n]);
  return gradients;
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

}    // namespace

EdgeResponse edge_response(const LayeredCharges &charges, const Tensor &directions)
{
  const int64_t count = directions.size(0), n_edges = charges.edge_vectors.back().size(0);
  const auto f64 = charges.charges.options().dtype(torch::kFloat64).requires_grad(false);
  EdgeResponse out{torch::zeros({n_edges, 3}, f64), torch::zeros({n_edges, count, 3}, f64)};
  // what comes to a layer from above: as it is, and weighed by the displacement along each direction
  Tensor outputs = charges.charges, plain = torch::ones_like(charges.charges);
  std::vector<Tensor> weighed;
  for (size_t layer = charges.edge_vectors.size(); layer-- > 0;) {
    const Cut *cut = layer > 0 ? &charges.cuts[layer - 1] : nullptr;
    std::vector<Tensor> leaves{charges.edge_vectors[layer]};
    if (cut) leaves.insert(leaves.end(), {cut->own, cut->sent});

    const std::vector<Tensor> below = pulled(outputs, plain, leaves, weighed.empty());
    out.total += below[0];
    Tensor reach;    // [S, k]
    if (cut) {
      reach = cut->vector.matmul(directions.to(cut->vector.options()).t()).neg_();
      plain = arrived(*cut, below[1], below[2]);
    }
    const bool top = weighed.empty();
    if (top) weighed.resize(count);
    for (int64_t k = 0; k < count; k++) {
      Tensor own = cut ? torch::zeros_like(cut->own) : Tensor(), sent;
      if (cut) sent = below[2] * reach.select(1, k).unsqueeze(1);
      if (!top) {
        const std::vector<Tensor> found = pulled(outputs, weighed[k], leaves, k + 1 == count);
        out.moment.select(1, k) += found[0];
        if (cut) own += found[1], sent += found[2];
      }
      if (cut) weighed[k] = arrived(*cut, own, sent);
    }
    if (cut) outputs = cut->made;
  }
  return out;
}

}    // namespace les

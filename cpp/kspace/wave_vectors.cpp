#include "wave_vectors.h"

namespace les {

using torch::Tensor;

namespace {

Tensor vectors(const Tensor &triples, const Tensor &cell) { return TWO_PI * triples.matmul(torch::inverse(cell).t()); }

}    // namespace

WaveVectors::WaveVectors(const LongRangeParameters &parameters, const Tensor &triples, const Tensor &cell) :
    p_(parameters)
{
  const double largest = TWO_PI / p_.dl * (1.0 + SHELL_TOLERANCE);
  const Tensor k2 = vectors(triples, cell).square().sum(-1);
  inside_ = ((k2 <= largest * largest) & (triples != 0).any(-1)).nonzero().select(1, 0);
  triples_ = triples.index_select(0, inside_);
}

WaveVectors::Weights WaveVectors::weights(const Tensor &cell) const
{
  const double volume = std::abs(torch::det(cell).item<double>()), s2 = p_.sigma * p_.sigma;
  const Tensor k = vectors(triples_, cell), k2 = k.square().sum(-1);
  const Tensor slope = 2.0 * (1.0 / k2 + 0.5 * s2).unsqueeze(1) * k;
  const Tensor strain = torch::eye(3, torch::kFloat64) - slope.unsqueeze(2) * k.unsqueeze(1);
  return {(p_.norm / volume) * torch::exp(-0.5 * s2 * k2) / k2, strain.view({-1, 9}), slope};
}

}    // namespace les

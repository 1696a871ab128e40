#include "wave_vectors.h"

#include <sstream>
#include <stdexcept>

namespace les {

using torch::Tensor;

namespace {

Tensor vectors(const Tensor &triples, const Tensor &cell) { return TWO_PI * triples.matmul(torch::inverse(cell).t()); }

// k.a_m = 2 pi n_m, so |n_m| <= |k| |a_m| / 2 pi
std::array<double, 3> corner(const LongRangeParameters &p, const Tensor &cell)
{
  const Tensor most = (cell.norm(2, 1) / p.dl * (1.0 + SHELL_TOLERANCE)).floor();
  return {most[0].item<double>(), most[1].item<double>(), most[2].item<double>()};
}

}    // namespace

std::string lengths_of(const Tensor &cell)
{
  const Tensor lengths = cell.norm(2, 1);
  std::ostringstream text;
  text.precision(4);
  for (int m = 0; m < 3; m++) text << (m ? " x " : "") << lengths[m].item<double>();
  return text.str();
}

double wave_vectors_in_box(const LongRangeParameters &parameters, const Tensor &cell)
{
  const auto n = corner(parameters, cell);
  return 0.5 * (2.0 * n[0] + 1.0) * (2.0 * n[1] + 1.0) * (2.0 * n[2] + 1.0);
}

std::array<int64_t, 3> largest_triple(const LongRangeParameters &parameters, const Tensor &cell)
{
  const double count = wave_vectors_in_box(parameters, cell);
  if (!(count <= MOST_WAVE_VECTORS)) {
    std::ostringstream text;
    text.precision(3);
    text << "the direct sum would need " << count << " wave vectors in a cell of " << lengths_of(cell)
         << " A with dl = " << parameters.dl << " A, more than the " << MOST_WAVE_VECTORS
         << " that it takes; use kspace mesh (without mesh_error yes), a smaller cell, or open boundaries where most "
            "of it is vacuum";
    throw std::runtime_error(text.str());
  }
  const auto n = corner(parameters, cell);
  return {static_cast<int64_t>(n[0]), static_cast<int64_t>(n[1]), static_cast<int64_t>(n[2])};
}

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
  const Tensor decay = 1.0 / k2 + 0.5 * s2, slope = 2.0 * decay.unsqueeze(1) * k;
  const Tensor strain = torch::eye(3, torch::kFloat64) - slope.unsqueeze(2) * k.unsqueeze(1);
  return {(p_.norm / volume) * torch::exp(-0.5 * s2 * k2) / k2, strain.view({-1, 9}), slope, decay};
}

}    // namespace les

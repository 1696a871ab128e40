#include "mesh_error.h"

#include "mesh_choice.h"
#include "wave_vectors.h"

#include <cmath>

namespace les {

using torch::Tensor;

namespace {

constexpr int REFINEMENTS = 3;
constexpr double SMALLEST = 1e-3;    // of the self-interaction, what errors are compared with where all else vanishes

LongRange result_of(const std::unique_ptr<LongRangeSolver> &solver, const Tensor &positions, const Tensor &charges,
                    const Tensor &cell)
{
  solver->setup(cell);
  return solver->compute(positions, charges, cell, false);
}

}    // namespace

MeshErrors relative_errors(const LongRange &result, const LongRange &judge, const Tensor &charges,
                           const LongRangeParameters &parameters, const Communicator &communicator)
{
  const auto host = [](const Tensor &t) { return t.to(torch::kCPU, torch::kFloat64); };
  const auto squares = [](const Tensor &t) { return t.square().sum().view({1}); };
  const Tensor q = host(charges), potential = host(judge.potential), forces = host(judge.forces);
  const double self = SMALLEST * self_potential(parameters);
  const Tensor sums = communicator.sum(torch::cat(
      {squares(host(result.forces) - forces), squares(forces), squares(self / parameters.sigma * q.square().sum(1)),
       squares(host(result.potential) - potential), squares(potential), squares(self * q)}));
  const auto ratio = [&](int n) {
    const double error = sums[n].item<double>();
    return error > 0.0 ? std::sqrt(error / std::max(sums[n + 1].item<double>(), sums[n + 2].item<double>())) : error;
  };
  return {ratio(0), ratio(3)};
}

MeasuredMesh measure_mesh(const LongRangeParameters &parameters, const MeshSettings &settings, const Tensor &positions,
                          const Tensor &charges, const Tensor &cell, bool always_direct,
                          const Communicator &communicator)
{
  const Tensor r = positions.to(torch::kCPU), q = charges.detach().to(torch::kCPU, torch::kFloat64);
  const Tensor count = communicator.sum(torch::full({1}, static_cast<double>(r.size(0)), torch::kFloat64));
  MeasuredMesh out;
  out.settings = settings;
  out.direct = always_direct || direct_terms(parameters, cell, count.item<double>()) <= DIRECT_JUDGE_TERMS;
  if (out.direct) out.judge = result_of(make_direct_sum(parameters, communicator), r, q, cell);
  for (;; out.refined++) {
    if (!out.direct) {
      MeshSettings judge = out.settings;
      judge.judge = true;
      out.judge = result_of(make_mesh_sum(parameters, judge, communicator), r, q, cell);
    }
    const LongRange mesh = result_of(make_mesh_sum(parameters, out.settings, communicator), r, q, cell);
    out.errors = relative_errors(mesh, out.judge, q, parameters, communicator);
    const double largest = out.errors.largest();
    if (!(largest > settings.accuracy) || out.refined == REFINEMENTS ||
        !refine(parameters, out.settings, cell, 0.5 * settings.accuracy / largest))
      return out;
  }
}

}    // namespace les

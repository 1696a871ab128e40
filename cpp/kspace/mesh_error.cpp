#include "mesh_error.h"

#include "slab_sum.h"
#include "wave_vectors.h"

#include <cmath>

namespace les {

using torch::Tensor;

namespace {

constexpr int REFINEMENTS = 3;
constexpr double SMALLEST = 1e-3;    // of the self-interaction, what errors are compared with where all else vanishes

}    // namespace

MeshErrors relative_errors(const LongRange &result, const LongRange &reference, const Latents &latents,
                           const LongRangeParameters &parameters, const Communicator &communicator)
{
  const auto host = [](const Tensor &t) { return t.to(torch::kCPU, torch::kFloat64); };
  const auto squares = [](const Tensor &t) { return t.square().sum().view({1}); };
  const Tensor q = host(latents.charge), fields = host(reference.by_latents.charge), forces = host(reference.forces);
  const double self = SMALLEST * self_potential(parameters);
  const Tensor sums = communicator.sum(torch::cat(
      {squares(host(result.forces) - forces), squares(forces), squares(self / parameters.sigma * q.square().sum(1)),
       squares(host(result.by_latents.charge) - fields), squares(fields), squares(self * q)}));
  const auto ratio = [&](int n) {
    const double error = sums[n].item<double>();
    return error > 0.0 ? std::sqrt(error / std::max(sums[n + 1].item<double>(), sums[n + 2].item<double>())) : error;
  };
  return {ratio(0), ratio(3)};
}

MeasuredMesh measure_mesh(const LongRangeParameters &parameters, const MeshSettings &settings, const Tensor &positions,
                          const Latents &latents, const Tensor &cell, bool always_direct, double extension,
                          const Communicator &communicator)
{
  const Tensor r = positions.to(torch::kCPU);
  Latents s;
  for (const LatentKind &kind : LATENTS)
    if (const Tensor &values = latents.*kind.member; values.defined())
      s.*kind.member = values.detach().to(torch::kCPU, torch::kFloat64);
  const Tensor box = extended_cell(cell, extension);
  const auto result_of = [&](std::unique_ptr<Solver> periodic) {
    const auto solver = with_extension(std::move(periodic), parameters, extension, communicator);
    solver->setup(cell);
    return interact(*solver, parameters, true, r, s, cell, false, communicator);
  };
  const Tensor count = communicator.sum(torch::full({1}, static_cast<double>(r.size(0)), torch::kFloat64));
  MeasuredMesh out;
  out.settings = settings;
  const double vectors = wave_vectors_in_box(parameters, box);
  out.direct = always_direct ||
               (vectors <= MOST_WAVE_VECTORS && count.item<double>() * vectors <= DIRECT_REFERENCE_TERMS);
  if (out.direct) out.reference = result_of(make_direct_sum(parameters, communicator));
  for (;; out.refined++) {
    if (!out.direct) {
      MeshSettings reference = out.settings;
      reference.reference = true;
      out.reference = result_of(make_mesh_sum(parameters, reference, communicator));
    }
    const LongRange mesh = result_of(make_mesh_sum(parameters, out.settings, communicator));
    out.errors = relative_errors(mesh, out.reference, s, parameters, communicator);
    const double largest = out.errors.largest();
    if (!(largest > settings.accuracy) || out.refined == REFINEMENTS ||
        !refine(parameters, out.settings, box, 0.5 * settings.accuracy / largest))
      break;
  }
  out.settings.order = choose_mesh(parameters, out.settings, box).order;    // also where the cell has changed a little
  return out;
}

}    // namespace les

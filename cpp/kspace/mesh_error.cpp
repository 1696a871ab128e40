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
  const Tensor q = host(latents.charge), phi = self_potential(parameters) * q;
  std::vector<Tensor> sums;    // of squares: error, reference, least that it is compared with; in turn
  const auto compare = [&](const Tensor &value, const Tensor &exact, const Tensor &least) {
    for (const Tensor &t : {host(value) - host(exact), host(exact), SMALLEST * least}) sums.push_back(squares(t));
  };
  compare(result.forces, reference.forces, (q * phi).sum(1) / parameters.sigma);
  for (const LatentKind &kind : LATENTS) {
    const Tensor &value = result.by_latents.*kind.member, &exact = reference.by_latents.*kind.member;
    if (!value.defined()) continue;
    const bool response = kind.member == &Latents::kappa || kind.member == &Latents::alpha;
    const auto lengths = static_cast<double>(kind.shape.size());
    compare(value, exact, (response ? phi.square() : phi) / std::pow(parameters.sigma, lengths));
  }
  const Tensor total = communicator.sum(torch::cat(sums));
  MeshErrors errors;
  for (int64_t n = 0; n < total.size(0); n += 3) {
    const double error = total[n].item<double>();
    const double ratio =
        error > 0.0 ? std::sqrt(error / std::max(total[n + 1].item<double>(), total[n + 2].item<double>())) : error;
    // not a number is told as well
    if (n == 0) errors.forces = ratio;
    else if (!(ratio <= errors.fields)) errors.fields = ratio;
  }
  return errors;
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
    return interact(*solver, parameters, true, r, s, cell, false, communicator, false);
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

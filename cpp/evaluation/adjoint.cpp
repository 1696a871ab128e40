#include "adjoint.h"

namespace les {

using torch::Tensor;

namespace {

// 1/2 (a (x) b + b (x) a) of the last axis
Tensor symmetric_product(const Tensor &a, const Tensor &b)
{
  const Tensor product = a.unsqueeze(-1) * b.unsqueeze(-2);
  return 0.5 * (product + product.transpose(-1, -2));
}

}    // namespace

Adjoint adjoint(const LongRangeSum &sum, const LongRange &far, const Tensor &positions, const Latents &latents,
                const Tensor &cell, const Tensor &charges, const Tensor &dipoles, int64_t second_order)
{
  Latents of_sets{charges, dipoles};    // of all sets
  Tensor charge_weighed, dipole_weighed;
  if (charges.defined() && latents.kappa.defined()) {
    charge_weighed = latents.kappa * charges;
    of_sets.kappa = -charges * far.potential;
  }
  if (dipoles.defined() && latents.alpha.defined()) {
    dipole_weighed = latents.alpha.matmul(dipoles.unsqueeze(-1)).squeeze(-1);
    Tensor field = far.field.unsqueeze(0).repeat({dipoles.size(0), 1, 1, 1});
    const int64_t first = dipoles.size(0) - second_order;
    field.narrow(0, first, second_order).add_(dipoles.narrow(0, first, second_order), 0.5);
    of_sets.alpha = symmetric_product(dipoles, field);
  }
  Adjoint out;
  if (charge_weighed.defined() || dipole_weighed.defined()) {
    const SourceResponse r = sum.respond(far, positions, latents, charge_weighed, dipole_weighed, cell);
    const auto less = [](Tensor &weights, const Tensor &field) {
      if (field.defined()) weights = weights.defined() ? weights - field : -field;
    };
    less(of_sets.charge, r.by_sources.charge);
    less(of_sets.dipole, r.by_sources.dipole);
    less(of_sets.quadrupole, r.by_sources.quadrupole);
    out.forces = r.forces;
  }
  const int64_t k = charges.defined() ? charges.size(0) : dipoles.size(0);
  for (int64_t set = 0; set < k; set++) {
    Quantity quantity;
    for (const LatentKind &kind : LATENTS) {
      const Tensor &weights = of_sets.*kind.member;
      if (weights.defined()) quantity.latents.*kind.member = weights[set];
    }
    out.quantities.push_back(quantity);
  }
  return out;
}

}    // namespace les

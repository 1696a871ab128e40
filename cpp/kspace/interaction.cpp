#include "interaction.h"

namespace les {

using torch::Tensor;

namespace {

// A mesh breaks translation invariance by its aliasing error; what is left over is shared out evenly.
void remove_net_force(Tensor &forces, const Communicator &communicator)
{
  const Tensor count = torch::full({1}, static_cast<double>(forces.size(0)), forces.options());
  const Tensor total = communicator.sum(torch::cat({forces.sum(0), count}));
  forces -= total.narrow(0, 0, 3) / total[3].clamp_min(1.0);
}

// dE/dq of the self terms, by q
double self_field(const LongRangeParameters &p, bool periodic)
{
  if (periodic) return p.remove_self ? -p.self_factor * self_potential(p) : 0.0;
  return p.remove_self ? 0.0 : self_potential(p);
}

}    // namespace

LongRange interact(const Solver &solver, const LongRangeParameters &parameters, bool periodic, const Tensor &positions,
                   const Latents &latents, const Tensor &cell, bool atom_virial, const Communicator &communicator)
{
  const Tensor q = charges_of(latents.sources());
  Fields k = solver.apply(positions, q.unsqueeze(2), cell, 1, atom_virial);
  Tensor potential = k.derivatives[0];
  const double self = self_field(parameters, periodic);
  if (self != 0.0) potential += self * q;
  const Tensor q64 = q.to(torch::kFloat64);
  LongRange out;
  out.energy = 0.5 * (q64 * potential.to(torch::kFloat64)).sum(1);
  out.by_latents.charge = potential.to(q.options());
  out.forces = -(q64.unsqueeze(2) * k.derivatives[1]).sum(1);
  if (!solver.conserves_momentum()) remove_net_force(out.forces, communicator);
  out.virial = k.virial;
  out.atom_virial = k.atom_virial;
  return out;
}

}    // namespace les

#include "interaction.h"

#include "charges.h"
#include "program.h"
#include "sources.h"

namespace les {

using torch::Tensor;

namespace {

Tensor f64(const Tensor &t) { return t.to(torch::kFloat64); }

// A mesh breaks translation invariance by its aliasing error; what is left over of forces [..., n, 3] is shared out evenly.
void remove_net_force(Tensor &forces, const Communicator &communicator)
{
  const Tensor mine = forces.sum(-2), count = torch::full({1}, static_cast<double>(forces.size(-2)), forces.options());
  const Tensor total = communicator.sum(torch::cat({mine.flatten(), count}));
  const Tensor net = total.narrow(0, 0, mine.numel()).view_as(mine).unsqueeze(-2);
  forces -= net / total[-1].clamp_min(1.0);
}

// dE/ds of the self terms, by s: of a charge, a dipole, a quadrupole of Gaussian shape.
struct SelfTerms {
  double charge, dipole, quadrupole;

  SelfTerms(const LongRangeParameters &p, bool periodic)
  {
    const double times = periodic ? (p.remove_self ? -p.self_factor : 0.0) : (p.remove_self ? 0.0 : 1.0);
    const double s2 = p.sigma * p.sigma;
    charge = times * self_potential(p);
    dipole = charge / (3.0 * s2);
    quadrupole = charge / (10.0 * s2 * s2);
  }
};

// A field of the solver with the self term of its source.
Tensor with_self(const Tensor &field, double self, const Tensor &source)
{
  return self != 0.0 && source.defined() ? torch::add(field, source, self) : field;
}

// How many gradients of the potential the forces on the sources need.
int order_for(const Latents &latents, bool dipoles)
{
  return latents.quadrupole.defined() ? 3 : latents.dipole.defined() || dipoles ? 2 : 1;
}

}    // namespace

LongRange interact(const Solver &solver, const LongRangeParameters &parameters, bool periodic, const Tensor &positions,
                   const Latents &latents, const Tensor &cell, bool atom_virial, const Communicator &communicator,
                   bool kernels)
{
  const SelfTerms self(parameters, periodic);
  Latents s;
  for (const LatentKind &kind : LATENTS)
    if ((latents.*kind.member).defined()) s.*kind.member = (latents.*kind.member).detach();
  const bool polarizable = s.alpha.defined(), vectors = s.dipole.defined() || polarizable;
  const auto type = s.charge.options();
  const Tensor sources = s.sources();

  LongRange out;
  Fields &first = out.permanent;
  first = solver.apply(positions, sources, cell, order_for(s, polarizable), atom_virial);
  if (kernels && sources.size(2) == 1 && !s.responds() && communicator.size() == 1 &&
      first.derivatives[0].scalar_type() == s.charge.scalar_type() && gpu::available(s.charge.device())) {
    const gpu::InField at = gpu::charges_in_field(s.charge, first.derivatives[0], first.derivatives[1], self.charge,
                                                  !solver.conserves_momentum());
    out.potential = out.by_latents.charge = at.potential;
    out.energy = at.energy;
    out.forces = at.force;
    out.virial = first.virial;
    out.atom_virial = first.atom_virial;
    return out;
  }
  const Tensor phi = with_self(first.derivatives[0], self.charge, s.charge);
  out.potential = phi.to(type);
  out.by_latents.charge = out.potential;
  out.energy = 0.5 * (f64(s.charge) * f64(phi)).sum(1);
  Tensor slope, curvature;    // dE/du and dE/dQ of the sources alone
  if (vectors) {
    slope = with_self(f64(first.derivatives[1]), self.dipole, s.dipole);
    out.field = -slope;
    if (s.dipole.defined()) out.energy += 0.5 * (f64(s.dipole) * slope).sum({1, 2});
  }
  if (s.quadrupole.defined()) {
    curvature = with_self(0.5 * f64(first.derivatives[2]), self.quadrupole, s.quadrupole);
    out.energy += 0.5 * (f64(s.quadrupole) * curvature).sum({1, 2, 3});
  }
  out.virial = first.virial;
  out.atom_virial = first.atom_virial;

  if (!s.responds()) {
    out.forces = -act_on(sources, first.derivatives, 1);
  } else {
    Latents d;
    d.charge = torch::zeros_like(s.charge);
    if (s.kappa.defined()) {
      d.charge = out.charge_induced = (-f64(s.kappa) * f64(phi)).to(type);
      out.by_latents.kappa = (-0.5 * f64(phi).square()).to(type);
      out.energy += 0.5 * (f64(d.charge) * f64(phi)).sum(1);
    }
    if (polarizable) {
      d.dipole = out.dipole_induced = f64(s.alpha).matmul(out.field.unsqueeze(3)).squeeze(3).to(type);
      out.by_latents.alpha = (-0.5 * out.field.unsqueeze(3) * out.field.unsqueeze(2)).to(type);
      out.energy += 0.5 * (f64(d.dipole) * slope).sum({1, 2});
    }
    const Tensor induced = d.sources();
    const Fields second = solver.apply(positions, induced, cell, order_for(s, false), atom_virial, &first);
    const auto &more = second.derivatives;
    out.by_latents.charge = (phi + with_self(more[0], self.charge, d.charge)).to(type);
    if (s.dipole.defined()) slope = slope + with_self(f64(more[1]), self.dipole, d.dipole);
    if (s.quadrupole.defined()) curvature = curvature + 0.5 * f64(more[2]);
    out.forces =
        -(act_on(sources, first.derivatives, 1) + act_on(sources, more, 1) + act_on(induced, first.derivatives, 1));
    out.virial = out.virial + 2.0 * second.virial;
    if (atom_virial) out.atom_virial = out.atom_virial + 2.0 * second.atom_virial;
  }
  if (s.dipole.defined()) out.by_latents.dipole = slope.to(type);
  if (s.quadrupole.defined()) out.by_latents.quadrupole = curvature.to(type);
  if (!solver.conserves_momentum()) remove_net_force(out.forces, communicator);
  return out;
}

SourceResponse respond(const Solver &solver, const LongRangeParameters &parameters, bool periodic,
                       const LongRange &last, const Tensor &positions, const Latents &latents, const Tensor &charges,
                       const Tensor &dipoles, const Tensor &cell, const Communicator &communicator)
{
  TORCH_CHECK(charges.defined() || dipoles.defined(), "charges or dipoles were expected, got neither");
  TORCH_CHECK(!dipoles.defined() || last.field.defined(),
              "dipoles were given to a model that has no dipoles and no alpha; give charges alone");
  const SelfTerms self(parameters, periodic);
  const int64_t k = charges.defined() ? charges.size(0) : dipoles.size(0), n = latents.charge.size(0),
                channels = latents.charge.size(1);
  const auto type = latents.charge.options();
  // the sets side by side, as channels of one application: [n, k C, ...], and back
  const auto as_channels = [&](const Tensor &t) { return t.detach().to(type).transpose(0, 1).flatten(1, 2); };
  const auto as_sets = [&](const Tensor &t) { return t.unflatten(1, {k, channels}).transpose(0, 1); };
  Latents t;
  t.charge = charges.defined() ? as_channels(charges) : torch::zeros({n, k * channels}, type);
  if (dipoles.defined()) t.dipole = as_channels(dipoles);
  const Tensor sources = t.sources(), permanent = latents.sources().detach();
  const auto fields = solver.apply(positions, sources, cell, order_for(latents, dipoles.defined()), false).derivatives;

  SourceResponse out;
  out.by_sources.charge = as_sets(with_self(fields[0], self.charge, t.charge)).to(type);
  if (latents.dipole.defined())
    out.by_sources.dipole = as_sets(with_self(f64(fields[1]), self.dipole, t.dipole)).to(type);
  if (latents.quadrupole.defined()) out.by_sources.quadrupole = as_sets(0.5 * f64(fields[2])).to(type);
  std::vector<Tensor> forces;
  for (int64_t set = 0; set < k; set++) {
    const auto channels_of = [&](const Tensor &x) { return x.narrow(1, set * channels, channels); };
    std::vector<Tensor> mine;
    for (const Tensor &field : fields) mine.push_back(channels_of(field));
    forces.push_back(-(act_on(channels_of(sources), last.permanent.derivatives, 1) + act_on(permanent, mine, 1)));
  }
  out.forces = torch::stack(forces);
  if (!solver.conserves_momentum()) remove_net_force(out.forces, communicator);    // <t, K s> knows no place either
  return out;
}

}    // namespace les

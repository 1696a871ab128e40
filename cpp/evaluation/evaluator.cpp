#include "evaluator.h"

#include "host_copy.h"
#include "program.h"
#include "tally.h"

namespace les {

using torch::Tensor;

namespace {

LongRangeParameters parameters_of(const Metadata &m)
{
  const auto &l = m.long_range;
  return {l.sigma, l.dl, l.norm, l.remove_self, l.self_factor, l.open_shift};
}

// The symmetric square root of a symmetric matrix
Tensor square_root(const std::array<double, 9> &matrix)
{
  const Tensor m = torch::tensor(at::ArrayRef<double>(matrix.data(), 9), torch::kFloat64).view({3, 3});
  const auto [values, vectors] = torch::linalg_eigh(m);
  return vectors.matmul(values.sqrt().diag()).matmul(vectors.t());
}

// The mesh is chosen for what the model has before an evaluation has shown it.
KspaceSettings kspace_settings(const EvaluatorSettings &all, const Metadata &m)
{
  KspaceSettings settings = all.kspace;
  settings.mesh.kernels = all.kernels;
  settings.mesh.moments = m.gives("quadrupole") ? 2 : m.gives("dipole") || m.gives("alpha") ? 1 : 0;
  return settings;
}

// epsilon_inf = epsilon_e (1 + chi) where alpha takes part
std::array<double, 9> coupling_epsilon(const EvaluatorSettings &settings, const Metadata &m)
{
  if (!settings.epsilon_inf) return m.coupling_epsilon();
  std::array<double, 9> epsilon = *settings.epsilon_inf;
  if (m.gives("alpha"))
    for (double &e : epsilon) e /= 1.0 + m.response.susceptibility.value_or(0.0);
  return epsilon;
}

// Directions [k, 3], and whether each is of second order
Tensor flagged(const Tensor &directions, bool second_order)
{
  Tensor out = torch::zeros({directions.size(0), 4}, torch::kFloat64);
  out.narrow(1, 0, 3).copy_(directions);
  if (second_order) out[-1][3] = 1.0;
  return out;
}

Tensor symmetric(const Tensor &matrices) { return 0.5 * (matrices + matrices.transpose(-1, -2)); }

}    // namespace

Evaluator::Evaluator(std::unique_ptr<Network> network, const EvaluatorSettings &settings, const Communicator &comm) :
    network_(std::move(network)), comm_(comm), form_(settings.bec.value_or(metadata().response.bec_form)),
    epsilon_(coupling_epsilon(settings, metadata())), chain_(*network_, settings.store_bytes),
    long_range_(parameters_of(metadata()), kspace_settings(settings, metadata()), comm),
    total_charge_(metadata().charges, comm), kernels_(settings.kernels && gpu::available(network_->device())),
    sqrt_epsilon_(square_root(epsilon_))
{
  weights_ = to_device(torch::tensor(metadata().charges.weights(), torch::kFloat64), network_->device());
}

std::string Evaluator::begin_run(const Boundary &boundary, const Tensor &cell, double n_atoms)
{
  return long_range() ? long_range_.choose(boundary, cell, n_atoms) : "";
}

void Evaluator::run_network(Graph graph, Keep keep)
{
  graph_ = std::move(graph);
  charge_response_.reset();
  dipole_response_ = {};
  const auto outputs = chain_.forward(graph_, keep);
  energy_ = outputs.energies;
  latents_ = outputs.latents;
}

void Evaluator::run_long_range(const Want &want)
{
  const int64_t n = graph_.n_owned;
  shifted_ = latents_;
  if (!long_range()) {
    const auto f64 = graph_.positions.options();
    far_ = {};
    far_.energy = torch::zeros({n}, f64);
    far_.by_latents.charge = torch::zeros_like(latents_.charge);
    far_.forces = torch::zeros({n, 3}, f64);
    far_.virial = torch::zeros({3, 3}, f64);
    far_.atom_virial = torch::zeros({n, 3, 3}, f64);
    return;
  }
  if (total_charge_.fixed()) shifted_.charge = total_charge_.shifted(latents_.charge);
  far_ = long_range_.compute(graph_.positions.narrow(0, 0, n), shifted_, graph_.cell,
                             want.atom_virial || want.centroid_virial);
}

// The energy by edge vectors, dE/d(latent) as weights of the latents; what the response needs in the same pass, where it can.
EdgeResponse Evaluator::run_backward(const Want &want)
{
  Quantity energy;
  energy.energy = true;
  energy.latents = far_.by_latents;
  const bool charged = long_range() != nullptr;
  if (want.centroid_virial) {
    energy.directions = torch::eye(3, torch::kFloat64);
    if (charged) {
      const Tensor x = graph_.positions.narrow(0, 0, graph_.n_owned);
      Tensor beside = 0.5 * long_range_.field_moments(x, shifted_, graph_.cell);    // [n, C, 3]
      if (total_charge_.fixed()) beside = total_charge_.moments_by_latents(beside, energy.latents.charge, x);
      energy.beside = beside.permute({2, 0, 1});
    }
  }
  if (total_charge_.fixed()) energy.latents.charge = total_charge_.by_latents(energy.latents.charge);

  std::vector<Quantity> quantities{energy};
  const BornSettings born = born_settings(torch::eye(3, torch::kFloat64));
  const bool response = want.response && charged, at_once = born.layers == 1 && !born.separates(graph_);
  if (response && at_once) {
    Quantity charge;
    charge.latents = charge_weights();
    quantities.push_back(charge);
  }
  Adjoint dipoles;
  const bool known = response && at_once && has_dipoles() && want.directions.defined();
  if (known) {
    dipoles = dipole_adjoint(born_settings(want.directions).directions, want.second_order);
    quantities.insert(quantities.end(), dipoles.quantities.begin(), dipoles.quantities.end());
  }
  // of several layers the response follows, once its directions are known; so does that of dipoles, if they are not
  const auto responses = chain_.backward(quantities, !response || (at_once && (known || !has_dipoles())));
  if (quantities.size() > 1) charge_response_ = responses[1];
  if (known) {
    std::vector<Tensor> gradients;
    for (size_t k = 2; k < responses.size(); k++)
      gradients.push_back(gradient_of(responses[k], dipoles, static_cast<int64_t>(k) - 2));
    dipole_response_ = {flagged(want.directions, want.second_order), torch::stack(gradients)};
  }
  return responses[0];
}

// Forces, energies, virial, most neighbors, one after the other, as gpu::tally has them
Tensor Evaluator::add_up(const Tensor &g, const Tensor &most) const
{
  const auto f64 = graph_.positions.options();
  Tensor strain;
  Tensor forces = on_atoms(graph_, g, &strain).neg_();
  forces.narrow(0, 0, graph_.n_owned) += far_.forces;
  // only with that of the long-range sum it would be symmetric by itself
  const Tensor virial = far_.virial - symmetric(strain);
  const Tensor energies = torch::stack({energy_.to(f64), far_.energy}, 1);
  return torch::cat({forces.view({-1}), energies.view({-1}), virial.view({-1}),
                     most.defined() ? most.to(f64).view({1}) : torch::zeros({1}, f64)});
}

// The virial of an edge is -r (x) g, half to either atom.
Result Evaluator::tally(const Want &want, const EdgeResponse &energy) const
{
  const int64_t n = graph_.n_owned, n_all = graph_.n_all();
  const auto f64 = graph_.positions.options();
  const Tensor &g = energy.total, &index = graph_.edge_index, &most = graph_.most_neighbors;
  // one copy from the device
  const Tensor all = to_host(
      kernels_ && graph_.row_length > 0
          ? gpu::tally({g, graph_.edge_vectors, index, far_.forces, far_.virial, energy_, far_.energy, most, n_all})
          : add_up(g, most));
  Result out;
  out.forces = all.narrow(0, 0, 3 * n_all).view({n_all, 3});
  out.energies = all.narrow(0, 3 * n_all, 2 * n).view({n, 2});
  out.virial = all.narrow(0, 3 * n_all + 2 * n, 9).view({3, 3});
  out.most_neighbors = static_cast<int64_t>(all[-1].item<double>());
  if (want.centroid_virial) out.centroid_virial = to_host(centroid_virial(graph_, energy, far_.atom_virial));
  if (want.atom_virial) {
    Tensor w = torch::zeros({n_all, 3, 3}, f64);
    const Tensor half = -0.5 * symmetric(graph_.edge_vectors.unsqueeze(2) * g.unsqueeze(1));
    add_rows(w, index[0], half, 1.0);
    add_rows(w, index[1], half, 1.0);
    w.narrow(0, 0, n) += far_.atom_virial;
    out.atom_virial = to_host(w);
  }
  return out;
}

Result Evaluator::evaluate(Graph graph, const Want &want, StepTimes &times)
{
  const bool moments = want.centroid_virial ||
                       (want.response && born_settings(torch::eye(3, torch::kFloat64)).needs_moments(graph));
  times.measure(StepTimes::NETWORK, [&] { run_network(std::move(graph), moments ? Keep::Moments : Keep::Gradients); });
  times.measure(StepTimes::LONG_RANGE, [&] { run_long_range(want); });
  const EdgeResponse energy = times.measure(StepTimes::BACKWARD, [&] { return run_backward(want); });
  return times.measure(StepTimes::TALLY, [&] { return tally(want, energy); });
}

void Evaluator::evaluate_charges(Graph graph, StepTimes &times)
{
  times.measure(StepTimes::NETWORK, [&] { run_network(std::move(graph), Keep::Nothing); });
  times.measure(StepTimes::LONG_RANGE, [&] { run_long_range({}); });
}

std::optional<std::pair<MeasuredMesh, MeshErrors>> Evaluator::take_mesh_errors()
{
  return long_range_.take_mesh_errors(far_, shifted_);
}

Stability Evaluator::stability() const
{
  const auto f64 = graph_.positions.options();
  const auto &[chi_of, kappa_of] = std::pair(shifted_.alpha, shifted_.kappa);
  const Tensor alpha = chi_of.defined() ? chi_of.to(f64).diagonal(0, 2, 3).sum() : torch::zeros({}, f64),
               kappa = kappa_of.defined() ? kappa_of.to(f64).sum() : torch::zeros({}, f64);
  const Tensor sums = to_host(comm_.sum(torch::stack({alpha, kappa})));
  const double strength = 2.0 * metadata().long_range.norm / std::abs(torch::linalg_det(graph_.cell).item<double>());
  Stability out;
  out.chi = strength * sums[0].item<double>() / 3.0;
  const double softness = strength * sums[1].item<double>();    // 2 N kappa_d, 1/A^2
  if (softness > 0.0) out.longest = 2.0 * M_PI * std::sqrt(std::max(0.0, 1.0 - out.chi) / softness);
  return out;
}

// P = eps^(1/2) P of the latents. Where the total charge is fixed, only charges without their mean are the network's; where the
// potential moves charges, the shift is differentiated with them.
BornSettings Evaluator::born_settings(const Tensor &directions) const
{
  BornSettings s;
  s.form = form_;
  s.layers = metadata().network.layers;
  s.softened = metadata().gives("kappa");
  s.remove_mean = metadata().response.remove_mean;
  s.mean_responds = s.remove_mean || (total_charge_.fixed() && !(s.softened && form_ == BornForm::Phase));
  s.directions = directions.matmul(sqrt_epsilon_);
  return s;
}

// That make the sum of the charges in e: of the network, with what the potential induces as it is
Latents Evaluator::charge_weights() const
{
  Latents weights;
  weights.charge = weights_.unsqueeze(0).expand({graph_.n_owned, -1});
  if (metadata().gives("kappa")) weights.kappa = -weights.charge * far_.potential;
  return weights;
}

Adjoint Evaluator::adjoint_of(const Tensor &charges, const Tensor &dipoles, bool second_order) const
{
  const auto typed = [&](const Tensor &w) { return w.defined() ? w.to(shifted_.charge.options()) : w; };
  Adjoint out = adjoint(long_range_, far_, graph_.positions.narrow(0, 0, graph_.n_owned), shifted_, graph_.cell,
                        typed(charges), typed(dipoles), second_order);
  if (!total_charge_.fixed()) return out;
  for (Quantity &quantity : out.quantities)
    if (quantity.latents.charge.defined()) quantity.latents.charge = total_charge_.by_latents(quantity.latents.charge);
  return out;
}

// Of the dipoles along directions [k, 3] that have the root of epsilon
Adjoint Evaluator::dipole_adjoint(const Tensor &directions, bool second_order) const
{
  const Tensor along = to_device(directions, weights_.device());
  const Tensor weights = (along.unsqueeze(1) * weights_.unsqueeze(1)).unsqueeze(1);    // [k, 1, C, 3]
  return adjoint_of(Tensor(), weights.expand({-1, graph_.n_owned, -1, -1}), second_order);
}

// By every atom held here [n_all, 3]: what comes through the network, and the forces beside it
Tensor Evaluator::gradient_of(const EdgeResponse &response, const Adjoint &adjoint, int64_t set) const
{
  Tensor gradient = on_atoms(graph_, response.total);
  if (adjoint.forces.defined()) gradient.narrow(0, 0, graph_.n_owned) += adjoint.forces[set];
  return gradient;
}

// [k, n_all, 3], if all of the directions were known when the energy was differentiated
Tensor Evaluator::known_dipole_response(const Tensor &directions, bool second_order) const
{
  const auto &[known, gradients] = dipole_response_;
  if (!known.defined()) return {};
  const Tensor asked = flagged(directions, second_order);
  const Tensor same = (asked.unsqueeze(1) == known.unsqueeze(0)).all(2).to(torch::kInt64);    // [k, known]
  if (!same.any(1).all().item<bool>()) return {};
  return gradients.index_select(0, same.argmax(1).to(gradients.device()));
}

Tensor Evaluator::born(const Tensor &directions, bool second_order)
{
  if (!long_range()) return torch::zeros({graph_.n_all(), directions.size(0), 3}, torch::kFloat64);
  const BornSettings settings = born_settings(directions);
  const bool separates = settings.separates(graph_);

  // ---- what is to be differentiated: charges, then dipoles
  std::vector<Quantity> quantities;
  Adjoint softened;
  if (separates) {
    const Tensor weights = born_weights(settings, graph_).unsqueeze(2) * weights_;    // [f, n, C]
    if (settings.softened) {
      softened = adjoint_of(weights, Tensor(), false);
      quantities = softened.quantities;
    } else
      for (const Tensor &w : weights.unbind()) quantities.emplace_back().latents.charge = w;
  } else if (!charge_response_) {
    Quantity &charge = quantities.emplace_back();
    charge.latents = charge_weights();
    if (settings.needs_moments(graph_)) charge.directions = settings.directions;
  }
  const size_t of_charges = quantities.size();
  Tensor of_dipoles = has_dipoles() ? known_dipole_response(directions, second_order) : Tensor();
  Adjoint dipoles;
  if (has_dipoles() && !of_dipoles.defined()) {
    dipoles = dipole_adjoint(settings.directions, second_order);
    quantities.insert(quantities.end(), dipoles.quantities.begin(), dipoles.quantities.end());
  }
  std::vector<EdgeResponse> responses;
  if (!quantities.empty()) responses = chain_.backward(quantities, true);

  // ---- from edges to atoms
  const EdgeResponse &sum = charge_response_ ? *charge_response_ : responses[0];
  std::vector<Tensor> gradients;    // [n_all, 3] by born_weights
  if (separates)
    for (size_t k = 0; k < of_charges; k++)
      gradients.push_back(gradient_of(responses[k], softened, static_cast<int64_t>(k)));
  else if (settings.form == BornForm::Phase && settings.mean_responds) gradients.push_back(on_atoms(graph_, sum.total));
  Tensor charges = shifted_.charge.to(torch::kFloat64);
  if (far_.charge_induced.defined()) charges = charges + far_.charge_induced.to(torch::kFloat64);
  Tensor rows = born_effective_charges(settings, graph_, charges.matmul(weights_), sum, gradients, comm_);
  if (!has_dipoles()) return to_host(rows.contiguous());
  if (!of_dipoles.defined()) {
    std::vector<Tensor> found;
    for (size_t k = of_charges; k < responses.size(); k++)
      found.push_back(gradient_of(responses[k], dipoles, static_cast<int64_t>(k - of_charges)));
    of_dipoles = torch::stack(found);
  }
  return to_host((rows + of_dipoles.transpose(0, 1)).contiguous());
}

}    // namespace les

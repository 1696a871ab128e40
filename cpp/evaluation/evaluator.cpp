#include "evaluator.h"

#include "host_copy.h"

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

}    // namespace

Evaluator::Evaluator(std::unique_ptr<Network> network, const EvaluatorSettings &settings, const Communicator &comm) :
    network_(std::move(network)), comm_(comm), form_(settings.bec.value_or(metadata().response.bec_form)),
    epsilon_inf_(settings.epsilon_inf.value_or(metadata().response.epsilon_inf)),
    chain_(*network_, settings.store_bytes), long_range_(parameters_of(metadata()), settings.kspace, comm),
    total_charge_(metadata().charges, comm), sqrt_epsilon_(square_root(epsilon_inf_))
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
  const auto outputs = chain_.forward(graph_, keep);
  energy_ = outputs[0];
  latents_ = outputs[1];
}

void Evaluator::run_long_range(const Want &want)
{
  const int64_t n = graph_.n_owned;
  charges_ = latents_;
  if (!long_range()) {
    const auto f64 = graph_.positions.options();
    far_ = {torch::zeros({n}, f64),
            {torch::zeros({n, 0}, latents_.options())},
            torch::zeros({n, 3}, f64),
            torch::zeros({3, 3}, f64),
            torch::zeros({n, 3, 3}, f64)};
    return;
  }
  if (total_charge_.fixed()) charges_ = total_charge_.shifted(latents_);
  far_ = long_range_.compute(graph_.positions.narrow(0, 0, n), {charges_}, graph_.cell,
                             want.atom_virial || want.centroid_virial);
}

// The energy by edge vectors, dE/d(charge) as weights of the charges; what the response needs in the same pass, where it can.
EdgeResponse Evaluator::run_backward(const Want &want)
{
  Quantity energy;
  energy.energy = true;
  energy.latents = potentials();
  const bool charged = long_range() != nullptr;
  if (want.centroid_virial) {
    energy.directions = torch::eye(3, torch::kFloat64);
    if (charged) {
      const Tensor x = graph_.positions.narrow(0, 0, graph_.n_owned);
      Tensor beside = 0.5 * long_range_.field_moments(x, {charges_}, graph_.cell);    // [n, C, 3]
      if (total_charge_.fixed()) beside = total_charge_.moments_by_latents(beside, energy.latents, x);
      energy.beside = beside.permute({2, 0, 1});
    }
  }
  if (total_charge_.fixed()) energy.latents = total_charge_.by_latents(energy.latents);

  std::vector<Quantity> quantities{energy};
  const bool one_layer = metadata().network.layers == 1;
  const bool response = want.response && charged;
  if (response && one_layer)
    quantities.push_back(born_quantities(born_settings(torch::eye(3, torch::kFloat64)), graph_, weights_)[0]);
  // of several layers the response follows, once its directions are known
  const auto responses = chain_.backward(quantities, !response || one_layer);
  if (quantities.size() > 1) charge_response_ = responses[1];
  return responses[0];
}

// The virial of an edge is -r (x) g, half to either atom.
Result Evaluator::tally(const Want &want, const EdgeResponse &energy) const
{
  const int64_t n = graph_.n_owned, n_all = graph_.n_all();
  const auto f64 = graph_.positions.options();
  const Tensor &g = energy.total, &index = graph_.edge_index;
  Tensor forces = torch::zeros({n_all, 3}, f64);
  add_rows(forces, index[0], g, 1.0);
  add_rows(forces, index[1], g, -1.0);
  forces.narrow(0, 0, n) += far_.forces;
  const Tensor virial = far_.virial - graph_.edge_vectors.t().matmul(g);
  const Tensor energies = torch::stack({energy_.to(f64), far_.energy}, 1);
  const Tensor most = graph_.most_neighbors.defined() ? graph_.most_neighbors.to(f64) : torch::zeros({}, f64);
  // one copy from the device
  const Tensor all = to_host(torch::cat({forces.view({-1}), energies.view({-1}), virial.view({-1}), most.view({1})}));
  Result out;
  out.forces = all.narrow(0, 0, 3 * n_all).view({n_all, 3});
  out.energies = all.narrow(0, 3 * n_all, 2 * n).view({n, 2});
  out.virial = all.narrow(0, 3 * n_all + 2 * n, 9).view({3, 3});
  out.most_neighbors = static_cast<int64_t>(all[-1].item<double>());
  if (want.centroid_virial) out.centroid_virial = to_host(centroid_virial(graph_, energy, far_.atom_virial));
  if (want.atom_virial) {
    Tensor w = torch::zeros({n_all, 3, 3}, f64);
    const Tensor half = -0.5 * graph_.edge_vectors.unsqueeze(2) * g.unsqueeze(1);
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
                       (want.response && needs_moments(born_settings(torch::eye(3, torch::kFloat64)), graph));
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
  return long_range_.take_mesh_errors(far_, {charges_});
}

// P = epsilon_inf^(1/2) P of the charges. Where the total charge is fixed, only charges without their mean are the network's.
BornSettings Evaluator::born_settings(const Tensor &directions) const
{
  const bool remove_mean = metadata().response.remove_mean || total_charge_.fixed();
  return {form_, metadata().network.layers, remove_mean, directions.matmul(sqrt_epsilon_)};
}

Tensor Evaluator::born(const Tensor &directions)
{
  if (!long_range()) return torch::zeros({graph_.n_all(), directions.size(0), 3}, torch::kFloat64);
  const BornSettings settings = born_settings(directions);
  std::vector<EdgeResponse> responses;
  if (charge_response_) responses = {*charge_response_};
  else responses = chain_.backward(born_quantities(settings, graph_, weights_), true);
  const Tensor charges = latents_.to(torch::kFloat64).matmul(weights_);
  Tensor rows = born_effective_charges(settings, graph_, charges, responses, comm_);
  if (total_charge_.fixed() && !metadata().response.remove_mean)
    rows.narrow(0, 0, graph_.n_owned) +=
        total_charge_.per_atom(graph_.n_owned, rows.options()) * to_device(settings.directions, rows.device());
  return to_host(rows.contiguous());
}

}    // namespace les

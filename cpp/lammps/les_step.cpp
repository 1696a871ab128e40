#include "les_step.h"

#include "host_copy.h"

#include <cmath>
#include <limits>

namespace les {

using torch::Tensor;

LongRangeParameters LesStep::parameters() const
{
  const Metadata &i = info();
  return {i.sigma, i.dl, i.norm, i.remove_self, i.self_factor, i.open_shift};
}

double LesStep::epsilon_inf() const { return settings.epsilon_inf > 0.0 ? settings.epsilon_inf : info().epsilon_inf; }

BornForm LesStep::born_form() const
{
  return settings.born.value_or(info().bec_form == "phase" ? BornForm::Phase : BornForm::Local);
}

std::string LesStep::choose_solver(bool periodic, const Tensor &box, double n_atoms)
{
  coupling_weights_ = Tensor();
  periodic_ = periodic;
  if (info().channels == 0) return "";
  if (!sum_) sum_ = std::make_unique<LongRangeSum>(parameters(), settings.kspace, comm);
  return sum_->choose({periodic, periodic, periodic}, box, n_atoms);
}

bool LesStep::selects_edges() const
{
  return settings.edges == EdgeChoice::Rebuild || (settings.edges == EdgeChoice::Auto && !model->device().is_cpu());
}

void LesStep::build_graph(const LocalGraph::Atoms &atoms, const LocalGraph::Neighbors &list,
                          const std::vector<int> &species_of_type)
{
  graph.build(atoms, list, species_of_type, info().cutoff, info().layers);
  has_autograd_ = false;
  charge_gradient_ = Tensor();
  listed_ = {};
  rows_ = {};
  const auto device = model->device();
  species_ = to_device(graph.species(), device);
  positions = to_device(graph.positions(), device);
  edge_vectors = to_device(graph.edge_vectors(), device);
  edge_index = to_device(graph.edge_index(), device);
}

void LesStep::list_edges(const LocalGraph::Atoms &atoms, const LocalGraph::Neighbors &list,
                         const std::vector<int> &species_of_type)
{
  graph.build(atoms, list, species_of_type, std::numeric_limits<double>::infinity(), info().layers);
  const auto device = model->device();
  species_ = to_device(graph.species(), device);
  listed_.graph_atoms = to_device(graph.atoms(), device);
  if (model->takes_rows()) {
    rows_.list(graph, info().cutoff, device);
    return;
  }
  rows_ = {};
  listed_.index = to_device(graph.edge_index(), device);
  listed_.atoms = to_device(graph.edge_atoms(), device);
}

void LesStep::select_edges(const LocalGraph::Atoms &atoms)
{
  has_autograd_ = false;
  charge_gradient_ = Tensor();
  const Tensor host = torch::from_blob(atoms.nall ? atoms.x[0] : nullptr, {atoms.nall, 3}, torch::kFloat64);
  const Tensor x = to_device(host, model->device());
  positions = x.index_select(0, listed_.graph_atoms);
  if (rows_.listed()) {
    selected_ = rows_.select(x);
    edge_vectors = selected_.vectors.view({-1, 3});
    edge_index = torch::stack({rows_.centers(), selected_.neighbors.view({-1})});
    return;
  }
  const Tensor vectors = x.index_select(0, listed_.atoms[1]) - x.index_select(0, listed_.atoms[0]);
  Tensor near = vectors.square().sum(1) < info().cutoff * info().cutoff;
  if (info().layers > 1) {    // of the edges of ghosts, those of ghosts that fewer than `layers` of these edges reach
    Tensor reached = torch::zeros({graph.n_all()}, near.options());
    reached.narrow(0, 0, graph.n_owned()).fill_(true);
    for (int ring = 1; ring < info().layers; ring++) {
      const Tensor ways = (near & reached.index_select(0, listed_.index[0])).to(torch::kInt32);
      reached |= torch::zeros({graph.n_all()}, ways.options()).index_add_(0, listed_.index[1], ways) > 0;
    }
    near &= reached.index_select(0, listed_.index[0]);
  }
  const Tensor kept = near.nonzero().select(1, 0);
  edge_vectors = vectors.index_select(0, kept);
  edge_index = listed_.index.index_select(1, kept);
}

bool LesStep::outgrew_rows(int64_t most_neighbors)
{
  if (!selects_edges() || !model->takes_rows()) return false;
  const Tensor outgrown = torch::full({1}, most_neighbors > rows_.width(), torch::kInt64);
  if (comm.sum(outgrown).item<int64_t>() == 0) return false;
  if (most_neighbors > rows_.width()) rows_.widen(most_neighbors);
  return true;
}

void LesStep::run_network(const Want &want)
{
  // what a rank without atoms takes into the collective steps
  const int n = graph.n_owned();
  const auto options = torch::dtype(model->dtype()).device(model->device());
  latents = {torch::zeros({n}, options), torch::zeros({n, info().channels}, options), {}};
  if (n == 0) return;
  if (rows_.listed()) {
    latents = model->latents_in_rows(selected_.vectors, species_.index_select(0, edge_index[1]).view({n, -1}),
                                     species_.narrow(0, 0, n));
    return;
  }
  const bool by_layer = (want.response && needs_layers()) || (want.centroid_virial && info().layers > 1);
  latents = model->latents(edge_vectors, edge_index, species_, n, by_layer);
}

// Means [channels] over the atoms of all ranks, and the number of these atoms [].
std::pair<Tensor, Tensor> LesStep::system_mean(const Tensor &values) const
{
  const Tensor own = values.to(torch::kFloat64).sum(0);
  const Tensor count = torch::full({1}, static_cast<double>(values.size(0)), own.options());
  const Tensor totals = comm.sum(torch::cat({own, count}));
  const Tensor atoms = totals[-1].clamp_min(1.0);
  return {totals.narrow(0, 0, own.size(0)) / atoms, atoms};
}

void LesStep::run_long_range(const Want &want)
{
  const int n = graph.n_owned();
  charges = latents.charge;
  if (!sum_) {
    const auto f64 = positions.options();
    long_range = {torch::zeros({n}, f64), torch::zeros_like(charges).unsqueeze(2), torch::zeros({n, 3}, f64),
                  torch::zeros({3, 3}, f64), torch::zeros({n, 3, 3}, f64)};
    charge_weights_ = long_range.fields.squeeze(2);
    moment_weights_ = torch::zeros({n, charges.size(1), 3}, f64);
    return;
  }
  if (info().total_charge) {
    const auto [mean, count] = system_mean(charges);
    const double target = info().charge_sign[0] * *info().total_charge / info().charge_unit;
    charges = charges + (target / count - mean).to(charges.options());
  }
  const Tensor x = positions.narrow(0, 0, n), sources = charges.unsqueeze(2);
  long_range = sum_->compute(x, sources, cell, want.atom_virial || want.centroid_virial);
  charge_weights_ = long_range.fields.squeeze(2);
  if (want.centroid_virial) moment_weights_ = 0.5 * sum_->field_moments(x, sources, cell);
  if (info().total_charge) {    // the shift responds to the charges of all atoms
    const Tensor shared = system_mean(charge_weights_).first;
    charge_weights_ = charge_weights_ - shared.to(charge_weights_.options());
    if (want.centroid_virial) {    // and the energy of an atom at r_k to the charge at r_j, wherever they are
      const Tensor r = x.unsqueeze(1), phi = long_range.fields.to(torch::kFloat64);
      const Tensor mean = system_mean((moment_weights_ + r * phi).flatten(1)).first.view({1, -1, 3});
      moment_weights_ += r * shared.view({1, -1, 1}) - mean;
    }
  }
}

// Q = sqrt(epsilon_inf) charge_unit charge_sign q
const Tensor &LesStep::coupling_weights()
{
  if (coupling_weights_.defined()) return coupling_weights_;
  const Tensor sign = torch::tensor(info().charge_sign, torch::kFloat64);
  coupling_weights_ = to_device(info().charge_unit * std::sqrt(epsilon_inf()) * sign, model->device());
  return coupling_weights_;
}

void LesStep::run_pull_back(const Want &want)
{
  edge_gradient = torch::zeros_like(edge_vectors);
  if (want.centroid_virial)
    energy_response_ = {edge_gradient, torch::zeros({edge_vectors.size(0), 3, 3}, edge_vectors.options())};
  if (latents.parts.empty()) return;
  // with one layer, Born effective charges and heat flux need a few pull-backs with weights that are known already
  const bool one_layer = info().layers == 1;
  std::vector<Tensor> weights{charge_weights_};
  if (want.response && one_layer)
    weights.push_back(coupling_weights().expand({graph.n_owned(), -1}).to(charge_weights_.options()));
  const size_t first_moment = weights.size();
  const bool moments = want.centroid_virial && one_layer && info().channels > 0;
  if (moments)
    for (int a = 0; a < 3; a++) weights.push_back(moment_weights_.select(2, a).to(charge_weights_.options()));
  has_autograd_ = want.response && !one_layer;
  const bool layers_follow = want.centroid_virial && !one_layer;
  const auto gradients = model->pull_back(latents, weights, true, has_autograd_ || layers_follow);
  edge_gradient = gradients[0];
  if (want.response && one_layer) charge_gradient_ = gradients[1];
  if (!want.centroid_virial) return;
  energy_response_.total = edge_gradient;
  if (moments)
    energy_response_.moment =
        torch::stack({gradients[first_moment], gradients[first_moment + 1], gradients[first_moment + 2]}, 1);
  if (layers_follow) respond_in_energy(has_autograd_);
}

// Several layers: the weights pass from one to the next, relative to the edges.
void LesStep::respond_in_energy(bool keep_graph)
{
  const Latents::Part &all = latents.parts.front();
  const auto type = all.charge.options();
  const LayeredOutputs layered{torch::cat({all.energy.unsqueeze(1), all.charge}, 1), all.cuts, all.taken,
                               all.edge_vectors};
  const Tensor one = torch::ones({graph.n_owned(), 1}, type), none = torch::zeros_like(one);
  Weights weights{torch::cat({one, charge_weights_.to(type)}, 1), {}};
  for (int a = 0; a < 3; a++) weights.beside.push_back(torch::cat({none, moment_weights_.select(2, a).to(type)}, 1));
  energy_response_ = edge_response(layered, weights, torch::eye(3, torch::kFloat64), keep_graph);
  // the method of the file is there for charges: energies may depend on the edges on ways that it does not tell of
  const double whole = edge_gradient.norm().item<double>(),
               missing = (energy_response_.total - edge_gradient).norm().item<double>();
  if (missing > 1e-3 * whole)
    throw ModelFileError("the layers of the model's energies cannot be told apart ('latents_by_layer' gives those of "
                         "its charges only), so there is no heat flux");
}

// The virial of an edge is -r (x) g, half to either atom.
Tally LesStep::tally(const Want &want) const
{
  const int64_t n = graph.n_owned(), n_all = graph.n_all();
  const auto f64 = positions.options();
  Tensor forces = torch::zeros({n_all, 3}, f64);
  add_rows(forces, edge_index[0], edge_gradient, 1.0);
  add_rows(forces, edge_index[1], edge_gradient, -1.0);
  forces.narrow(0, 0, n) += long_range.forces;
  const Tensor virial = long_range.virial - edge_vectors.t().matmul(edge_gradient);
  const Tensor energies = torch::stack({latents.energy.to(f64), long_range.energy}, 1);
  // one copy from the device
  const Tensor most = rows_.listed() ? selected_.most.to(f64) : torch::zeros({}, f64);
  const Tensor all = to_host(torch::cat({forces.view({-1}), energies.view({-1}), virial.view({-1}), most.view({1})}));
  Tally out{all.narrow(0, 0, 3 * n_all).view({n_all, 3}),
            all.narrow(0, 3 * n_all, 2 * n).view({n, 2}),
            all.narrow(0, 3 * n_all + 2 * n, 9).view({3, 3}),
            {},
            {},
            static_cast<int64_t>(all[-1].item<double>())};
  if (want.centroid_virial) {
    const AtomsAndEdges atoms{positions, n, edge_vectors, edge_index};
    out.centroid_virial = to_host(centroid_virial(atoms, energy_response_, long_range.atom_virial));
  }
  if (want.atom_virial) {
    Tensor w = torch::zeros({n_all, 3, 3}, f64);
    const Tensor half = -0.5 * edge_vectors.unsqueeze(2) * edge_gradient.unsqueeze(1);
    add_rows(w, edge_index[0], half, 1.0);
    add_rows(w, edge_index[1], half, 1.0);
    w.narrow(0, 0, n) += long_range.atom_virial;
    out.atom_virial = to_host(w);
  }
  return out;
}

void LesStep::forget_graph()
{
  if (!has_autograd_) latents.parts.clear();
}

Tensor LesStep::born_rows(const Tensor &directions)
{
  if (!has_autograd_ && !charge_gradient_.defined()) run_network({.response = true});
  has_autograd_ = false;
  const Tensor weights = coupling_weights();
  const Tensor coupling = latents.charge.to(torch::kFloat64).matmul(weights);
  ChargeResponse response;
  response.pull_back = [&](const Tensor &w) {
    if (charge_gradient_.defined()) return charge_gradient_;
    if (latents.parts.empty()) return torch::zeros_like(edge_vectors);
    return model->pull_back(latents, {w.unsqueeze(1) * weights}, false, info().layers > 1)[0];
  };
  response.by_layer = [&] {
    const int64_t k = directions.size(0), n_edges = edge_vectors.size(0);
    if (latents.parts.empty())
      return EdgeResponse{torch::zeros_like(edge_vectors), torch::zeros({n_edges, k, 3}, edge_vectors.options())};
    const Latents::Part &all = latents.parts.front();
    const Tensor coupled = all.charge.matmul(weights.to(all.charge.options())).unsqueeze(1);
    return edge_response({coupled, all.cuts, all.taken, all.edge_vectors}, {torch::ones_like(coupled), {}},
                         to_device(directions, model->device()), false);
  };
  // where the total charge is fixed, only charges without their mean are the network's
  const bool remove_mean = info().remove_mean || info().total_charge;
  const BornSettings born{born_form(), info().layers, remove_mean, periodic_, cell, directions};
  const AtomsAndEdges atoms{positions, graph.n_owned(), edge_vectors, edge_index};
  Tensor rows = born_effective_charges(born, atoms, coupling, response, comm);
  if (info().total_charge && !info().remove_mean) {
    const Tensor share = std::sqrt(epsilon_inf()) * *info().total_charge / system_mean(coupling.unsqueeze(1)).second;
    rows.narrow(0, 0, graph.n_owned()) += share * to_device(directions, model->device());
  }
  latents.parts.clear();
  return to_host(rows.contiguous());
}

}    // namespace les

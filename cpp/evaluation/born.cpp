#include "born.h"

#include "host_copy.h"

#include <cmath>

namespace les {

using torch::Tensor;

namespace {

constexpr double TWO_PI = 2.0 * M_PI;

bool has_period(const Graph &graph) { return graph.periodic[0] || graph.periodic[1] || graph.periodic[2]; }

Tensor tensor_product(const Tensor &a, const Tensor &b) { return a.unsqueeze(2) * b.unsqueeze(1); }    // [., k, 3]

// The phase form lives on the three lattice axes m; `lattice` turns axis components into Cartesian ones.
struct PhaseBasis {
  Tensor lattice;    // [3, 3] cell / 2 pi, rows m
  Tensor inverse;    // [3, 3] 2 pi times the inverse cell: angles = r inverse
  std::array<bool, 3> periodic;

  explicit PhaseBasis(const Graph &graph) :
      lattice(to_device(graph.cell / TWO_PI, graph.positions.device())),
      inverse(to_device(TWO_PI * torch::inverse(graph.cell), graph.positions.device())), periodic(graph.periodic)
  {
  }
  Tensor angles(const Tensor &r) const { return r.matmul(inverse); }             // [., m]
  Tensor cartesian(const Tensor &axes) const { return axes.matmul(lattice); }    // [., a]
  // w on the lattice axes: the sine of the angle, and the angle itself along an axis without period
  Tensor weights(const Tensor &angles) const
  {
    std::vector<Tensor> axes;
    for (int m = 0; m < 3; m++) axes.push_back(periodic[m] ? angles.select(1, m).sin() : angles.select(1, m));
    return torch::stack(axes, 1);
  }
};

// The lattice axes that the directions have a part along, on the host: [m, k]
Tensor shares_of_axes(const BornSettings &s, const Graph &graph)
{
  return (graph.cell / TWO_PI).matmul(s.directions.t());
}

bool has_share(const Tensor &shares, int axis) { return (shares[axis] != 0.0).any().item<bool>(); }

// sum_j w_a(r_j - r) over the atoms of the whole system, at every r held here.  [n_all, 3]
Tensor weight_sums(const Graph &graph, const Tensor &n_total, const Communicator &comm)
{
  const PhaseBasis basis(graph);
  const Tensor angle = basis.angles(graph.positions);
  const Tensor own = angle.narrow(0, 0, graph.n_owned);
  const Tensor total = comm.sum(torch::stack({own.cos().sum(0), own.sin().sum(0), own.sum(0)}));    // [3, m]
  std::vector<Tensor> axes;
  for (int m = 0; m < 3; m++) {
    const Tensor a = angle.select(1, m), sums = total.select(1, m);
    // Im[exp(-i angle) sum exp(i angle_j)]
    axes.push_back(basis.periodic[m] ? a.cos() * sums[1] - a.sin() * sums[0] : sums[2] - n_total * a);
  }
  return basis.cartesian(torch::stack(axes, 1));
}

// w(r_j - r_i) = Im[exp(i r_j) exp(-i r_i)] on the lattice axes; along one without period, r_j - r_i
void add_phases(Tensor &z, const BornSettings &s, const Graph &graph, const std::vector<Tensor> &gradients)
{
  const PhaseBasis basis(graph);
  const Tensor angle = basis.angles(graph.positions);
  const Tensor shares = shares_of_axes(s, graph), on_device = to_device(shares, z.device());
  size_t next = 1;
  for (int m = 0; m < 3; m++) {
    if (!has_share(shares, m)) continue;
    const Tensor a = angle.select(1, m).unsqueeze(1), first = gradients[next++];
    const Tensor axis = basis.periodic[m] ? a.cos() * first - a.sin() * gradients[next++]
                                          : first - a * gradients[0];    // [n_all, b]
    z += tensor_product(on_device[m].unsqueeze(0).expand({axis.size(0), -1}), axis);
  }
}

}    // namespace

bool BornSettings::separates(const Graph &graph) const
{
  return form == BornForm::Phase && (softened || (layers > 1 && has_period(graph)));
}

bool BornSettings::needs_moments(const Graph &graph) const { return layers > 1 && !separates(graph); }

Tensor born_weights(const BornSettings &s, const Graph &graph)
{
  const Tensor x = graph.positions.narrow(0, 0, graph.n_owned);
  std::vector<Tensor> functions{torch::ones({graph.n_owned}, x.options())};
  if (!s.separates(graph)) return torch::stack(functions);
  const PhaseBasis basis(graph);
  const Tensor angle = basis.angles(x), shares = shares_of_axes(s, graph);
  for (int m = 0; m < 3; m++) {
    if (!has_share(shares, m)) continue;
    const Tensor a = angle.select(1, m);
    for (const Tensor &f : basis.periodic[m] ? std::vector{a.sin(), a.cos()} : std::vector{a}) functions.push_back(f);
  }
  return torch::stack(functions);
}

// On its way over the edge (c, j) to j the displacement grows by -r_cj.
void add_edge_response(Tensor &out, const Graph &graph, const Tensor &along_edges, const EdgeResponse &response)
{
  add_products(out, graph.edge_index[1], along_edges, response.total, -1.0);
  if (!response.moment.defined()) return;
  add_rows(out, graph.edge_index[1], response.moment, 1.0);
  add_rows(out, graph.edge_index[0], response.moment, -1.0);
}

Tensor born_effective_charges(const BornSettings &s, const Graph &graph, const Tensor &charges, const EdgeResponse &sum,
                              const std::vector<Tensor> &gradients, const Communicator &comm)
{
  const auto options = graph.positions.options();
  const Tensor directions = to_device(s.directions, options.device());

  const Tensor own = torch::stack({charges.sum(), torch::full({}, static_cast<double>(graph.n_owned), options)});
  const Tensor totals = comm.sum(own), n_total = totals[1].clamp_min(1.0);
  const Tensor diagonal = s.remove_mean ? charges - totals[0] / n_total : charges;

  Tensor z = torch::zeros({graph.n_all(), directions.size(0), 3}, options);
  if (s.separates(graph)) add_phases(z, s, graph, gradients);
  else {
    Tensor w = graph.edge_vectors;
    if (s.form == BornForm::Phase && has_period(graph)) {
      const PhaseBasis basis(graph);
      w = basis.cartesian(basis.weights(basis.angles(w)));
    }
    add_edge_response(z, graph, w.matmul(directions.t()), sum);
  }
  if (s.form == BornForm::Phase && s.mean_responds) {    // collective: no rank may leave it out
    const Tensor sums = weight_sums(graph, n_total, comm).matmul(directions.t());
    z -= tensor_product(sums, gradients[0]) / n_total;
  }
  z.narrow(0, 0, graph.n_owned) += diagonal.view({-1, 1, 1}) * directions.unsqueeze(0);
  return z;
}

}    // namespace les

#include "born.h"

#include "host_copy.h"

#include <cmath>

namespace les {

using torch::Tensor;

namespace {

constexpr double TWO_PI = 2.0 * M_PI;

// d(sum weights Q)/dr of every atom held here, from its edge gradients: + on the neighbor, - on the center.  [n_all, 3]
Tensor on_atoms(const AtomsAndEdges &atoms, const Tensor &edge_gradient)
{
  Tensor out = torch::zeros_like(atoms.positions);
  add_rows(out, atoms.edge_index[1], edge_gradient, 1.0);
  add_rows(out, atoms.edge_index[0], edge_gradient, -1.0);
  return out;
}

Tensor tensor_product(const Tensor &a, const Tensor &b) { return a.unsqueeze(2) * b.unsqueeze(1); }    // [., k, 3]

// Components of vectors [., 3] along the directions [., k]
Tensor along(const BornSettings &s, const Tensor &vectors) { return vectors.matmul(s.directions.t()); }

bool mean_responds(const BornSettings &s) { return s.form == BornForm::Phase && s.remove_mean; }

// The phase form lives on the three lattice axes m; `lattice` turns axis components into Cartesian ones.
struct PhaseBasis {
  Tensor lattice;    // [3, 3] cell / 2 pi, rows m
  Tensor inverse;    // [3, 3] 2 pi times the inverse cell: angles = r inverse

  PhaseBasis(const Tensor &cell, const torch::Device &device) :
      lattice(to_device(cell / TWO_PI, device)), inverse(to_device(TWO_PI * torch::inverse(cell), device))
  {
  }
  Tensor angles(const Tensor &r) const { return r.matmul(inverse); }             // [., m]
  Tensor cartesian(const Tensor &axes) const { return axes.matmul(lattice); }    // [., a]
};

// sum_j w_a(r_j - r) over the atoms of the whole system, at every r held here.  [n_all, 3]
Tensor weight_sums(const BornSettings &s, const AtomsAndEdges &atoms, const Tensor &n_total, const Communicator &comm)
{
  const Tensor owned = atoms.positions.narrow(0, 0, atoms.n_owned);
  if (!s.periodic) return comm.sum(owned.sum(0)) - n_total * atoms.positions;
  const PhaseBasis basis(s.cell, atoms.positions.device());
  const Tensor angle = basis.angles(atoms.positions);
  const Tensor own = angle.narrow(0, 0, atoms.n_owned);
  const Tensor total = comm.sum(torch::stack({own.cos().sum(0), own.sin().sum(0)}));    // re, im [2, 3]
  // Im[exp(-i angle) total]
  return basis.cartesian(angle.cos() * total[1] - angle.sin() * total[0]);
}

// One layer: Z_j += w(-r_cj) (x) h_cj
void add_one_layer(Tensor &z, Tensor &q_response, const BornSettings &s, const AtomsAndEdges &atoms,
                   const ChargeResponse &response)
{
  const Tensor ones = torch::ones({atoms.n_owned}, atoms.positions.options());
  const Tensor h = response.pull_back(ones);
  Tensor w = atoms.edge_vectors;
  if (s.form == BornForm::Phase && s.periodic) {
    const PhaseBasis basis(s.cell, w.device());
    w = basis.cartesian(basis.angles(w).sin());
  }
  add_products(z, atoms.edge_index[1], along(s, w), h, -1.0);
  if (mean_responds(s)) q_response = on_atoms(atoms, h);
}

// More layers, w the displacement
void add_layers(Tensor &z, Tensor &q_response, const BornSettings &s, const AtomsAndEdges &atoms,
                const ChargeResponse &response)
{
  const EdgeResponse edges = response.by_layer();
  add_edge_response(z, atoms, along(s, atoms.edge_vectors), edges);
  if (mean_responds(s)) q_response = on_atoms(atoms, edges.total);
}

// More layers, phase form: w(r_j - r_i) = Im[exp(i r_j) exp(-i r_i)] on the lattice axes. `directions` on the host
void add_phases(Tensor &z, Tensor &q_response, const BornSettings &s, const Tensor &directions,
                const AtomsAndEdges &atoms, const ChargeResponse &response)
{
  const Tensor &r = atoms.positions;
  const auto pulled = [&](const Tensor &f) {
    return on_atoms(atoms, response.pull_back(f.narrow(0, 0, atoms.n_owned)));
  };
  if (mean_responds(s)) q_response = pulled(torch::ones({r.size(0)}, r.options()));
  const PhaseBasis basis(s.cell, r.device());
  const Tensor angle = basis.angles(r), cosine = angle.cos(), sine = angle.sin();
  const Tensor shares = (s.cell / TWO_PI).matmul(directions.t());    // [m, k], of the lattice axes
  const Tensor on_device = to_device(shares, r.device());
  for (int m = 0; m < 3; m++) {
    if ((shares[m] == 0.0).all().item<bool>()) continue;
    const Tensor c = cosine.select(1, m).unsqueeze(1), d = sine.select(1, m).unsqueeze(1);    // [n_all, 1]
    const Tensor axis = c * pulled(sine.select(1, m)) - d * pulled(cosine.select(1, m));      // [n_all, b]
    z += tensor_product(on_device[m].unsqueeze(0).expand({axis.size(0), -1}), axis);
  }
}

}    // namespace

// On its way over the edge (c, j) to j the displacement grows by -r_cj.
void add_edge_response(Tensor &out, const AtomsAndEdges &atoms, const Tensor &along_edges, const EdgeResponse &response)
{
  add_products(out, atoms.edge_index[1], along_edges, response.total, -1.0);
  add_rows(out, atoms.edge_index[1], response.moment, 1.0);
  add_rows(out, atoms.edge_index[0], response.moment, -1.0);
}

void add_rows(Tensor &out, const Tensor &index, const Tensor &rows, double scale)
{
  if (!out.is_cpu()) {
    out.index_add_(0, index, rows, scale);
    return;
  }
  const Tensor source = rows.contiguous(), target = index.contiguous();
  TORCH_CHECK(out.is_contiguous() && out.scalar_type() == torch::kFloat64 && source.scalar_type() == torch::kFloat64);
  const int64_t n = target.size(0), width = n ? source.numel() / n : 0;
  const int64_t *to = target.data_ptr<int64_t>();
  const double *from = source.data_ptr<double>();
  double *sum = out.data_ptr<double>();
  for (int64_t e = 0; e < n; e++)
    for (int64_t k = 0; k < width; k++) sum[to[e] * width + k] += scale * from[e * width + k];
}

void add_products(Tensor &out, const Tensor &index, const Tensor &a, const Tensor &b, double scale)
{
  if (!out.is_cpu()) {
    out.index_add_(0, index, tensor_product(a, b), scale);
    return;
  }
  const Tensor left = a.contiguous(), right = b.contiguous(), target = index.contiguous();
  TORCH_CHECK(out.is_contiguous() && out.scalar_type() == torch::kFloat64 && left.scalar_type() == torch::kFloat64 &&
              right.scalar_type() == torch::kFloat64);
  const int64_t n = target.size(0), k = left.size(1);
  const int64_t *to = target.data_ptr<int64_t>();
  const double *x = left.data_ptr<double>(), *y = right.data_ptr<double>();
  double *sum = out.data_ptr<double>();
  for (int64_t e = 0; e < n; e++)
    for (int64_t i = 0; i < k; i++)
      for (int64_t j = 0; j < 3; j++) sum[(to[e] * k + i) * 3 + j] += scale * x[k * e + i] * y[3 * e + j];
}

Tensor born_effective_charges(const BornSettings &settings, const AtomsAndEdges &atoms, const Tensor &coupling_charges,
                              const ChargeResponse &response, const Communicator &comm)
{
  const auto options = atoms.positions.options();
  const int64_t n_all = atoms.positions.size(0);
  BornSettings s = settings;
  s.directions = to_device(settings.directions, options.device());

  const Tensor own =
      torch::stack({coupling_charges.sum(), torch::full({}, static_cast<double>(atoms.n_owned), options)});
  const Tensor totals = comm.sum(own), n_total = totals[1].clamp_min(1.0);
  const Tensor charges = s.remove_mean ? coupling_charges - totals[0] / n_total : coupling_charges;

  Tensor z = torch::zeros({n_all, s.directions.size(0), 3}, options);
  Tensor q_response;    // dQ_tot/dr [n_all, 3], this rank's charges
  if (needs_layers(s.form, s.layers, s.periodic)) add_layers(z, q_response, s, atoms, response);
  else if (s.layers == 1) add_one_layer(z, q_response, s, atoms, response);
  else add_phases(z, q_response, s, settings.directions, atoms, response);

  if (mean_responds(s))    // collective: no rank may leave it out
    z -= tensor_product(along(s, weight_sums(s, atoms, n_total, comm)), q_response) / n_total;

  z.narrow(0, 0, atoms.n_owned) += charges.view({-1, 1, 1}) * s.directions.unsqueeze(0);
  return z;
}

}    // namespace les

// The evaluator on whole systems, in one process.

#include "evaluator.h"

#include <torch/extension.h>

namespace py = pybind11;
using torch::Tensor;

namespace {

const les::SerialCommunicator serial;

std::optional<les::BornForm> form_of(const std::optional<std::string> &name)
{
  if (!name) return {};
  if (*name != "local" && *name != "phase")
    throw std::invalid_argument("bec must be 'local' or 'phase', got '" + *name + "'");
  return *name == "local" ? les::BornForm::Local : les::BornForm::Phase;
}

std::optional<std::array<double, 9>> epsilon_of(const std::optional<Tensor> &tensor)
{
  if (!tensor) return {};
  const Tensor e = tensor->to(torch::kCPU, torch::kFloat64).contiguous();
  TORCH_CHECK(e.numel() == 9, "epsilon_inf: expected a tensor [3, 3]");
  std::array<double, 9> out{};
  std::copy_n(e.data_ptr<double>(), 9, out.begin());
  return out;
}

// Atoms of one system; edges of those that are not owned are there for networks of one uncut piece.
les::Graph graph_of(const Tensor &positions, int64_t n_owned, const Tensor &species, const Tensor &edge_vectors,
                    const Tensor &edge_index, const std::optional<Tensor> &cell)
{
  const auto own = [](const Tensor &t) {
    return t.is_inference() ? t.clone() : t;
  };    // they may become leaves of a graph
  les::Graph graph;
  graph.n_owned = n_owned;
  graph.positions = own(positions);
  graph.species = own(species);
  graph.edge_vectors = own(edge_vectors);
  graph.edge_index = own(edge_index);
  TORCH_CHECK((edge_index[0].diff() >= 0).all().item<bool>(), "edge_index: expected edges sorted by center");
  const Tensor count = torch::bincount(edge_index[0], {}, positions.size(0));
  const Tensor ends = count.cumsum(0).to(torch::kCPU);
  graph.first.assign(ends.data_ptr<int64_t>(), ends.data_ptr<int64_t>() + ends.size(0));
  graph.first.insert(graph.first.begin(), 0);
  graph.rings = {n_owned};
  graph.periodic.fill(cell.has_value());
  graph.cell = cell ? cell->to(torch::kCPU, torch::kFloat64) : torch::eye(3, torch::kFloat64);
  return graph;
}

class SystemEvaluator {
 public:
  SystemEvaluator(const std::string &path, const std::string &device, const std::optional<std::string> &bec,
                  const std::optional<Tensor> &epsilon_inf, const std::string &kspace, double store)
  {
    const c10::InferenceMode off(false);
    evaluator_ =
        std::make_unique<les::Evaluator>(les::load_network(path, les::read_model_file(path), torch::Device(device)),
                                         settings(bec, epsilon_inf, kspace, store), serial);
  }

  py::dict evaluate(const Tensor &positions, int64_t n_owned, const Tensor &species, const Tensor &edge_vectors,
                    const Tensor &edge_index, const std::optional<Tensor> &cell,
                    const std::optional<Tensor> &reference_cell, bool bec, bool atom_virial, bool centroid_virial)
  {
    const c10::InferenceMode off(false);    // which the caller may have switched on
    les::Graph graph = graph_of(positions, n_owned, species, edge_vectors, edge_index, cell);
    const les::Want want{bec, atom_virial, centroid_virial};
    les::Result result;
    Tensor born;
    {
      py::gil_scoped_release free;
      const Tensor box = reference_cell ? *reference_cell : graph.cell;
      evaluator_->begin_run(graph.periodic, box, static_cast<double>(n_owned));
      if (evaluator_->long_range()) evaluator_->long_range()->set_up_from(box);
      result = evaluator_->evaluate(std::move(graph), want, times_);
      if (bec) born = evaluator_->born(torch::eye(3, torch::kFloat64));
    }
    py::dict out;
    out["energies"] = result.energies;
    out["forces"] = result.forces;
    out["virial"] = result.virial;
    out["charges"] = evaluator_->charges();
    out["potentials"] = evaluator_->potentials();
    if (bec) out["bec"] = born;
    if (atom_virial) out["atom_virial"] = result.atom_virial;
    if (centroid_virial) out["centroid_virial"] = result.centroid_virial;
    return out;
  }

 private:
  std::unique_ptr<les::Evaluator> evaluator_;
  les::StepTimes times_;

  static les::EvaluatorSettings settings(const std::optional<std::string> &bec,
                                         const std::optional<Tensor> &epsilon_inf, const std::string &kspace,
                                         double store)
  {
    les::EvaluatorSettings s;
    s.bec = form_of(bec);
    s.epsilon_inf = epsilon_of(epsilon_inf);
    if (kspace != "auto" && kspace != "direct" && kspace != "mesh")
      throw std::invalid_argument("kspace must be 'auto', 'direct' or 'mesh', got '" + kspace + "'");
    s.kspace.method = kspace == "mesh"     ? les::KspaceChoice::Mesh
                      : kspace == "direct" ? les::KspaceChoice::Direct
                                           : les::KspaceChoice::Auto;
    s.store_bytes = 1e9 * store;
    return s;
  }
};

}    // namespace

void bind_evaluator(py::module_ &m)
{
  m.def(
      "check_metadata", [](const std::string &text) { les::parse_metadata(text, "model.pt"); }, py::arg("text"),
      "Read the metadata of a model file as the plugin does; RuntimeError with the plugin's words where it refuses.");
  py::class_<SystemEvaluator>(m, "Evaluator", R"(A model file, evaluated as in LAMMPS, for whole systems in one process.

Args:
    path: the model file; RuntimeError where it cannot be used.
    device: "cpu", "cuda", "cuda:N".
    bec: form of the Born effective charges, "local" or "phase"; None for that of the file.
    epsilon_inf: [3, 3] in place of that of the file.
    kspace: "direct", "mesh" or "auto".
    store: GB of intermediate results that may be kept for the backward pass; what is beyond is evaluated again.)")
      .def(py::init<const std::string &, const std::string &, const std::optional<std::string> &,
                    const std::optional<Tensor> &, const std::string &, double>(),
           py::arg("path"), py::kw_only(), py::arg("device") = "cpu", py::arg("bec") = py::none(),
           py::arg("epsilon_inf") = py::none(), py::arg("kspace") = "direct", py::arg("store") = 1.5)
      .def("evaluate", &SystemEvaluator::evaluate, py::arg("positions"), py::arg("n_owned"), py::arg("species"),
           py::arg("edge_vectors"), py::arg("edge_index"), py::arg("cell"), py::kw_only(),
           py::arg("reference_cell") = py::none(), py::arg("bec") = false, py::arg("atom_virial") = false,
           py::arg("centroid_virial") = false,
           R"(Energies, forces, virial, charges, and on demand Born effective charges.

Args:
    positions: [M, 3] float64, A, on the device; owned atoms first, then ghosts, if the network is one uncut piece.
    n_owned: N, number of owned atoms.
    species: [M] int64.
    edge_vectors: [E, 3] float64, r_cj = r_j - r_c, A.
    edge_index: [2, E] int64, center and neighbor, sorted by center.
    cell: [3, 3] float64, rows in A; None for an open system.
    reference_cell: [3, 3], from which wave vectors are chosen, where it is not `cell`.

Returns:
    dict of "energies" [N, 2] eV (short range without atomic energies, long range), "forces" [M, 3] eV/A, "virial" [3, 3] eV =
    -dE/d(strain), "charges" and "potentials" [N, C] (file units; eV per file unit), "bec" [M, 3, 3] e, indices
    [atom, P, r], "atom_virial" and "centroid_virial" [M, 3, 3] eV. Rows of ghosts are to be added to their owners.)");
}

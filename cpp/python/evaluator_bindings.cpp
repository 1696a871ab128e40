// The evaluator on whole systems, in one process.

#include "checks.h"
#include "evaluator.h"
#include "initialized.h"
#include "model_file.h"

#include <torch/cuda.h>
#include <torch/extension.h>

namespace py = pybind11;
using torch::Tensor;

namespace {

const les::SerialCommunicator serial;

std::optional<std::array<double, 9>> epsilon_of(const std::optional<Tensor> &tensor)
{
  if (!tensor) return {};
  const Tensor e = les::checked("epsilon_inf", *tensor, {torch::kFloat64}, {3, 3}, torch::kCPU).contiguous();
  std::array<double, 9> out{};
  std::copy_n(e.data_ptr<double>(), 9, out.begin());
  if (!torch::equal(e, e.t()) || !les::is_dielectric(out))
    throw std::invalid_argument("epsilon_inf: expected a symmetric matrix with eigenvalues from 0.1 to 1000");
  return out;
}

torch::Device device_of(const std::string &name)
{
  std::optional<torch::Device> device;
  try {
    device = torch::Device(name);
  } catch (const c10::Error &) {
  }
  if (!device || !(device->is_cpu() || device->is_cuda())) les::refuse("device", "cpu, cuda or cuda:N", name);
  const int gpus = torch::cuda::is_available() ? static_cast<int>(torch::cuda::device_count()) : 0;
  if (device->is_cuda() && std::max<int>(0, device->index()) >= gpus)
    les::refuse("device", "one that is there, and torch sees " + std::to_string(gpus) + " CUDA GPU(s)", name);
  return *device;
}

// Atoms of one system; edges of those that are not owned are there for networks of one uncut piece.
les::Graph graph_of(const les::Network &network, const Tensor &positions, int64_t n_owned, const Tensor &species,
                    const Tensor &edge_vectors, const Tensor &edge_index, const std::optional<Tensor> &cell, bool slab)
{
  const auto &about = network.metadata().network;
  const torch::Device device = network.device();
  les::Graph graph;
  graph.positions = les::checked_lengths("positions", positions, -1, device);
  const int64_t n = graph.positions.size(0);
  graph.species = les::checked("species", species, {torch::kInt64}, {n}, device);
  graph.edge_index = les::checked("edge_index", edge_index, {torch::kInt64}, {2, -1}, device);
  graph.edge_vectors = les::checked_lengths("edge_vectors", edge_vectors, graph.edge_index.size(1), device);
  if (n_owned < 0 || n_owned > n || (n_owned < n && about.pieces() > 1))
    les::refuse("n_owned",
                "the number of atoms, or fewer for a network of one piece; of " + std::to_string(n) + " atoms",
                n_owned);
  graph.n_owned = n_owned;
  les::check_indices("species", graph.species, static_cast<int64_t>(about.species.size()));
  const Tensor center = graph.edge_index[0];
  les::check_indices("edge_index: centers", center, about.cut() ? n_owned : n);
  les::check_indices("edge_index: neighbors", graph.edge_index[1], n);
  if (!(center.diff() >= 0).all().item<bool>())
    throw std::invalid_argument("edge_index: expected edges sorted by center");
  const Tensor ends = torch::bincount(center, {}, n).cumsum(0).to(torch::kCPU);
  graph.first.assign(ends.data_ptr<int64_t>(), ends.data_ptr<int64_t>() + ends.size(0));
  graph.first.insert(graph.first.begin(), 0);
  graph.rings = {n_owned};
  graph.periodic = {cell.has_value(), cell.has_value(), cell.has_value() && !slab};
  graph.cell = cell ? les::checked_cell("cell", *cell) : torch::eye(3, torch::kFloat64);
  return graph;
}

class SystemEvaluator {
 public:
  SystemEvaluator(const std::string &path, const std::string &device, const std::optional<std::string> &bec,
                  const std::optional<Tensor> &epsilon_inf, const std::string &kspace, double store,
                  const std::string &network)
  {
    const c10::InferenceMode off(false);
    const les::EvaluatorSettings chosen = settings(bec, epsilon_inf, kspace, store);
    const torch::Device where = device_of(device);
    const auto choice = les::choice_of<les::NetworkChoice>("network", network, les::NETWORK_CHOICES);
    evaluator_ = std::make_unique<les::Evaluator>(les::load_network(path, les::read_model_file(path), where, choice),
                                                  chosen, serial);
  }

  std::string network() const { return evaluator_->network().description(); }
  const std::string &metadata() const { return evaluator_->network().metadata().text; }

  py::dict evaluate(const Tensor &positions, int64_t n_owned, const Tensor &species, const Tensor &edge_vectors,
                    const Tensor &edge_index, const std::optional<Tensor> &cell,
                    const std::optional<Tensor> &reference_cell, bool slab, bool bec,
                    const std::optional<Tensor> &field, bool atom_virial, bool centroid_virial)
  {
    const c10::InferenceMode off(false);    // which the caller may have switched on
    les::Graph graph =
        graph_of(evaluator_->network(), positions, n_owned, species, edge_vectors, edge_index, cell, slab);
    const Tensor box = cell && reference_cell ? les::checked_cell("reference_cell", *reference_cell) : graph.cell;
    const Tensor along = field ? les::checked("field", *field, {torch::kFloat64}, {3}, torch::kCPU) : Tensor();
    const Tensor axes = torch::eye(3, torch::kFloat64);
    les::Want want;
    want.response = bec || field.has_value();
    if (field) want.directions = bec ? torch::cat({axes, along.unsqueeze(0)}) : along.unsqueeze(0);
    else if (bec) want.directions = axes;
    want.second_order = field.has_value();
    want.atom_virial = atom_virial;
    want.centroid_virial = centroid_virial;
    les::Result result;
    Tensor born, pushes;
    {
      py::gil_scoped_release free;
      evaluator_->begin_run(graph.periodic, box, static_cast<double>(n_owned));
      if (evaluator_->long_range()) evaluator_->long_range()->set_up_from(box);
      result = evaluator_->evaluate(std::move(graph), want, times_);
      if (bec) born = evaluator_->born(axes);
      if (field) pushes = evaluator_->born(along.unsqueeze(0), true).select(1, 0);
    }
    py::dict out;
    out["energies"] = result.energies;
    out["forces"] = result.forces;
    out["virial"] = result.virial;
    out["charges"] = evaluator_->charges();
    out["potentials"] = evaluator_->far().potential;
    py::dict atoms;
    for (const auto &kind : les::ATOM_QUANTITIES)
      if (evaluator_->metadata().gives(kind.latent)) atoms[kind.word] = evaluator_->atom_quantity(kind.quantity);
    out["atoms"] = atoms;
    if (evaluator_->long_range()) out["root"] = evaluator_->root_of_epsilon();
    if (bec) out["bec"] = born;
    if (field) out["field_forces"] = pushes;
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
    if (bec) s.bec = les::choice_of<les::BornForm>("bec", *bec, les::BORN_FORMS);
    s.epsilon_inf = epsilon_of(epsilon_inf);
    s.kspace.method = les::choice_of<les::KspaceChoice>("kspace", kspace, les::KSPACE_CHOICES);
    les::check_number("store", store, 0.0, 1e6);
    s.store_bytes = 1e9 * store;
    return s;
  }
};

}    // namespace

void bind_evaluator(py::module_ &m)
{
  py::register_exception<les::ModelFileError>(m, "ModelFileError", PyExc_ValueError).attr("__doc__") =
      "A model file, or metadata for one, that does not follow FORMAT.md.";
  m.def(
      "read_metadata",
      [](const std::string &path) {
        const std::string bytes = les::read_model_file(path);
        return les::ModelFile(path, bytes).metadata().text;
      },
      py::arg("path"),
      "Text of the metadata of a model file that is whole, its network not loaded; ModelFileError where it is not.");
  m.def(
      "check_metadata", [](const std::string &text) { les::parse_metadata(text, "model.pt"); }, py::arg("text"),
      "Read the metadata of a model file as the plugin does; ModelFileError with the plugin's words where it refuses.");
  py::class_<SystemEvaluator>(m, "Evaluator", R"(A model file, evaluated as in LAMMPS, for whole systems in one process.

Args:
    path: the model file; ModelFileError where it cannot be used. ValueError where another argument is none of these.
    device: "cpu", "cuda", "cuda:N".
    bec: form of the Born effective charges, "local" or "phase"; None for that of the file.
    epsilon_inf: [3, 3] in place of that of the file.
    kspace: "direct", "mesh" or "auto".
    store: GB of intermediate results that may be kept for the backward pass; what is beyond is evaluated again.
    network: what evaluates it: "native" kernels, the TorchScript of the file, "script", or "auto": kernels where they know the network.)")
      .def(py::init<const std::string &, const std::string &, const std::optional<std::string> &,
                    const std::optional<Tensor> &, const std::string &, double, const std::string &>(),
           py::arg("path"), py::kw_only(), py::arg("device") = "cpu", py::arg("bec") = py::none(),
           py::arg("epsilon_inf") = py::none(), py::arg("kspace") = "direct", py::arg("store") = 1.5,
           py::arg("network") = "auto")
      .def_property_readonly("network", les::method(&SystemEvaluator::network), "What evaluates the network.")
      .def_property_readonly("metadata", les::method(&SystemEvaluator::metadata), "Text of the metadata of the file.")
      .def("evaluate", les::method(&SystemEvaluator::evaluate), py::arg("positions"), py::arg("n_owned"),
           py::arg("species"), py::arg("edge_vectors"), py::arg("edge_index"), py::arg("cell"), py::kw_only(),
           py::arg("reference_cell") = py::none(), py::arg("slab") = false, py::arg("bec") = false,
           py::arg("field") = py::none(), py::arg("atom_virial") = false, py::arg("centroid_virial") = false,
           R"(Energies, forces, virial, charges, and on demand Born effective charges.

Args:
    positions: [M, 3] float64, A, on the device; owned atoms first, then ghosts, if the network is one uncut piece.
    n_owned: N, number of owned atoms.
    species: [M] int64.
    edge_vectors: [E, 3] float64, r_cj = r_j - r_c, A.
    edge_index: [2, E] int64, center and neighbor, sorted by center.
    cell: [3, 3] float64, rows in A; None for an open system.
    reference_cell: [3, 3], from which wave vectors are chosen, where it is not `cell`.
    field: [3] float64 in V/A, in which forces are asked for.
    slab: whether the system is periodic along the first two lattice vectors alone, the third one normal to them.

Returns:
    dict of "energies" [N, 2] eV (short range without atomic energies, long range), "forces" [M, 3] eV/A, "virial" [3, 3] eV =
    -dE/d(strain), "charges" and "potentials" [N, C] (file units; eV per file unit), "atoms": dict of [N, C, width] in e, V and A by
    the words of compute les/atom ("q", "phi", "dipole", ...), those that the model has; "root" [3, 3], the root of the dielectric
    constant that these couple with; "bec" [M, 3, 3] e, indices [atom, P, r], "field_forces" [M, 3] eV/A, which a field adds, of second order where there is alpha,
    "atom_virial" and "centroid_virial" [M, 3, 3] eV. Rows
    of ghosts are to be added to their owners.

Raises:
    ValueError: an argument is not as said here; the text names it.
    RuntimeError: the network raised, or broke its contract, or the long-range sum would be too large to hold.)");
}

#include "les_model.h"

#include <torch/csrc/autograd/autograd.h>
#include <torch/csrc/jit/runtime/graph_executor.h>

#include <filesystem>
#include <fstream>
#include <limits>
#include <sstream>

namespace les {

namespace {

const char *const METADATA_FILE = "lammps_les.json";
const char *const BY_LAYER = "latents_by_layer";
const char *const KEEPING = "latents_keeping";
const char *const PULL_BACK = "pull_back";
const char *const IN_ROWS = "latents_in_rows";
const char *const PULL_BACK_IN_ROWS = "pull_back_in_rows";

// First line of a torch exception: the rest is a C++ stack.
std::string first_line(const std::string &text) { return text.substr(0, text.find('\n')); }

// What tells the layers apart, from the results of the file's method.
void tell_apart(const c10::ivalue::Tuple &results, size_t layers, Latents::Part &out)
{
  const auto refuse = [](const std::string &what) {
    throw ModelFileError(std::string("the model's '") + BY_LAYER + "' gives " + what + "; export it again");
  };
  if (results.elements().size() != 3)
    refuse(std::to_string(results.elements().size()) + " results, where 3 are expected");
  for (const c10::IValue &cut : results.elements()[1].toListRef()) {
    const std::vector<c10::IValue> parts = cut.toTupleRef().elements().vec();
    if (parts.size() != 5) refuse(std::to_string(parts.size()) + " tensors between two layers, where 5 are expected");
    out.cuts.push_back(
        {parts[0].toTensor(), parts[1].toTensor(), parts[2].toTensor(), parts[3].toTensor(), parts[4].toTensor()});
  }
  for (const c10::IValue &tensors : results.elements()[2].toListRef()) out.taken.push_back(tensors.toTensorVector());
  for (const auto &tensors : out.taken)
    for (const auto &tensor : tensors)
      if (!tensor.requires_grad()) refuse("tensors without a graph for what a layer takes from the edge vectors");
  if (out.cuts.size() + 1 != layers || out.taken.size() != layers)
    refuse("results for " + std::to_string(out.taken.size()) + " layers with " + std::to_string(out.cuts.size()) +
           " cuts between them, but the network has " + std::to_string(layers));
}

// Outputs of all parts, one after the other.
void join(Latents &out)
{
  std::vector<torch::Tensor> energies, charges;
  for (const auto &part : out.parts) {
    energies.push_back(part.energy.detach());
    charges.push_back(part.charge.detach());
  }
  out.energy = torch::cat(energies);
  out.charge = torch::cat(charges);
}

}    // namespace

std::string read_model_file(const std::string &path)
{
  std::ifstream file(path, std::ios::binary);
  if (!std::filesystem::is_regular_file(path) || !file)
    throw ModelFileError("model file " + path + " does not exist or is not a file; write one with 'lammps-les export'");
  return {std::istreambuf_iterator<char>(file), {}};
}

LesModel::LesModel(const std::string &path, const std::string &bytes, torch::Device device) : device_(device)
{
  torch::jit::ExtraFilesMap extra{{METADATA_FILE, ""}};
  try {
    std::istringstream stream(bytes);
    module_ = torch::jit::load(stream, device, extra);
  } catch (const std::exception &e) {
    throw ModelFileError("model file " + path +
                         " cannot be read as a TorchScript archive (truncated, or not written by "
                         "'lammps-les export'): " +
                         first_line(e.what()));
  }
  if (extra[METADATA_FILE].empty())
    throw ModelFileError("model file " + path + " holds no " + METADATA_FILE +
                         ": it was not written by 'lammps-les export'");
  metadata_ = parse_metadata(extra[METADATA_FILE], path);
  if (!module_.find_method("latents"))
    throw ModelFileError("model file " + path +
                         " has no method 'latents'; export the model again with 'lammps-les export'");
  pulls_back_ = metadata_.layers == 1 && module_.find_method(KEEPING) && module_.find_method(PULL_BACK);
  takes_rows_ = pulls_back_ && module_.find_method(IN_ROWS) && module_.find_method(PULL_BACK_IN_ROWS);
  dtype_ = metadata_.dtype == "float64" ? torch::kFloat64 : torch::kFloat32;
  module_.eval();
}

void LesModel::check_tells_layers_apart() const
{
  if (!module_.find_method(BY_LAYER))
    throw ModelFileError(
        "it has no method 'latents_by_layer', by which Born effective charges and heat fluxes of networks of "
        "several layers are computed; export it again with 'lammps-les export'");
}

int64_t LesModel::atoms_per_part() const
{
  const int64_t all = std::numeric_limits<int64_t>::max();
  return metadata_.layers == 1 && device_.is_cpu() ? CPU_PART : all;
}

Latents::Part LesModel::evaluate(const torch::Tensor &edge_vectors, const torch::Tensor &edge_index,
                                 const torch::Tensor &species, int64_t n_centers, bool by_layer) const
{
  // The profiling executor compiles anew whenever the number of edges changes, which it does nearly every step; memory
  // would grow and steps would stall. The plain interpreter does neither.
  torch::jit::GraphOptimizerEnabledGuard no_specialisation(false);

  Latents::Part out;
  out.edge_vectors = edge_vectors.to(dtype_).detach().requires_grad_(!pulls_back_);
  c10::IValue outputs;
  if (pulls_back_) {
    const auto result = module_.get_method(KEEPING)({out.edge_vectors, edge_index, species, n_centers}).toTuple();
    outputs = result->elements()[0];
    out.kept = result->elements()[1];
  } else if (by_layer) {
    check_tells_layers_apart();
    const auto result = module_.get_method(BY_LAYER)({out.edge_vectors, edge_index, species, n_centers}).toTuple();
    outputs = result->elements()[0];
    tell_apart(*result, static_cast<size_t>(metadata_.layers), out);
  } else {
    outputs = module_.get_method("latents")({out.edge_vectors, edge_index, species, n_centers});
  }
  take_outputs(outputs, n_centers, out);
  return out;
}

void LesModel::take_outputs(const c10::IValue &outputs, int64_t n_centers, Latents::Part &out) const
{
  for (const auto &entry : outputs.toGenericDict()) {
    const auto key = entry.key().toStringRef();
    if (key == "energy") out.energy = entry.value().toTensor();
    else if (key == "charge") out.charge = entry.value().toTensor();
    else
      throw ModelFileError("the model gives '" + key +
                           "', which this lammps-les cannot use; install a newer lammps-les");
  }
  if (!out.energy.defined() || !out.charge.defined() || out.energy.sizes() != torch::IntArrayRef{n_centers} ||
      out.charge.sizes() != torch::IntArrayRef({n_centers, metadata_.channels}))
    throw ModelFileError(
        "the model does not give energy [n_centers] and charge [n_centers, channels]; export it again");
}

Latents LesModel::latents(const torch::Tensor &edge_vectors, const torch::Tensor &edge_index,
                          const torch::Tensor &species, int64_t n_centers, bool by_layer) const
{
  Latents out;
  const int64_t parts = (n_centers - 1) / atoms_per_part() + 1,
                size = (n_centers - 1) / parts + 1;    // parts of even size
  if (parts == 1) {
    out.parts.push_back(evaluate(edge_vectors, edge_index, species, n_centers, by_layer));
  } else {
    // edges are sorted by center; of a neighbor a network of one layer wants to know only the species
    const auto center = edge_index[0].contiguous(), kinds = species.index_select(0, edge_index[1]);
    for (int64_t first = 0; first < n_centers; first += size) {
      const int64_t n = std::min(size, n_centers - first);
      const auto bounds = torch::searchsorted(center, torch::tensor({first, first + n}, center.options()));
      const int64_t low = bounds[0].item<int64_t>(), count = bounds[1].item<int64_t>() - low;
      const auto neighbor = torch::arange(n, n + count, center.options());    // each edge has a neighbor of its own
      out.parts.push_back(evaluate(edge_vectors.narrow(0, low, count),
                                   torch::stack({center.narrow(0, low, count) - first, neighbor}),
                                   torch::cat({species.narrow(0, first, n), kinds.narrow(0, low, count)}), n, false));
    }
  }
  join(out);
  return out;
}

Latents LesModel::latents_in_rows(const torch::Tensor &vectors, const torch::Tensor &neighbor_species,
                                  const torch::Tensor &species) const
{
  torch::jit::GraphOptimizerEnabledGuard no_specialisation(false);
  Latents out;
  const int64_t n = vectors.size(0), parts = (n - 1) / (device_.is_cpu() ? CPU_PART : GPU_PART) + 1,
                size = (n - 1) / parts + 1;    // parts of even size
  const torch::Tensor rows = vectors.to(dtype_);
  for (int64_t first = 0; first < n; first += size) {
    const int64_t count = std::min(size, n - first);
    const auto part = [&](const torch::Tensor &t) { return t.narrow(0, first, count); };
    Latents::Part &here = out.parts.emplace_back();
    here.in_rows = true;
    here.edge_vectors = part(rows).flatten(0, 1);
    const auto result = module_.get_method(IN_ROWS)({part(rows), part(neighbor_species), part(species)}).toTuple();
    take_outputs(result->elements()[0], count, here);
    here.kept = result->elements()[1];
  }
  join(out);
  return out;
}

torch::Tensor LesModel::pull_back(const Latents::Part &part, const torch::Tensor &charge_weights, bool with_energy,
                                  bool keep_graph) const
{
  if (pulls_back_) {
    torch::jit::GraphOptimizerEnabledGuard no_specialisation(false);
    auto out =
        module_.get_method(part.in_rows ? PULL_BACK_IN_ROWS : PULL_BACK)({part.kept, charge_weights, with_energy})
            .toTensor();
    if (part.in_rows && out.dim() == 4) out = out.flatten(1, 2);
    if (out.sizes() != torch::IntArrayRef({charge_weights.size(0), part.edge_vectors.size(0), 3}))
      throw ModelFileError("the model's 'pull_back' does not give [k, edges, 3]; export it again");
    return out;
  }
  std::vector<torch::Tensor> gradients;
  for (int64_t k = 0; k < charge_weights.size(0); k++) {
    std::vector<torch::Tensor> outputs, weights;
    if (with_energy && k == 0 && part.energy.requires_grad()) {
      outputs.push_back(part.energy);
      weights.push_back(torch::ones_like(part.energy));
    }
    if (part.charge.requires_grad() && part.charge.numel() > 0) {
      outputs.push_back(part.charge);
      weights.push_back(charge_weights[k]);
    }
    gradients.push_back(torch::zeros_like(part.edge_vectors));
    if (outputs.empty()) continue;
    const bool more = keep_graph || k + 1 < charge_weights.size(0);
    const auto gradient = torch::autograd::grad(outputs, {part.edge_vectors}, weights, more, /*create_graph=*/false,
                                                /*allow_unused=*/true)[0];
    if (gradient.defined()) gradients.back() = gradient;
  }
  return torch::stack(gradients);
}

std::vector<torch::Tensor> LesModel::pull_back(const Latents &latents, const std::vector<torch::Tensor> &charge_weights,
                                               bool with_energy, bool keep_graph) const
{
  const auto all = torch::stack(charge_weights).to(latents.charge.options());
  int64_t n_edges = 0;
  for (const auto &part : latents.parts) n_edges += part.edge_vectors.size(0);
  std::vector<torch::Tensor> out;
  for (size_t k = 0; k < charge_weights.size(); k++)
    out.push_back(torch::empty({n_edges, 3}, all.options().dtype(torch::kFloat64)));
  int64_t first = 0, edge = 0;
  for (const auto &part : latents.parts) {
    const int64_t n = part.energy.size(0), n_here = part.edge_vectors.size(0);
    const auto of_part = pull_back(part, all.narrow(1, first, n), with_energy, keep_graph);    // [k, E, 3]
    for (size_t k = 0; k < out.size(); k++) out[k].narrow(0, edge, n_here).copy_(of_part[k]);
    first += n;
    edge += n_here;
  }
  return out;
}

}    // namespace les

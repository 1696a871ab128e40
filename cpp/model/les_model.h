// The short-range network of a model file: load, evaluate, pull back.
#pragma once

#include "layers.h"
#include "metadata.h"

#include <torch/script.h>

namespace les {

// Outputs of one evaluation. What it takes to differentiate them lives as long as `parts`.
struct Latents {
  torch::Tensor energy;    // [n_centers] eV, short range, without atomic energies; detached
  torch::Tensor charge;    // [n_centers, channels] file units; detached

  // The centers are evaluated in one or more parts, in order.
  struct Part {
    torch::Tensor edge_vectors;      // [E of the part, 3], what everything is differentiated by
    torch::Tensor energy, charge;    // with a graph from this leaf; or without,
    c10::IValue kept;                // and then this is what the file's own pull_back needs,
    bool in_rows = false;            // or pull_back_in_rows
    // where layers are told apart: what passes between them, and what each takes from the edges
    std::vector<Cut> cuts;
    std::vector<std::vector<torch::Tensor>> taken;
  };
  std::vector<Part> parts;
};

// All bytes of a model file. Throws ModelFileError where there is none.
std::string read_model_file(const std::string &path);

class LesModel {
 public:
  // `bytes`: of the file `path`, which is read no more; it names the file in messages. Throws ModelFileError for a file that is truncated,
  // foreign or of another version.
  LesModel(const std::string &path, const std::string &bytes, torch::Device device);

  const Metadata &metadata() const { return metadata_; }
  torch::ScalarType dtype() const { return dtype_; }
  torch::Device device() const { return device_; }

  // edge_vectors [E, 3] (any float type, cast to the model's), edge_index [2, E] (center, neighbor; sorted by center),
  // species [n_all], all on the model's device. `by_layer`: the layers of the charges are told apart; for
  // networks of several of them. Throws ModelFileError where the output breaks the contract.
  Latents latents(const torch::Tensor &edge_vectors, const torch::Tensor &edge_index, const torch::Tensor &species,
                  int64_t n_centers, bool by_layer) const;

  // The same of edges in rows, if the file `takes_rows`: vectors [n, width, 3], neighbor_species [n, width], species [n]; in empty
  // places a vector longer than the cutoff. The gradients are those of the places, [n width, 3].
  bool takes_rows() const { return takes_rows_; }
  Latents latents_in_rows(const torch::Tensor &vectors, const torch::Tensor &neighbor_species,
                          const torch::Tensor &species) const;

  // Throws ModelFileError for a file without the method that `by_layer` needs.
  void check_tells_layers_apart() const;

  // d/d(edge_vectors) -> [E, 3] f64 of the sum of charges times weights [n_centers, channels], for each of the weights; with_energy:
  // the sum of energies is added to the first. They are done part by part: what one has brought into the cache serves the next.
  // `keep_graph`: more pull-backs of the same latents follow.
  std::vector<torch::Tensor> pull_back(const Latents &latents, const std::vector<torch::Tensor> &charge_weights,
                                       bool with_energy, bool keep_graph) const;

 private:
  Metadata metadata_;
  torch::ScalarType dtype_ = torch::kFloat32;
  torch::Device device_;
  mutable torch::jit::Module module_;
  bool pulls_back_ = false, takes_rows_ = false;    // the file has its derivatives written out, for rows too

  // Networks of one layer are evaluated in parts: their intermediate tensors then stay in the cache of a CPU.
  static constexpr int64_t CPU_PART = 384,
                           GPU_PART = 49152;    // atoms; batches beyond 65,535 are a hazard of GPU libraries
  int64_t atoms_per_part() const;
  Latents::Part evaluate(const torch::Tensor &edge_vectors, const torch::Tensor &edge_index,
                         const torch::Tensor &species, int64_t n_centers, bool by_layer) const;
  void take_outputs(const c10::IValue &outputs, int64_t n_centers, Latents::Part &out) const;
  torch::Tensor pull_back(const Latents::Part &part, const torch::Tensor &charge_weights, bool with_energy,
                          bool keep_graph) const;
};

}    // namespace les

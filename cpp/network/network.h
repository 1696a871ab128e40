// The short-range network of a model file as a chain of pieces, one a layer; "Pieces" in export/FORMAT.md.
//
// A piece works on some atoms, the centers, and their edges. What an atom keeps for itself and what its neighbors get passes to the next
// piece as rows of numbers; the last piece gives energies and latents. What stands behind the interface is the network's own affair: the
// scripted module of the file, or kernels made for one kind of network from the configuration and the weights in the same file.
#pragma once

#include "metadata.h"

#include <torch/types.h>

#include <memory>
#include <vector>

namespace les {

// What a piece is given for n centers. Tensors are on the device of the network.
struct PieceInput {
  int piece = 0;
  int64_t n = 0;
  torch::Tensor kept;      // [n, kept of the piece], type of the network; no columns for the first piece
  torch::Tensor sent;      // [rows, sent of the piece], type of the network; no rows for the first piece
  torch::Tensor source;    // [E] i64: the row of `sent` that an edge takes; empty for the first piece
  // Edges of these centers only, sorted by center. A network that is not cut gets those of all atoms that fewer than `layers` edges reach
  // from its centers, which then come first.
  torch::Tensor edge_vectors;    // [E, 3] A, from the center to the neighbor, any float type
  torch::Tensor edge_index;      // [2, E] i64: center, and a row of `species` for the neighbor
  torch::Tensor species;         // [>= n] i64, the centers first
  // Number of edges of every center, where it is the same: some of them are longer than the cutoff then, and of no influence. Else 0.
  int64_t row_length = 0;
};

// What a network keeps of an evaluation to differentiate it, once or several times.
class Stored {
 public:
  virtual ~Stored() = default;
};

// Of k weighed sums of outputs.
struct PieceGradients {
  torch::Tensor kept;            // [k, n, kept of the piece]
  torch::Tensor sent;            // [k, rows, sent of the piece]
  torch::Tensor edge_vectors;    // [k, E, 3]
};

class Network {
 public:
  virtual ~Network() = default;
  Network(const Network &) = delete;

  const Metadata &metadata() const { return metadata_; }
  torch::Device device() const { return device_; }
  torch::ScalarType dtype() const { return dtype_; }
  int pieces() const { return metadata_.network.pieces(); }

  // Whether `row_length` of PieceInput may be more than 0.
  virtual bool takes_rows() const = 0;
  // How many a piece is best given at once, its gradients too. `by_edges`: with a row of `sent` for each edge, which take memory.
  virtual int64_t most_centers(bool by_edges) const = 0;
  // What evaluates it, for the log
  virtual std::string description() const = 0;

  // What goes to the next piece, [n, kept] and [n, sent]; or energies [n] in eV, without those of free atoms, and the latents of the
  // metadata. They have no graph; `stored`, if it is not null, gets what backward() needs. Throws ModelFileError where the outputs
  // break the contract.
  virtual std::vector<torch::Tensor> evaluate(const PieceInput &input, std::unique_ptr<Stored> *stored) const = 0;

  // weights: one tensor for each output, with a leading axis of k sets; those of the energies may have fewer sets, the first ones, and
  // the others leave them out. `last`: `stored` is not needed again.
  virtual PieceGradients backward(const Stored &stored, const std::vector<torch::Tensor> &weights, bool last) const = 0;

 protected:
  Network(Metadata metadata, torch::Device device) :
      metadata_(std::move(metadata)), device_(device),
      dtype_(metadata_.network.dtype == "float64" ? torch::kFloat64 : torch::kFloat32)
  {
  }

 private:
  Metadata metadata_;
  torch::Device device_;
  torch::ScalarType dtype_;
};

// What evaluates a network: kernels where there are some for its kind, or the module of the file
enum class NetworkChoice { Auto, Native, Script };
inline const std::vector<std::string> NETWORK_CHOICES{"auto", "native", "script"};    // their names, in order

// `bytes`: of the file `path`, which is read no more; it names the file in messages. Throws ModelFileError for a file that is damaged,
// foreign or of another version, and where kernels are asked for that do not know the network.
std::unique_ptr<Network> load_network(const std::string &path, const std::string &bytes, torch::Device device,
                                      NetworkChoice choice);

}    // namespace les

#include "graph_builder.h"

#include "host_copy.h"
#include "neighbors.h"
#include "program.h"

#include <limits>

namespace les {

using torch::Tensor;

GraphBuilder::Reach GraphBuilder::reach_of(const Metadata::Network &about, bool exchange)
{
  if (about.layers == 1) return {};
  if (!about.cut()) return {about.layers, false};
  return {exchange ? 1 : about.layers, true};
}

GraphBuilder::GraphBuilder(const Network &network, EdgeChoice choice, Reach reach, bool kernels) :
    network_(network),
    lists_(choice == EdgeChoice::Rebuild || (choice == EdgeChoice::Auto && !network.device().is_cpu())),
    kernels_(kernels && gpu::available(network.device())), reach_(reach)
{
  if (reach.rings > 1) lists_ = false;    // which ghosts are reached is known on the host
}

Graph GraphBuilder::graph() const
{
  Graph out;
  out.n_owned = local_.n_owned();
  out.species = species_;
  out.rings = local_.rings();
  return out;
}

Graph GraphBuilder::build(const LocalGraph::Atoms &atoms, const LocalGraph::Neighbors &neighbors,
                          const std::vector<int> &species_of_type)
{
  local_.build(atoms, neighbors, species_of_type, cutoff(), reach_.rings, reach_.merge);
  listed_ = {};
  rows_ = {};
  const auto device = network_.device();
  species_ = to_device(local_.species(), device);
  Graph out = graph();
  out.positions = to_device(local_.positions(), device);
  out.edge_vectors = to_device(local_.edge_vectors(), device);
  out.edge_index = to_device(local_.edge_index(), device);
  out.first = local_.first();
  return out;
}

void GraphBuilder::list(const LocalGraph::Atoms &atoms, const LocalGraph::Neighbors &neighbors,
                        const std::vector<int> &species_of_type)
{
  local_.build(atoms, neighbors, species_of_type, std::numeric_limits<double>::infinity(), 1, reach_.merge);
  const auto device = network_.device();
  species_ = to_device(local_.species(), device);
  listed_.graph_atoms = to_device(local_.atoms(), device);
  if (network_.takes_rows()) {
    rows_.list(local_, cutoff(), device, kernels_);
    return;
  }
  rows_ = {};
  listed_.index = to_device(local_.edge_index(), device);
  listed_.atoms = to_device(local_.edge_atoms(), device);
}

namespace {
Tensor positions_of(const LocalGraph::Atoms &atoms)
{
  return torch::from_blob(atoms.nall ? atoms.x[0] : nullptr, {atoms.nall, 3}, torch::kFloat64);
}
}    // namespace

void GraphBuilder::find(const LocalGraph::Atoms &atoms, const std::vector<int> &species_of_type, double reach)
{
  local_.take_all(atoms, species_of_type, reach_.merge);
  const auto device = network_.device();
  species_ = to_device(local_.species(), device);
  listed_.graph_atoms = to_device(local_.atoms(), device);
  gpu::NeighborList list =
      gpu::find_neighbors(positions_of(atoms), local_.numbers(), atoms.nlocal, cutoff(), reach, device);
  rows_.take(std::move(list.edges), list.most, cutoff());
}

Graph GraphBuilder::select(const LocalGraph::Atoms &atoms)
{
  const Tensor x = to_device(positions_of(atoms), network_.device());
  Graph out = graph();
  out.positions = x.index_select(0, listed_.graph_atoms);
  if (rows_.listed()) {
    const gpu::SelectedEdges selected = rows_.select(x);
    out.row_length = rows_.width();
    out.edge_vectors = selected.vectors;
    out.edge_index = selected.index;
    out.most_neighbors = selected.most;
    return out;
  }
  const Tensor vectors = x.index_select(0, listed_.atoms[1]) - x.index_select(0, listed_.atoms[0]);
  const Tensor kept = (vectors.square().sum(1) < cutoff() * cutoff()).nonzero().select(1, 0);
  out.edge_vectors = vectors.index_select(0, kept);
  out.edge_index = listed_.index.index_select(1, kept);
  const Tensor count = torch::bincount(out.edge_index[0], {}, out.n_owned).narrow(0, 0, out.n_owned);
  const Tensor ends = to_host(count.cumsum(0));
  out.first.assign(ends.data_ptr<int64_t>(), ends.data_ptr<int64_t>() + out.n_owned);
  out.first.insert(out.first.begin(), 0);
  return out;
}

}    // namespace les

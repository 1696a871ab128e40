#include "mesh.h"

#include "kernels/mesh.h"

#include <algorithm>

namespace les::gpu {

using torch::Tensor;

namespace {

constexpr int64_t MOST_BLOCKS = 1056;    // of sums over the spectrum: some for each multiprocessor

void copy_size(const std::array<int64_t, 3> &from, int (&to)[3])
{
  for (int m = 0; m < 3; m++) to[m] = static_cast<int>(from[m]);
}

void copy_matrix(const Tensor &from, double (&to)[9])
{
  std::copy_n(from.contiguous().const_data_ptr<double>(), 9, to);
}

}    // namespace

MeshKernels::MeshKernels(const Tensor &window, const std::array<int64_t, 3> &size,
                         const std::array<Tensor, 3> &transforms, torch::ScalarType type, torch::Device device) :
    order_(static_cast<int>(window.size(1))), size_(size), type_(type), device_(device),
    program_("mesh", {{"REAL", name_of(type)},
                      {"ORDER", std::to_string(window.size(1))},
                      {"DEGREE", std::to_string(window.size(0) - 1)}}),
    window_(window.to(type).to(device)),
    by_window_(torch::cat({transforms[0], transforms[1], transforms[2]}).pow(-2).to(device)), tiles_(1),
    columns_(transforms[2].size(0))
{
  for (const int64_t points : size_) tiles_ *= (points + TILE - 1) / TILE;
  tile_bounds_ = torch::arange(tiles_ + 1, torch::dtype(torch::kInt32).device(device));
}

MeshKernels::Atoms MeshKernels::place(const Tensor &positions, const Tensor &inverse) const
{
  const int64_t n = positions.size(0);
  const Tensor x = positions.contiguous();
  const auto i32 = x.options().dtype(torch::kInt32);
  const Tensor tile = torch::empty({n}, i32);
  Atoms out{torch::empty({n, 3}, x.options().dtype(type_)), torch::empty({n, 3}, i32), {}, {}};
  Place a{};
  a.x = x.const_data_ptr<double>();
  copy_matrix(inverse, a.inverse);
  copy_size(size_, a.size);
  a.n = static_cast<int>(n);
  a.fraction = out.fraction.mutable_data_ptr();
  a.first = out.first.mutable_data_ptr<int>();
  a.tile = tile.mutable_data_ptr<int>();
  program_.launch("place", device_, blocks_for(n, PLACE_THREADS), PLACE_THREADS, a);
  const std::optional<bool> stable(true);
  const auto [sorted, order] = torch::sort(tile, stable, 0);
  out.order = order;
  out.start = torch::searchsorted(sorted, tile_bounds_);
  return out;
}

Tensor MeshKernels::spread(const Atoms &atoms, const Tensor &charges) const
{
  const int64_t channels = charges.size(1), edge = edge_of_tile(order_), points = size_[0] * size_[1] * size_[2];
  const Tensor q = charges.contiguous(), tiles = torch::empty({channels, tiles_, edge, edge, edge}, q.options()),
               mesh = torch::empty({channels, size_[0], size_[1], size_[2]}, q.options());
  Spread s{};
  s.fraction = atoms.fraction.const_data_ptr();
  s.first = atoms.first.const_data_ptr<int>();
  s.start = atoms.start.const_data_ptr<int64_t>();
  s.order = atoms.order.const_data_ptr<int64_t>();
  s.charge = q.const_data_ptr();
  s.window = window_.const_data_ptr();
  copy_size(size_, s.size);
  s.channels = static_cast<int>(channels);
  s.tiles = tiles.mutable_data_ptr();
  program_.launch("spread", device_, {tiles_, channels}, spread_threads(order_), s);
  Fold f{};
  f.tiles = tiles.const_data_ptr();
  copy_size(size_, f.size);
  f.mesh = mesh.mutable_data_ptr();
  program_.launch("fold", device_, {blocks_for(points, FOLD_THREADS).x, channels}, FOLD_THREADS, f);
  return mesh;
}

int64_t MeshKernels::rows() const
{
  return std::min(MOST_BLOCKS, blocks_for(size_[0] * size_[1] * columns_, INFLUENCE_THREADS).x);
}

Tensor MeshKernels::influence(const Tensor &rho, const Influence &of, Tensor parts) const
{
  const Tensor phi = torch::empty({size_[0], size_[1], columns_}, rho.options());
  TORCH_INTERNAL_ASSERT(rho.sizes() == phi.sizes() && rho.stride(2) == 1 && rho.stride(0) == size_[1] * rho.stride(1));
  les::gpu::Influence a{};
  a.rho = rho.const_data_ptr();
  copy_matrix(of.inverse, a.inverse);
  copy_matrix(of.chosen, a.chosen);
  a.by_window = by_window_.const_data_ptr<double>();
  a.norm = of.norm;
  a.sigma2 = of.sigma2;
  a.most = of.most;
  copy_size(size_, a.size);
  a.columns = static_cast<int>(columns_);
  a.row = static_cast<int>(rho.stride(1));
  a.phi = phi.mutable_data_ptr();
  a.virial = parts.mutable_data_ptr<double>();
  program_.launch("influence", device_, {rows()}, INFLUENCE_THREADS, a);
  return phi;
}

Tensor MeshKernels::virial(const Tensor &parts) const
{
  const Tensor out = torch::empty({3, 3}, parts.options());
  program_.launch(
      "sum_virial", device_, {1}, VIRIAL_THREADS,
      SumVirial{parts.const_data_ptr<double>(), static_cast<int>(parts.size(0)), out.mutable_data_ptr<double>()});
  return out;
}

void MeshKernels::gather(const Atoms &atoms, const Tensor &mesh, const Tensor &inverse, int64_t channel,
                         Tensor &potential, Tensor &gradient) const
{
  Gather a{};
  const Tensor size = torch::tensor(at::IntArrayRef(size_.data(), 3), torch::kFloat64), values = mesh.contiguous();
  a.fraction = atoms.fraction.const_data_ptr();
  a.first = atoms.first.const_data_ptr<int>();
  a.order = atoms.order.const_data_ptr<int64_t>();
  a.window = window_.const_data_ptr();
  a.mesh = values.const_data_ptr();
  copy_matrix(inverse * size, a.by_position);
  copy_size(size_, a.size);
  a.n = static_cast<int>(potential.size(0));
  a.channel = static_cast<int>(channel);
  a.channels = static_cast<int>(potential.size(1));
  a.potential = potential.mutable_data_ptr();
  a.gradient = gradient.mutable_data_ptr<double>();
  program_.launch("gather", device_, blocks_for(a.n * int64_t{WARP}, GATHER_THREADS), GATHER_THREADS, a);
}

}    // namespace les::gpu

#include "tally.h"

#include "kernels/tally.h"
#include "program.h"

namespace les::gpu {

using torch::Tensor;

Tensor tally(const TallyInput &in)
{
  constexpr int64_t MOST_BLOCKS = 1056;    // some for each multiprocessor
  const Program program("tally", {{"REAL", name_of(in.energy.scalar_type())}});
  const torch::Device device = in.gradient.device();
  const int64_t n = in.energy.size(0);
  const auto f64 = in.gradient.options();
  const Tensor gradient = in.gradient.contiguous(), energy = in.energy.contiguous(),
               far_force = in.far_force.contiguous(), far_energy = in.far_energy.contiguous(),
               far_virial = in.far_virial.contiguous();
  const Grid grid{std::min(MOST_BLOCKS, blocks_for(n * WARP, TALLY_THREADS).x)};
  const Tensor fixed = torch::zeros({in.n_all, 4}, f64.dtype(torch::kInt64)), virial = torch::empty({grid.x, 6}, f64),
               out = torch::empty({3 * in.n_all + 2 * n + 9 + 1}, f64);
  program.launch("tally", device, grid, TALLY_THREADS,
                 Tally{gradient.const_data_ptr<double>(), in.vectors.const_data_ptr<double>(),
                       in.index[1].const_data_ptr<int64_t>(), fixed.mutable_data_ptr<int64_t>(),
                       virial.mutable_data_ptr<double>(), static_cast<int>(n),
                       static_cast<int>(n > 0 ? in.vectors.size(0) / n : 0)});
  program.launch("finish", device, {std::max<int64_t>(1, blocks_for(in.n_all, FINISH_THREADS).x)}, FINISH_THREADS,
                 Finish{fixed.const_data_ptr<int64_t>(), virial.const_data_ptr<double>(),
                        far_force.const_data_ptr<double>(), far_virial.const_data_ptr<double>(),
                        energy.const_data_ptr(), far_energy.const_data_ptr<double>(),
                        in.most.defined() ? in.most.const_data_ptr<int64_t>() : nullptr, out.mutable_data_ptr<double>(),
                        static_cast<int>(n), static_cast<int>(in.n_all), static_cast<int>(grid.x)});
  return out;
}

}    // namespace les::gpu

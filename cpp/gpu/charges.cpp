#include "charges.h"

#include "kernels/charges.h"
#include "program.h"

namespace les::gpu {

using torch::Tensor;

InField charges_in_field(const Tensor &charges, const Tensor &field, const Tensor &gradient, double self, bool balance)
{
  TORCH_CHECK(field.scalar_type() == charges.scalar_type() && gradient.scalar_type() == torch::kFloat64);
  const Program program("charges", {{"REAL", name_of(charges.scalar_type())}});
  const torch::Device device = charges.device();
  const int64_t n = charges.size(0);
  const Grid grid = blocks_for(n, CHARGES_THREADS);
  const Tensor q = charges.contiguous(), phi = field.contiguous(), slope = gradient.contiguous(),
               parts = torch::empty({grid.x, 3}, slope.options());
  InField out{torch::empty_like(q), torch::empty({n}, slope.options()), torch::empty({n, 3}, slope.options())};
  program.launch("charges_in_field", device, grid, CHARGES_THREADS,
                 ChargesInField{q.const_data_ptr(), phi.const_data_ptr(), slope.const_data_ptr<double>(), self,
                                static_cast<int>(n), static_cast<int>(q.size(1)), out.potential.mutable_data_ptr(),
                                out.energy.mutable_data_ptr<double>(), out.force.mutable_data_ptr<double>(),
                                parts.mutable_data_ptr<double>()});
  if (balance)
    program.launch("remove_net_force", device, grid, CHARGES_THREADS,
                   RemoveNetForce{parts.const_data_ptr<double>(), static_cast<int>(n), static_cast<int>(grid.x),
                                  out.force.mutable_data_ptr<double>()});
  return out;
}

}    // namespace les::gpu

#include "atom_quantities.h"

namespace les {

using torch::Tensor;

namespace {

// [n, C, 3, 3] -> [n, C, 6]
Tensor six_of(const Tensor &tensor)
{
  const Tensor index = torch::tensor({0, 4, 8, 1, 2, 5}, torch::dtype(torch::kInt64).device(tensor.device()));
  return tensor.flatten(2).index_select(2, index);
}

}    // namespace

const AtomQuantityKind &kind_of(AtomQuantity quantity) { return ATOM_QUANTITIES.at(static_cast<size_t>(quantity)); }

Tensor atom_quantity(AtomQuantity quantity, const Latents &latents, const LongRange &far,
                     const Metadata::Charges &charges)
{
  const Tensor q = latents.charge;
  const auto scaled = [&](const Tensor &values, int power) {    // by e per file unit, to a power
    const Tensor unit =
        torch::tensor(charges.weights(), torch::kFloat64).pow(power).to(values.device()).view({1, -1, 1});
    return (values.dim() == 2 ? values.unsqueeze(2) : values).to(torch::kFloat64) * unit;
  };
  switch (quantity) {
  case AtomQuantity::Charge: return scaled(q, 1);
  case AtomQuantity::Potential: return scaled(far.potential, -1);
  case AtomQuantity::Dipole: return scaled(latents.dipole, 1);
  case AtomQuantity::Quadrupole: return scaled(six_of(latents.quadrupole), 1);
  case AtomQuantity::Alpha: return scaled(six_of(latents.alpha), 2);
  case AtomQuantity::InducedCharge: return scaled(far.charge_induced, 1);
  case AtomQuantity::InducedDipole: return scaled(far.dipole_induced, 1);
  case AtomQuantity::Field: return scaled(far.field.defined() ? far.field : -far.permanent.derivatives[1], -1);
  }
  TORCH_INTERNAL_ASSERT(false);
}

}    // namespace les

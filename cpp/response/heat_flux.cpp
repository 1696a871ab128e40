#include "heat_flux.h"

namespace les {

using torch::Tensor;

Tensor centroid_virial(const AtomsAndEdges &atoms, const EdgeResponse &response, const Tensor &long_range_virial)
{
  Tensor out = torch::zeros({atoms.positions.size(0), 3, 3}, atoms.positions.options());
  add_edge_response(out, atoms, atoms.edge_vectors, response);
  out.narrow(0, 0, atoms.n_owned) += long_range_virial;
  return out;
}

}    // namespace les

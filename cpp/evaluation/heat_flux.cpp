#include "heat_flux.h"

namespace les {

using torch::Tensor;

Tensor centroid_virial(const Graph &graph, const EdgeResponse &response, const Tensor &long_range_virial)
{
  Tensor out = torch::zeros({graph.positions.size(0), 3, 3}, graph.positions.options());
  add_edge_response(out, graph, graph.edge_vectors, response);
  out.narrow(0, 0, graph.n_owned) += long_range_virial;
  return out;
}

}    // namespace les

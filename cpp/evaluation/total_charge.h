// The shift of all charges to the total charge that a model file may fix ("Total charge" in export/FORMAT.md), and what follows from it.
#pragma once

#include "communicator.h"
#include "metadata.h"

namespace les {

// All of it is collective. N is the number of atoms of the system, on all ranks.
class TotalCharge {
 public:
  TotalCharge(const Metadata::Charges &charges, const Communicator &comm) : about_(charges), comm_(comm) {}

  bool fixed() const { return about_.total.has_value(); }

  // [n, 1] charges of the network -> those of the model: q + (sign total / unit - sum q) / N
  torch::Tensor shifted(const torch::Tensor &latents) const;
  // Since the shift responds to all charges, a gradient by charges of the model [n, 1] becomes one by those of the network: without its
  // mean.
  torch::Tensor by_latents(const torch::Tensor &gradient) const;
  // So does what stands beside displacements, moments [n, 1, 3]: the energy of an atom at r_k [n, 3] responds to the charge at r_j,
  // wherever they are.
  torch::Tensor moments_by_latents(const torch::Tensor &moments, const torch::Tensor &gradient,
                                   const torch::Tensor &positions) const;

 private:
  const Metadata::Charges &about_;
  const Communicator &comm_;

  // Mean over all atoms of columns [n, m], and N []
  std::pair<torch::Tensor, torch::Tensor> mean(const torch::Tensor &values) const;
};

}    // namespace les

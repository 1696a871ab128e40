// The collective operations that the long-range sum and the response need, and no more.
//
// Tensors may live on any device; an implementation moves them to the host where its transport needs that.
#pragma once

#include <torch/types.h>

#include <vector>

namespace les {

class Communicator {
 public:
  virtual ~Communicator() = default;
  virtual int rank() const = 0;
  virtual int size() const = 0;
  // Sum over all ranks, elementwise; every rank gets the result. Shapes must agree.
  virtual torch::Tensor sum(const torch::Tensor &values) const = 0;
  // Rows of all ranks, concatenated in rank order. Ranks may differ in their number of rows, zero included.
  virtual torch::Tensor gather_rows(const torch::Tensor &rows) const = 0;
  // Parcel r (a flat tensor, maybe empty) goes to rank r; from rank r come counts[r] elements. What is for this rank itself
  // is left out.
  virtual std::vector<torch::Tensor> all_to_all(const std::vector<torch::Tensor> &parcels,
                                                const std::vector<int64_t> &counts) const = 0;
};

// One process.
class SerialCommunicator : public Communicator {
 public:
  int rank() const override { return 0; }
  int size() const override { return 1; }
  torch::Tensor sum(const torch::Tensor &values) const override { return values; }
  torch::Tensor gather_rows(const torch::Tensor &rows) const override { return rows; }
  std::vector<torch::Tensor> all_to_all(const std::vector<torch::Tensor> &parcels,
                                        const std::vector<int64_t> &) const override
  {
    return parcels;
  }
};

}    // namespace les

// The collective operations that the long-range sum and the response need, and no more.
//
// Tensors may live on any device; an implementation moves them to the host where its transport needs that.
#pragma once

#include <torch/types.h>

#include <vector>

namespace les {

// A flat tensor that goes to a rank or comes from it.
struct Parcel {
  int rank;
  torch::Tensor values;
};

class Communicator {
 public:
  virtual ~Communicator() = default;
  virtual int rank() const = 0;
  virtual int size() const = 0;
  // Sum over all ranks, elementwise; every rank gets the result. Shapes must agree.
  virtual torch::Tensor sum(const torch::Tensor &values) const = 0;
  // Rows of all ranks, concatenated in rank order. Ranks may differ in their number of rows, zero included.
  virtual torch::Tensor gather_rows(const torch::Tensor &rows) const = 0;
  // Sends each parcel to its rank and fills the incoming ones, which have the sizes that the senders gave them. At most one
  // parcel for a pair of ranks, none for the rank itself; all ranks must call, those without parcels too.
  virtual void exchange(const std::vector<Parcel> &outgoing, std::vector<Parcel> &incoming) const = 0;
};

// One process.
class SerialCommunicator : public Communicator {
 public:
  int rank() const override { return 0; }
  int size() const override { return 1; }
  torch::Tensor sum(const torch::Tensor &values) const override { return values; }
  torch::Tensor gather_rows(const torch::Tensor &rows) const override { return rows; }
  void exchange(const std::vector<Parcel> &, std::vector<Parcel> &) const override {}
};

}    // namespace les

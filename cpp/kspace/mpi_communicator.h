// Communicator over an MPI communicator (in LAMMPS: `world`, never MPI_COMM_WORLD).
#pragma once

#include "communicator.h"

#include <mpi.h>

namespace les {

class MpiCommunicator : public Communicator {
 public:
  explicit MpiCommunicator(MPI_Comm comm);

  // Whether MPI says that it takes pointers to GPU memory.
  static bool mpi_is_gpu_aware();
  // Give parcels on a GPU to MPI as they are, instead of by way of the host.
  void set_gpu_aware(bool aware) { gpu_aware_ = aware; }

  int rank() const override { return rank_; }
  int size() const override { return size_; }
  torch::Tensor sum(const torch::Tensor &values) const override;
  torch::Tensor gather_rows(const torch::Tensor &rows) const override;
  void exchange(const std::vector<Parcel> &outgoing, std::vector<Parcel> &incoming) const override;

 private:
  MPI_Comm comm_;
  int rank_ = 0, size_ = 1;
  bool gpu_aware_ = false;
};

}    // namespace les

// Communicator over an MPI communicator (in LAMMPS: `world`, never MPI_COMM_WORLD).
#pragma once

#include "communicator.h"

#include <mpi.h>

#include <stdexcept>

namespace les {

// Thrown by every collective operation where another rank has failed.
struct RankFailed : std::runtime_error {
  explicit RankFailed(int number) : std::runtime_error("rank " + std::to_string(number) + " has failed"), rank(number)
  {
  }
  int rank;
};

class MpiCommunicator : public Communicator {
 public:
  explicit MpiCommunicator(MPI_Comm comm);

  // Whether MPI says that it takes pointers to GPU memory.
  static bool mpi_is_gpu_aware();
  // Give parcels on a GPU to MPI as they are, instead of by way of the host.
  void set_gpu_aware(bool aware) { gpu_aware_ = aware; }

  // Collective: the lowest rank that has failed, size() if none has. All operations below begin with this question, so a rank that has
  // failed need not know what the others are at: it asks too, and they throw RankFailed.
  int first_failed(bool failed_here) const;
  void require_all_well() const;    // collective; throws RankFailed

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

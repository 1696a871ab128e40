#include "mpi_communicator.h"

#include "host_copy.h"

#include <torch/cuda.h>

#include <numeric>
#include <vector>

#ifdef OPEN_MPI
#include <mpi-ext.h>
#endif

namespace les {

namespace {
MPI_Datatype mpi_type(const torch::Tensor &values)
{
  switch (values.scalar_type()) {
  case torch::kFloat64: return MPI_DOUBLE;
  case torch::kFloat32: return MPI_FLOAT;
  case torch::kInt64: return MPI_INT64_T;
  default: TORCH_CHECK(false, "no MPI type for tensors of ", values.scalar_type());
  }
}
}    // namespace

MpiCommunicator::MpiCommunicator(MPI_Comm comm) : comm_(comm)
{
  MPI_Comm_rank(comm_, &rank_);
  MPI_Comm_size(comm_, &size_);
}

bool MpiCommunicator::mpi_is_gpu_aware()
{
#if defined(MPIX_GPU_SUPPORT_CUDA)    // MPICH and its kin
  int aware = 0;
  return MPIX_GPU_query_support(MPIX_GPU_SUPPORT_CUDA, &aware) == MPI_SUCCESS && aware;
#elif defined(MPIX_CUDA_AWARE_SUPPORT) && MPIX_CUDA_AWARE_SUPPORT    // Open MPI
  return MPIX_Query_cuda_support() == 1;
#else
  return false;
#endif
}

int MpiCommunicator::first_failed(bool failed_here) const
{
  int first = failed_here ? rank_ : size_;
  MPI_Allreduce(MPI_IN_PLACE, &first, 1, MPI_INT, MPI_MIN, comm_);
  return first;
}

// To be called after everything that may fail on this rank alone.
void MpiCommunicator::require_all_well() const
{
  const int first = first_failed(false);
  if (first < size_) throw RankFailed(first);
}

torch::Tensor MpiCommunicator::sum(const torch::Tensor &values) const
{
  if (size_ == 1) return values;
  torch::Tensor host = to_host(values);
  if (host.is_alias_of(values)) host = host.clone();
  const MPI_Datatype type = mpi_type(host);
  require_all_well();
  MPI_Allreduce(MPI_IN_PLACE, host.data_ptr(), static_cast<int>(host.numel()), type, MPI_SUM, comm_);
  return host.to(values.device());
}

torch::Tensor MpiCommunicator::gather_rows(const torch::Tensor &rows) const
{
  if (size_ == 1) return rows;
  const torch::Tensor host = to_host(rows);
  const int mine = static_cast<int>(host.numel());
  const MPI_Datatype type = mpi_type(host);
  std::vector<int> counts(size_), offsets(size_, 0);
  require_all_well();
  MPI_Allgather(&mine, 1, MPI_INT, counts.data(), 1, MPI_INT, comm_);
  std::partial_sum(counts.begin(), counts.end() - 1, offsets.begin() + 1);

  auto shape = host.sizes().vec();
  int64_t columns = 1;
  for (size_t d = 1; d < shape.size(); d++) columns *= shape[d];
  shape[0] = columns ? (offsets.back() + counts.back()) / columns : 0;
  torch::Tensor all = torch::empty(shape, host.options());
  MPI_Allgatherv(host.data_ptr(), mine, type, all.data_ptr(), counts.data(), offsets.data(), type, comm_);
  return all.to(rows.device());
}

void MpiCommunicator::exchange(const std::vector<Parcel> &outgoing, std::vector<Parcel> &incoming) const
{
  if (size_ == 1) return;
  // complex numbers travel as pairs
  const auto real = [](const torch::Tensor &t) { return t.is_complex() ? torch::view_as_real(t) : t; };
  const auto passes = [this](const torch::Tensor &t) { return t.is_cpu() || gpu_aware_; };
  std::vector<MPI_Request> requests(outgoing.size() + incoming.size());
  std::vector<torch::Tensor> buffers;
  for (const Parcel &p : incoming) {
    const auto options = real(p.values).options();
    buffers.push_back(passes(p.values)
                          ? real(p.values)
                          : torch::empty(real(p.values).sizes(), options.device(torch::kCPU).pinned_memory(true)));
  }
  for (const Parcel &p : outgoing)
    buffers.push_back(passes(p.values) ? real(p.values).contiguous() : to_host(real(p.values)));
  const std::vector<Parcel> &any = outgoing.empty() ? incoming : outgoing;
  if (!any.empty() && !any[0].values.is_cpu() && gpu_aware_)
    torch::cuda::synchronize(any[0].values.device().index());    // MPI knows nothing of torch's streams
  require_all_well();
  for (size_t n = 0; n < buffers.size(); n++) {
    const auto &b = buffers[n];
    const int count = static_cast<int>(b.numel());
    if (n < incoming.size()) MPI_Irecv(b.data_ptr(), count, mpi_type(b), incoming[n].rank, 0, comm_, &requests[n]);
    else MPI_Isend(b.data_ptr(), count, mpi_type(b), outgoing[n - incoming.size()].rank, 0, comm_, &requests[n]);
  }
  MPI_Waitall(static_cast<int>(requests.size()), requests.data(), MPI_STATUSES_IGNORE);
  for (size_t n = 0; n < incoming.size(); n++)
    if (!passes(incoming[n].values)) real(incoming[n].values).copy_(buffers[n]);
}

}    // namespace les

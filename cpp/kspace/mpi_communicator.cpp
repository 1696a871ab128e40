#include "mpi_communicator.h"

#include <numeric>
#include <vector>

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

torch::Tensor MpiCommunicator::sum(const torch::Tensor &values) const
{
  if (size_ == 1) return values;
  torch::Tensor host = values.to(torch::kCPU).contiguous();
  if (host.is_alias_of(values)) host = host.clone();
  MPI_Allreduce(MPI_IN_PLACE, host.data_ptr(), static_cast<int>(host.numel()), mpi_type(host), MPI_SUM, comm_);
  return host.to(values.device());
}

torch::Tensor MpiCommunicator::gather_rows(const torch::Tensor &rows) const
{
  if (size_ == 1) return rows;
  const torch::Tensor host = rows.to(torch::kCPU).contiguous();
  const int mine = static_cast<int>(host.numel());
  std::vector<int> counts(size_), offsets(size_, 0);
  MPI_Allgather(&mine, 1, MPI_INT, counts.data(), 1, MPI_INT, comm_);
  std::partial_sum(counts.begin(), counts.end() - 1, offsets.begin() + 1);

  auto shape = host.sizes().vec();
  int64_t columns = 1;
  for (size_t d = 1; d < shape.size(); d++) columns *= shape[d];
  shape[0] = columns ? (offsets.back() + counts.back()) / columns : 0;
  torch::Tensor all = torch::empty(shape, host.options());
  MPI_Allgatherv(host.data_ptr(), mine, mpi_type(host), all.data_ptr(), counts.data(), offsets.data(), mpi_type(host),
                 comm_);
  return all.to(rows.device());
}

void MpiCommunicator::exchange(const std::vector<Parcel> &outgoing, std::vector<Parcel> &incoming) const
{
  if (size_ == 1) return;
  // complex numbers travel as pairs
  const auto real = [](const torch::Tensor &t) { return t.is_complex() ? torch::view_as_real(t) : t; };
  std::vector<MPI_Request> requests(outgoing.size() + incoming.size());
  std::vector<torch::Tensor> buffers;
  size_t n = 0;
  for (const Parcel &p : incoming) {
    buffers.push_back(real(p.values).cpu());
    MPI_Irecv(buffers[n].data_ptr(), static_cast<int>(buffers[n].numel()), mpi_type(buffers[n]), p.rank, 0, comm_,
              &requests[n]);
    n++;
  }
  for (const Parcel &p : outgoing) {
    buffers.push_back(real(p.values).cpu().contiguous());
    MPI_Isend(buffers[n].data_ptr(), static_cast<int>(buffers[n].numel()), mpi_type(buffers[n]), p.rank, 0, comm_,
              &requests[n]);
    n++;
  }
  MPI_Waitall(static_cast<int>(n), requests.data(), MPI_STATUSES_IGNORE);
  for (size_t i = 0; i < incoming.size(); i++)
    if (!incoming[i].values.is_cpu()) real(incoming[i].values).copy_(buffers[i]);
}

}    // namespace les

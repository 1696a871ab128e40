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

std::vector<torch::Tensor> MpiCommunicator::all_to_all(const std::vector<torch::Tensor> &parcels,
                                                       const std::vector<int64_t> &counts) const
{
  // complex numbers travel as pairs
  const bool complex = parcels[rank_].is_complex();
  const int width = complex ? 2 : 1;
  std::vector<int> send(size_, 0), receive(size_, 0), send_at(size_, 0), receive_at(size_, 0);
  for (int r = 0; r < size_; r++) {
    if (r == rank_) continue;
    send[r] = static_cast<int>(parcels[r].numel()) * width;
    receive[r] = static_cast<int>(counts[r]) * width;
  }
  std::partial_sum(send.begin(), send.end() - 1, send_at.begin() + 1);
  std::partial_sum(receive.begin(), receive.end() - 1, receive_at.begin() + 1);

  torch::Tensor outgoing = torch::cat(parcels).to(torch::kCPU);
  if (complex) outgoing = torch::view_as_real(outgoing);
  outgoing = outgoing.contiguous().view({-1});
  torch::Tensor incoming = torch::empty({receive_at.back() + receive.back()}, outgoing.options());
  MPI_Alltoallv(outgoing.data_ptr(), send.data(), send_at.data(), mpi_type(outgoing), incoming.data_ptr(),
                receive.data(), receive_at.data(), mpi_type(outgoing), comm_);
  if (complex) incoming = torch::view_as_complex(incoming.view({-1, 2}));
  incoming = incoming.to(parcels[rank_].device());
  std::vector<torch::Tensor> received;
  for (int r = 0; r < size_; r++) received.push_back(incoming.narrow(0, receive_at[r] / width, receive[r] / width));
  return received;
}

}    // namespace les

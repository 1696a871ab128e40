#include "mesh_transform.h"

#include <torch/fft.h>

namespace les {

using torch::Tensor;

namespace {

// Ranks without planes or lines take part with empty tensors, which the transforms themselves refuse.
Tensor fft(const Tensor &t, int64_t axis) { return t.numel() ? torch::fft::fft(t, c10::nullopt, axis) : t; }
Tensor ifft(const Tensor &t, int64_t axis)
{
  return t.numel() ? torch::fft::ifft(t, c10::nullopt, axis, "forward") : t;
}

}    // namespace

MeshTransform::MeshTransform(const std::array<int64_t, 3> &mesh, int64_t highest, const Communicator &communicator) :
    comm_(&communicator), mesh_(mesh), columns3_(highest + 1)
{
  const std::array<int64_t, 3> spectrum = {mesh[0], mesh[1], columns3_};
  const int rank = communicator.rank();
  const auto [rows, columns] = rank_grid(mesh, communicator.size());
  slabs_ = columns == 1;
  lines3_ = pencils(mesh, 2, rows, columns);
  const Layout lines1 = pencils(spectrum, 0, rows, columns), after3 = pencils(spectrum, 2, rows, columns);
  if (slabs_) to_lines1_ = Transfer(after3, lines1, spectrum, rank);
  else {
    const Layout lines2 = pencils(spectrum, 1, rows, columns);
    to_lines2_ = Transfer(after3, lines2, spectrum, rank);
    to_lines1_ = Transfer(lines2, lines1, spectrum, rank);
  }
  lines1_ = lines1[rank];
  after3_shape_ = after3[rank].shape();
}

Tensor MeshTransform::forward(const Tensor &rho) const
{
  const auto wanted = [&](const Tensor &s) { return s.narrow(2, 0, columns3_); };
  if (comm_->size() == 1) return wanted(torch::fft::rfftn(rho));
  Tensor s;
  if (rho.numel() == 0) s = torch::empty(after3_shape_, rho.options().dtype(c10::toComplexType(rho.scalar_type())));
  else s = wanted(slabs_ ? torch::fft::rfftn(rho, c10::nullopt, {{1, 2}}) : torch::fft::rfft(rho, c10::nullopt, 2));
  if (!slabs_) s = fft(to_lines2_.to_bricks(s, *comm_), 1);
  return fft(to_lines1_.to_bricks(s, *comm_), 0);
}

Tensor MeshTransform::backward(const Tensor &spectrum) const
{
  const auto along3 = [&](const Tensor &s) { return torch::fft::irfft(s, mesh_[2], 2, "forward"); };
  if (comm_->size() == 1) return along3(torch::fft::ifftn(spectrum, c10::nullopt, {{0, 1}}, "forward"));
  Tensor s = to_lines1_.to_regions(ifft(spectrum, 0), *comm_);
  if (slabs_) s = ifft(s, 1);
  else s = to_lines2_.to_regions(ifft(s, 1), *comm_);
  return s.numel() ? along3(s) : torch::empty(lines3_[comm_->rank()].shape(), torch::real(s).options());
}

}    // namespace les

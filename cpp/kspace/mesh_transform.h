// Real Fourier transform of a periodic mesh that is distributed over ranks.
//
// Pencils (whole n3 lines) go transform by transform to pencils on the other axes, and back; slabs, where there are planes enough. No
// rank holds more than its share. Columns of the spectrum beyond those wanted are left out from the first transform on.
#pragma once

#include "mesh_layout.h"

namespace les {

class MeshTransform {
 public:
  MeshTransform() = default;
  // Of the spectrum, n3 = 0 ... highest is wanted; highest <= mesh[2] / 2.
  MeshTransform(const std::array<int64_t, 3> &mesh, int64_t highest, const Communicator &communicator);

  // Parts of the mesh, one a rank, and this rank's part of the spectrum.
  const Layout &bricks() const { return lines3_; }
  const Brick &spectrum() const { return lines1_; }

  // sum over the mesh of rho exp(-2 pi i n.m/N); and back, unscaled either way.
  torch::Tensor forward(const torch::Tensor &rho) const;
  torch::Tensor backward(const torch::Tensor &spectrum) const;

 private:
  const Communicator *comm_ = nullptr;
  std::array<int64_t, 3> mesh_{};
  int64_t columns3_ = 0;                 // of the spectrum on axis 3
  Layout lines3_;                        // of the mesh
  Brick lines1_;                         // of the spectrum after the transform on axis 1
  bool slabs_ = true;                    // lines3_ holds whole planes: axes 3 and 2 are transformed together
  Transfer to_lines2_, to_lines1_;       // of the spectrum; for slabs the second alone
  std::vector<int64_t> after3_shape_;    // of this rank's spectrum after the transform on axis 3
};

}    // namespace les

// Charges on a periodic mesh, on the GPU of one rank: what lies between the atoms and the Fourier transforms. Kernels: kernels/mesh.h
#pragma once

#include "program.h"

#include <array>

namespace les::gpu {

class MeshKernels {
 public:
  // window [degree + 1, P] f64: polynomials at the P points of the window, by powers of frac - (P - 1)/2; transforms: of the window along
  // each axis at the wave numbers that its spectrum has, f64. Both on the host; values on the mesh are of `type`.
  MeshKernels(const torch::Tensor &window, const std::array<int64_t, 3> &size,
              const std::array<torch::Tensor, 3> &transforms, torch::ScalarType type, torch::Device device);

  torch::ScalarType type() const { return type_; }
  torch::Device device() const { return device_; }

  struct Atoms {    // in their places
    torch::Tensor fraction, first, start, order;
  };
  // positions [n, 3] f64 A; inverse [3, 3] f64 on the host, of the cell
  Atoms place(const torch::Tensor &positions, const torch::Tensor &inverse) const;

  // Charges [n, C] -> the mesh of each channel [C, ...]
  torch::Tensor spread(const Atoms &atoms, const torch::Tensor &charges) const;

  struct Influence {
    torch::Tensor inverse,
        chosen;                   // [3, 3] f64 on the host: of the cell, and of that for which wave vectors were chosen
    double norm, sigma2, most;    // N/V; A^2; largest |k|^2 of wave vectors that are chosen
  };
  // The spectrum of a channel times 2 (N/V) f(k)/w(k)^2; `parts` [rows, 6] f64 gets what adds up to the virial of charges, rows() of them
  torch::Tensor influence(const torch::Tensor &rho, const Influence &of, torch::Tensor parts) const;
  int64_t rows() const;
  torch::Tensor virial(const torch::Tensor &parts) const;    // [3, 3] f64

  // A channel of the mesh at the atoms: potential [n, C] of `type`, gradient [n, C, 3] f64
  void gather(const Atoms &atoms, const torch::Tensor &mesh, const torch::Tensor &inverse, int64_t channel,
              torch::Tensor &potential, torch::Tensor &gradient) const;

 private:
  int order_;
  std::array<int64_t, 3> size_;
  torch::ScalarType type_;
  torch::Device device_;
  Program program_;
  torch::Tensor window_;         // [degree + 1, P] of `type`
  torch::Tensor by_window_;      // [size 0 + size 1 + columns] f64
  torch::Tensor tile_bounds_;    // [tiles + 1] i32: 0, 1, 2, ...
  int64_t tiles_, columns_;
};

}    // namespace les::gpu

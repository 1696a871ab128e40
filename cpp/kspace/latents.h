// What a network gives the long-range sum of each atom; meaning in export/FORMAT.md.
#pragma once

#include <torch/types.h>

#include <array>
#include <vector>

namespace les {

// By atom and channel, undefined where the model has none. A gradient by latents has the same shapes.
struct Latents {
  torch::Tensor charge{};        // [n, C] q, file units
  torch::Tensor dipole{};        // [n, C, 3] u, file unit A
  torch::Tensor quadrupole{};    // [n, C, 3, 3] Q, file unit A^2; symmetric, traceless
  torch::Tensor kappa{};         // [n, C] file unit^2/eV: a potential phi induces the charge -kappa phi
  torch::Tensor alpha{};         // [n, C, 3, 3] file unit^2 A^2/eV, symmetric: a field E induces the dipole alpha E

  bool responds() const { return kappa.defined() || alpha.defined(); }

  // The highest moment of what atoms are and of what is induced in them: 0 charges, 1 dipoles, 2 quadrupoles
  int moments() const { return quadrupole.defined() ? 2 : dipole.defined() || alpha.defined() ? 1 : 0; }

  // q, u and Q row by row, as far as there are some: [n, C, M], M = 1, 4 or 13
  torch::Tensor sources() const
  {
    const torch::Tensor q = charge.unsqueeze(2);
    if (!dipole.defined() && !quadrupole.defined()) return q;
    const torch::Tensor u = dipole.defined() ? dipole : torch::zeros_like(quadrupole.select(3, 0));
    return torch::cat(quadrupole.defined() ? std::vector{q, u, quadrupole.flatten(2)} : std::vector{q, u}, 2);
  }
};

// Their names in the order in which a network gives them, and the shapes that follow [n, C].
struct LatentKind {
  const char *name;
  torch::Tensor Latents::*member;
  std::vector<int64_t> shape;
};
inline const std::array<LatentKind, 5> LATENTS{{{"charge", &Latents::charge, {}},
                                                {"dipole", &Latents::dipole, {3}},
                                                {"quadrupole", &Latents::quadrupole, {3, 3}},
                                                {"kappa", &Latents::kappa, {}},
                                                {"alpha", &Latents::alpha, {3, 3}}}};

}    // namespace les

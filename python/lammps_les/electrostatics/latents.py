"""What a network gives for each atom, and the sources of the long-range sum among it."""

from typing import NamedTuple

import torch
from torch import Tensor


class Latents(NamedTuple):
    """Latent variables of N atoms in C channels, in file units; None where a model has none.

    Attributes:
        charge: q [N, C], unit.
        dipole: u [N, C, 3], unit A.
        quadrupole: Q [N, C, 3, 3], unit A^2; symmetric, traceless.
        kappa: [N, C], unit^2/eV: potentials induce the charge -kappa phi.
        alpha: [N, C, 3, 3], unit^2 A^2/eV, symmetric: fields induce the dipole alpha E.
    """

    charge: Tensor
    dipole: Tensor | None = None
    quadrupole: Tensor | None = None
    kappa: Tensor | None = None
    alpha: Tensor | None = None


def latents_of(outputs: dict[str, Tensor]) -> Latents:
    """What ``latents`` of a model file gives (FORMAT.md), in float64, alpha always as tensors."""
    alpha = _double(outputs, "alpha")
    if alpha is not None and alpha.dim() == 2:
        alpha = alpha[:, :, None, None] * torch.eye(3, dtype=alpha.dtype, device=alpha.device)
    return Latents(
        outputs["charge"].double(),
        _double(outputs, "dipole"),
        _double(outputs, "quadrupole"),
        _double(outputs, "kappa"),
        alpha,
    )


def _double(outputs: dict[str, Tensor], name: str) -> Tensor | None:
    if name in outputs:
        return outputs[name].double()
    return None


def packed_sources(latents: Latents) -> Tensor:
    """Charge, dipole and quadrupole in one tensor s [N, C, M].

    M = 1 (q), 4 (q, u) or 13 (q, u, Q row by row). The dipole has its place, with zeros, also where
    alpha is there, so that the field belongs to what the sum gives.
    """
    charge, dipole, quadrupole = latents.charge, latents.dipole, latents.quadrupole
    parts = [charge[:, :, None]]
    if dipole is not None:
        parts.append(dipole)
    elif quadrupole is not None or latents.alpha is not None:
        parts.append(torch.zeros_like(charge)[:, :, None].expand(-1, -1, 3))
    if quadrupole is not None:
        parts.append(quadrupole.flatten(2))
    return torch.cat(parts, dim=2)

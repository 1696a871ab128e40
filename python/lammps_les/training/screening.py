"""What alpha screens: susceptibilities, epsilon_e while training, polarizabilities."""

from math import pi

import torch
from torch import Tensor

from lammps_les.electrostatics import (
    coupling_dielectric,
    dielectric_root,
    polarizability,
    susceptibility,
)
from lammps_les.training.frames import Batch
from lammps_les.training.physics import Physics
from lammps_les.units import COULOMB


def volumes(batch: Batch) -> Tensor:
    """[B] in A^3; infinite in open frames."""
    periodic = torch.tensor(batch.periodic, device=batch.cells.device)
    found = torch.abs(torch.linalg.det(batch.cells))
    return torch.where(periodic, found, torch.full_like(found, torch.inf))


def screening(alpha: Tensor, batch: Batch, physics: Physics) -> tuple[Tensor, Tensor]:
    """Chi [B, 3, 3] of the frames, and the root [3, 3] of epsilon_e.

    The epsilon_e is that of ``physics.susceptibility``, a mean over many frames, but it changes
    with the parameters as that of the mean of the batch does; of a tensor, as its trace. Without
    that, a loss would pull alpha to where epsilon_e follows and takes the effect away.
    """
    of_frames = batch.periodic
    chi = torch.stack(
        [
            susceptibility(of_one, physics.long_range.norm, volume)
            for of_one, volume in zip(alpha.split(batch.sizes), volumes(batch), strict=True)
        ]
    )
    mean = chi[torch.tensor(of_frames, device=chi.device)].sum(0) / max(1, sum(of_frames))
    constant = mean.detach()
    if physics.susceptibility is not None:
        constant = chi.new_tensor(physics.susceptibility)
    root = dielectric_root(coupling_dielectric(physics.epsilon_inf, constant)).to(chi)
    screened = 1.0 + torch.trace(constant) / 3.0
    moved = screened + torch.trace(mean - mean.detach()) / 3.0
    return chi, root * torch.sqrt(screened / moved)


def polarizabilities(alpha: Tensor, batch: Batch, physics: Physics, root: Tensor) -> Tensor:
    """[B, 3, 3] in e A^2/V: that of alpha, and of periodic frames (epsilon_e - 1) epsilon_0 V.

    The field on alpha is screened by epsilon_e; an open frame is in vacuum.

    Args:
        alpha: [N, C, 3, 3] of all atoms.
        batch: the frames.
        physics: of the model.
        root: [3, 3] of epsilon_e.
    """
    identity = torch.eye(3, dtype=alpha.dtype, device=alpha.device)
    background = (root @ root - identity) / (4.0 * pi * COULOMB)
    found = []
    for of_one, volume in zip(alpha.split(batch.sizes), volumes(batch), strict=True):
        periodic = bool(torch.isfinite(volume))
        tensor = polarizability(of_one, physics.charge_unit, root if periodic else identity)
        found.append(tensor + background * volume if periodic else tensor)
    return torch.stack(found)

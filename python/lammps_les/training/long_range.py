"""Potential, forces and virial of latent charges by formula, for use inside a loss.

The formulas are those of ``lammps_les.electrostatics`` in the form of matrix products: what needs a
gradient are the charges, everything that depends on positions alone is a constant.
"""

from typing import NamedTuple

import torch
from torch import Tensor

from lammps_les.electrostatics import (
    Latents,
    LongRangeParameters,
    long_range_derivatives,
    wave_vectors,
)
from lammps_les.electrostatics.parameters import self_interaction
from lammps_les.electrostatics.periodic import screening


class LongRange(NamedTuple):
    """Long-range part at fixed charges; E_lr = 1/2 sum q phi.

    Attributes:
        potential: phi = dE/dq, [N, C], eV per file unit of charge.
        forces: -dE/dr at fixed q, [N, 3], eV/A.
        virial: -dE/d(strain) at fixed q, [3, 3], eV; zero where not asked for.
    """

    potential: Tensor
    forces: Tensor
    virial: Tensor


def long_range(
    positions: Tensor,
    charges: Tensor,
    cell: Tensor,
    triples: Tensor,
    periodic: bool,
    parameters: LongRangeParameters,
    virial: bool,
) -> LongRange:
    """Long-range part of one structure, differentiable in the charges.

    Args:
        positions: [N, 3] in A.
        charges: [N, C], file units.
        cell: [3, 3], rows are lattice vectors [A]; not used in open boundaries.
        triples: [K, 3] from ``wave_vector_triples``; not used in open boundaries.
        periodic: boundaries.
        parameters: of the model.
        virial: whether the virial is wanted.
    """
    if charges.size(1) == 0:
        return LongRange(charges, torch.zeros_like(positions), torch.zeros_like(cell))
    if not periodic:
        found = long_range_derivatives(
            positions, Latents(charges), cell, False, parameters, create_graph=True
        )
        return LongRange(found.latents.charge, found.forces, found.virial)
    k = wave_vectors(triples, cell)  # [K, 3]
    phase = k @ positions.T  # [K, N]
    cos, sin = torch.cos(phase), torch.sin(phase)
    volume = torch.abs(torch.linalg.det(cell))
    f = 2.0 * parameters.norm / volume * screening(k, parameters.sigma)  # [K]; 2: k and -k
    real, imaginary = cos @ charges, sin @ charges  # [K, C]
    weighted_real, weighted_imaginary = f[:, None] * real, f[:, None] * imaginary
    potential = 2.0 * (cos.T @ weighted_real + sin.T @ weighted_imaginary)
    if parameters.remove_self:
        own = 2.0 * parameters.self_factor * self_interaction(parameters)
        potential = potential - own * charges
    n_channels = charges.size(1)
    along_k = (weighted_real[:, :, None] * k[:, None, :]).flatten(1)  # [K, C a]
    across_k = (weighted_imaginary[:, :, None] * k[:, None, :]).flatten(1)
    per_channel = (sin.T @ along_k - cos.T @ across_k).view(-1, n_channels, 3)
    forces = 2.0 * (charges[:, :, None] * per_channel).sum(1)
    tensor = torch.zeros_like(cell)
    if virial:
        terms = f * (real * real + imaginary * imaginary).sum(1)  # [K]
        slope = 2.0 * (1.0 / (k * k).sum(1) + 0.5 * parameters.sigma**2)
        identity = torch.eye(3, dtype=k.dtype, device=k.device)
        tensor = terms.sum() * identity - k.T @ ((terms * slope)[:, None] * k)
    return LongRange(potential, forces, tensor)

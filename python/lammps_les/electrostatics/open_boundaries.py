"""Pair sum of smeared charges in open boundaries."""

import math

import torch
from torch import Tensor

from lammps_les.electrostatics.parameters import LongRangeParameters, self_interaction


def _pairs(positions: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Indices i < j [P], vectors r_i - r_j [P, 3] and distances [P] of all pairs."""
    n = positions.size(0)
    index = torch.triu_indices(n, n, offset=1, device=positions.device)
    vectors = positions[index[0]] - positions[index[1]]
    return index[0], index[1], vectors, torch.linalg.vector_norm(vectors, dim=1)


def open_energy(positions: Tensor, charges: Tensor, parameters: LongRangeParameters) -> Tensor:
    """Long-range energy [eV] without boundaries, a scalar.

    E_lr = sum_c (N/2pi) sum_{i<j} q_ic q_jc erf(r_ij / (sqrt2 sigma)) / (r_ij + open_shift)
           + [self kept] N sum_ic q_ic^2 / (sigma (2 pi)^1.5)

    Args:
        positions: [N, 3] in A, no two atoms in one place.
        charges: [N, C], file units.
        parameters: of the model; ``dl`` and ``self_factor`` mean nothing here.
    """
    i, j, _, distances = _pairs(positions)
    width = math.sqrt(2.0) * parameters.sigma
    products = (charges[i] * charges[j]).sum(dim=1)  # [P]
    interaction = (
        products * torch.erf(distances / width) / (distances + parameters.open_shift)
    ).sum()
    energy = parameters.norm / (2.0 * math.pi) * interaction
    if not parameters.remove_self:
        energy = energy + self_interaction(parameters) * (charges * charges).sum()
    return energy


def open_response(
    positions: Tensor, charges: Tensor, parameters: LongRangeParameters
) -> tuple[Tensor, Tensor, Tensor]:
    """Potential, forces and virial at fixed charges, by formula. Arguments as in ``open_energy``.

    With g(r) = (N/2pi) erf(r / (sqrt2 sigma)) / (r + open_shift):
    phi_ic = sum_{j != i} g(r_ij) q_jc + [self kept] 2 N q_ic / (sigma (2 pi)^1.5)
    F_i = -sum_{j != i, c} q_ic q_jc g'(r_ij) (r_i - r_j) / r_ij
    W_ab = -sum_{i<j, c} q_ic q_jc g'(r_ij) (r_i - r_j)_a (r_i - r_j)_b / r_ij

    Returns:
        phi [N, C] in eV per file unit, F [N, 3] in eV/A, W [3, 3] in eV.
    """
    i, j, vectors, distances = _pairs(positions)
    width = math.sqrt(2.0) * parameters.sigma
    prefactor = parameters.norm / (2.0 * math.pi)
    divisor = distances + parameters.open_shift
    g = prefactor * torch.erf(distances / width) / divisor  # [P]
    gaussian = 2.0 / (math.sqrt(math.pi) * width) * torch.exp(-((distances / width) ** 2))
    slope = (prefactor * gaussian - g) / divisor

    potential = torch.zeros_like(charges)
    potential = potential.index_add(0, i, g[:, None] * charges[j])
    potential = potential.index_add(0, j, g[:, None] * charges[i])
    if not parameters.remove_self:
        potential = potential + 2.0 * self_interaction(parameters) * charges

    products = (charges[i] * charges[j]).sum(dim=1)
    pair_forces = -(products * slope / distances)[:, None] * vectors  # on i, [P, 3]
    forces = torch.zeros_like(positions).index_add(0, i, pair_forces).index_add(0, j, -pair_forces)
    return potential, forces, pair_forces.T @ vectors

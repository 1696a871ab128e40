"""Reciprocal-space sum of smeared charges in a periodic cell (Cheng, npj Comput. Mater. 11, 80)."""

import torch
from torch import Tensor

from lammps_les.electrostatics.parameters import LongRangeParameters, self_interaction
from lammps_les.electrostatics.wave_vectors import wave_vector_triples, wave_vectors


def structure_factor(positions: Tensor, charges: Tensor, k: Tensor) -> tuple[Tensor, Tensor]:
    """Real and imaginary part, each [K, C], of S_c(k) = sum_i q_ic exp(i k.r_i).

    Args:
        positions: [N, 3] in A.
        charges: [N, C], file units.
        k: [K, 3] in 1/A.
    """
    phase = k @ positions.T  # [K, N]
    return torch.cos(phase) @ charges, torch.sin(phase) @ charges


def screening(k: Tensor, sigma: float) -> Tensor:
    """f(k) = exp(-sigma^2 k^2 / 2) / k^2 in A^2, [K], of wave vectors [K, 3] in 1/A."""
    k2 = (k * k).sum(dim=1)
    return torch.exp(-0.5 * sigma * sigma * k2) / k2


def periodic_energy(
    positions: Tensor,
    charges: Tensor,
    cell: Tensor,
    triples: Tensor,
    parameters: LongRangeParameters,
) -> Tensor:
    """Long-range energy [eV], a scalar.

    E_lr = sum_c (N/V) sum_k f(k) |S_c(k)|^2 - [remove_self] s N sum_ic q_ic^2 / (sigma (2 pi)^1.5)

    Args:
        positions: [N, 3] in A.
        charges: [N, C], file units.
        cell: [3, 3], rows are lattice vectors [A].
        triples: [K, 3] from ``wave_vector_triples``; one of each pair +-k.
        parameters: of the model.
    """
    k = wave_vectors(triples, cell)
    real, imaginary = structure_factor(positions, charges, k)
    power = (real * real + imaginary * imaginary).sum(dim=1)  # [K]
    volume = torch.abs(torch.linalg.det(cell))
    # 2: k and -k
    energy = 2.0 * parameters.norm / volume * (screening(k, parameters.sigma) * power).sum()
    if parameters.remove_self:
        self_energy = self_interaction(parameters) * (charges * charges).sum()
        energy = energy - parameters.self_factor * self_energy
    return energy


def periodic_response(
    positions: Tensor, charges: Tensor, cell: Tensor, parameters: LongRangeParameters
) -> tuple[Tensor, Tensor, Tensor]:
    """Potential, forces and virial at fixed charges, by formula.

    Arguments as in ``periodic_energy``, without the triples.

    With the last term of phi only where the self-interaction is removed:

    phi_ic = dE/dq_ic = (2N/V) sum_k f Re[S_c* e^{ik.r_i}] - 2 s N q_ic/(sigma (2 pi)^1.5)
    F_i = -dE/dr_i = (2N/V) sum_kc q_ic f k Im[S_c* e^{ik.r_i}]
    W_ab = -dE/d(strain_ab) = (N/V) sum_kc f |S_c|^2 [d_ab - 2 k_a k_b (1/k^2 + sigma^2/2)]

    Returns:
        phi [N, C] in eV per file unit, F [N, 3] in eV/A, W [3, 3] in eV.
    """
    k = wave_vectors(wave_vector_triples(cell, parameters.dl), cell)
    phase = k @ positions.T  # [K, N]
    cos, sin = torch.cos(phase), torch.sin(phase)
    real, imaginary = cos @ charges, sin @ charges  # [K, C]
    prefactor = 2.0 * parameters.norm / torch.abs(torch.linalg.det(cell))  # 2: k and -k
    f = prefactor * screening(k, parameters.sigma)  # [K]

    potential = 2.0 * (cos.T @ (f[:, None] * real) + sin.T @ (f[:, None] * imaginary))
    if parameters.remove_self:
        self_potential = 2.0 * self_interaction(parameters) * charges
        potential = potential - parameters.self_factor * self_potential

    force_weight = (real @ charges.T) * sin - (imaginary @ charges.T) * cos  # [K, N]
    forces = 2.0 * force_weight.T @ (f[:, None] * k)

    terms = f * (real * real + imaginary * imaginary).sum(dim=1)  # [K]
    k2 = (k * k).sum(dim=1)
    slope = 2.0 * terms * (1.0 / k2 + 0.5 * parameters.sigma * parameters.sigma)
    identity = torch.eye(3, dtype=k.dtype, device=k.device)
    virial = identity * terms.sum() - torch.einsum("k,ka,kb->ab", slope, k, k)
    return potential, forces, virial

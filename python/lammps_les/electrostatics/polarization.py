"""Charges and dipoles that couple to a field, and their polarization.

Zhong et al., npj Comput. Mater. (2025), 10.1038/s41524-025-01911-z.
"""

import math
from collections.abc import Sequence

import torch
from torch import Tensor


def coupling_charges(charges: Tensor, charge_unit: float, charge_sign: Tensor) -> Tensor:
    """Bare charges in e that couple to a uniform field, Q_i = unit sum_c sign_c q_ic.

    Args:
        charges: [N, C], file units; or dipoles [N, C, 3] in file units A, likewise.
        charge_unit: e per file unit.
        charge_sign: [C], physical sign of each channel.

    Returns:
        [N], or [N, 3] in e A; the mean of charges is not removed, the square root of epsilon_inf
        not applied.
    """
    return charge_unit * torch.einsum("nc...,c->n...", charges, charge_sign)


def polarizability(alpha: Tensor, charge_unit: float, root: Tensor) -> Tensor:
    """Electronic polarizability of all atoms, root (sum_ic unit^2 alpha_ic) root, in e A^2/V.

    Times 14.3996 V A/e it is one in A^3.

    Args:
        alpha: [N, C, 3, 3], file unit^2 A^2/eV.
        charge_unit: e per file unit.
        root: [3, 3], square root of the dielectric constant that dipoles couple with.
    """
    return charge_unit**2 * (root @ alpha.sum(dim=[0, 1]) @ root)


def susceptibility(alpha: Tensor, norm: float, volume: float | Tensor) -> Tensor:
    """Chi [3, 3] = sum_ic alpha_ic / (epsilon_0 V), in file units 2 N sum alpha / V.

    Below 1, or the energy has no minimum: fields of long waves would induce larger ones.

    Args:
        alpha: [N, C, 3, 3], file unit^2 A^2/eV.
        norm: N [eV A per file unit squared], 1 / (2 epsilon_0).
        volume: of the cell, A^3.
    """
    return 2.0 * norm / volume * alpha.sum(dim=[0, 1])


def coupling_dielectric(
    epsilon_inf: float | Sequence[Sequence[float]], chi: Tensor
) -> float | list[list[float]]:
    """epsilon_e, whose root latents couple with to a field where alpha screens as well.

    A number epsilon_inf gives epsilon_inf / (1 + tr chi / 3), a tensor
    (1 + chi)^(-1/2) epsilon_inf (1 + chi)^(-1/2).

    Args:
        epsilon_inf: of the whole, with what alpha adds to it.
        chi: [3, 3], of ``susceptibility``.
    """
    chi = chi.detach().double().cpu()
    if not isinstance(epsilon_inf, Sequence):
        return epsilon_inf / (1.0 + float(torch.trace(chi)) / 3.0)
    values, vectors = torch.linalg.eigh(torch.eye(3, dtype=torch.float64) + 0.5 * (chi + chi.T))
    root = (vectors / torch.sqrt(values)) @ vectors.T
    found = root @ torch.tensor(epsilon_inf, dtype=torch.float64) @ root
    symmetric: list[list[float]] = (0.5 * (found + found.T)).tolist()
    return symmetric


def dielectric_root(epsilon_inf: float | Sequence[Sequence[float]]) -> Tensor:
    """Square root [3, 3] of a dielectric constant or tensor, in float64.

    By it polarizations are multiplied, and Born effective charges on their P index: the electrons
    screen the latent charges inside, not in a field.
    """
    if isinstance(epsilon_inf, Sequence):
        values, vectors = torch.linalg.eigh(torch.tensor(epsilon_inf, dtype=torch.float64))
        root = (vectors * torch.sqrt(values)) @ vectors.T
        return 0.5 * (root + root.T)  # symmetric to the last digit
    return math.sqrt(epsilon_inf) * torch.eye(3, dtype=torch.float64)


def with_dielectric(tensor: Tensor, root: Tensor) -> Tensor:
    """Apply the root of epsilon_inf: Z_iab = sum_c root_ac Z0_icb, of tensors [N, 3, 3] in e."""
    return torch.matmul(root.to(tensor), tensor)


def with_total_charge(
    charges: Tensor, total_charge: float, charge_unit: float, charge_sign: Tensor
) -> Tensor:
    """Latent charges of one channel, shifted alike so that they sum to the charge of the system.

    q_i + (charge_sign total_charge / charge_unit - sum_j q_j) / N, as in FORMAT.md.

    Args:
        charges: [N, 1], file units, of all atoms of the system.
        total_charge: e, bare.
        charge_unit: e per file unit.
        charge_sign: [1].

    Returns:
        [N, 1], file units; differentiable, also in the sum.
    """
    missing = charge_sign * (total_charge / charge_unit) - charges.sum(dim=0)  # [1]
    return charges + missing / max(1, charges.size(0))


def without_mean(charges: Tensor, remove_mean: bool) -> Tensor:
    """q~ = Q - mean(Q) of charges [N] in e if ``remove_mean``, else the charges."""
    if remove_mean:
        return charges - charges.mean()
    return charges


def polarization(positions: Tensor, charges: Tensor, cell: Tensor, periodic: bool) -> Tensor:
    """Polarization (dipole of the cell) in e A, [3, 2]: real and imaginary part.

    open:      P_a = sum_j q_j r_ja (imaginary part zero)
    periodic:  one complex number a lattice vector m, P_m = sum_j q_j exp(2 pi i s_jm) / (2 pi i),
               in units of that vector, s = fractional coordinates; in an orthogonal cell a_m P_m
               is the P(k) = sum_j q_j exp(i k r_j) / (i k) at the smallest k of eq. 11.

    Args:
        positions: [N, 3] in A.
        charges: [N] in e.
        cell: [3, 3], rows are lattice vectors [A].
        periodic: which of the two.

    Returns:
        [3, 2] in e A (open) or in e (periodic, lattice components).
    """
    if not periodic:
        dipole = charges @ positions
        return torch.stack([dipole, torch.zeros_like(dipole)], dim=1)
    phase = 2.0 * math.pi * (positions @ torch.linalg.inv(cell))  # [N, m]
    real = charges @ torch.sin(phase) / (2.0 * math.pi)
    imaginary = -(charges @ torch.cos(phase)) / (2.0 * math.pi)
    return torch.stack([real, imaginary], dim=1)


def displacement_weight(displacements: Tensor, cell: Tensor, phase_form: bool) -> Tensor:
    """w_a(d) in A, [..., 3], of displacements d [..., 3] in A (FORMAT.md).

    local form:  w_a(d) = d_a
    phase form:  w_a(d) = sum_m cell[m, a] sin(2 pi s_m) / (2 pi), s = fractional d
    """
    if not phase_form:
        return displacements
    fractional = displacements @ torch.linalg.inv(cell)
    return torch.sin(2.0 * math.pi * fractional) / (2.0 * math.pi) @ cell

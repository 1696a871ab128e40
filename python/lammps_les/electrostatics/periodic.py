"""Reciprocal-space sum of smeared sources in a periodic cell (Cheng, npj Comput. Mater. 11, 80)."""

import torch
from torch import Tensor

from lammps_les.electrostatics.parameters import LongRangeParameters, own_fields
from lammps_les.electrostatics.wave_vectors import wave_vectors


def screening(k: Tensor, sigma: float) -> Tensor:
    """f(k) = exp(-sigma^2 k^2 / 2) / k^2 in A^2, [K], of wave vectors [K, 3] in 1/A."""
    k2 = (k * k).sum(dim=1)
    return torch.exp(-0.5 * sigma * sigma * k2) / k2


def source_factors(k: Tensor, components: int) -> tuple[Tensor, Tensor]:
    """p(k) of the components of a source, 1, i k_a, -1/2 k_a k_b: real, imaginary part [K, M].

    Args:
        k: [K, 3] in 1/A.
        components: M = 1, 4 or 13.
    """
    dyad = -0.5 * (k[:, :, None] * k[:, None, :]).flatten(1)
    real = torch.cat([torch.ones_like(k[:, :1]), torch.zeros_like(k), dyad], dim=1)
    imaginary = torch.cat([torch.zeros_like(k[:, :1]), k, torch.zeros_like(dyad)], dim=1)
    return real[:, :components], imaginary[:, :components]


def periodic_fields(
    positions: Tensor,
    sources: Tensor,
    cell: Tensor,
    triples: Tensor,
    parameters: LongRangeParameters,
) -> Tensor:
    """K s = dE/ds of E = 1/2 <s, K s>, for sources s: potentials, gradients, half second gradients.

    With p(k) the factors of the components m of a source (``source_factors``), a sphere of wave
    vectors, and the last term only where the self-interaction is removed:

    S_c(k) = sum_im p_m(k) s_icm exp(i k.r_i)
    (K s)_icm = (2N/V) sum_k f(k) Re[S_c(k)* p_m(k) exp(i k.r_i)] - s own_fields

    Args:
        positions: [N, 3] in A.
        sources: [N, C, M], of ``packed_sources``.
        cell: [3, 3], rows are lattice vectors [A].
        triples: [K, 3] from ``wave_vector_triples``; one of each pair +-k.
        parameters: of the model.

    Returns:
        [N, C, M], eV per unit of the source.
    """
    n, channels, components = sources.shape
    k = wave_vectors(triples, cell)
    phase = k @ positions.T
    cos, sin = torch.cos(phase), torch.sin(phase)  # [K, N]
    p, ip = source_factors(k, components)
    p, ip = p[:, None, :], ip[:, None, :]  # [K, 1, M]
    flat = sources.flatten(1)
    of_cos = (cos @ flat).view(k.size(0), channels, components)
    of_sin = (sin @ flat).view(k.size(0), channels, components)
    volume = torch.abs(torch.linalg.det(cell))
    f = 4.0 * parameters.norm / volume * screening(k, parameters.sigma)  # k and -k
    # f S [K, C, 1]
    real = f[:, None, None] * (p * of_cos - ip * of_sin).sum(dim=2, keepdim=True)
    imaginary = f[:, None, None] * (p * of_sin + ip * of_cos).sum(dim=2, keepdim=True)
    fields = cos.T @ (real * p + imaginary * ip).flatten(1)
    fields = fields + sin.T @ (imaginary * p - real * ip).flatten(1)
    fields = fields.view(n, channels, components)
    if parameters.remove_self:
        fields = fields - parameters.self_factor * own_fields(sources, parameters)
    return fields

"""Radial functions of edges in their places."""

import math

import torch
from torch import Tensor, nn

from lammps_les.models.cace.radial import polynomial_cutoff


class BesselBasis(nn.Module):
    """B_b(r) = sin(pi w_b x) / (pi x) u(x) with x = r / cutoff and the polynomial cutoff u.

    Args:
        n_bessel: number of functions.
        cutoff: A.
        power: p.
        factor: on all of them.
    """

    def __init__(self, n_bessel: int, cutoff: float, power: int, factor: float = 1.0) -> None:
        super().__init__()
        self.cutoff, self.power, self.factor = float(cutoff), power, float(factor)
        self.frequencies = nn.Parameter(torch.arange(1.0, n_bessel + 1.0))

    def forward(self, r: Tensor) -> Tensor:
        """Distances [n, width] in A, none of them 0, to [n, width, n_bessel]."""
        x = (r / self.cutoff).unsqueeze(2)
        window = polynomial_cutoff(x, self.power)
        return torch.sin(math.pi * x * self.frequencies) * (window * (self.factor / math.pi) / x)


def distances(vectors: Tensor) -> tuple[Tensor, Tensor]:
    """Lengths [n, width] and unit vectors [3, n, width] of vectors in their places."""
    r = torch.sqrt((vectors * vectors).sum(0))
    return r, vectors / r

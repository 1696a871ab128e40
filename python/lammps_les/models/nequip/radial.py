"""Radial functions of edges in their places."""

import math

import torch
from torch import Tensor, nn


class BesselBasis(nn.Module):
    """B_b(r) = sin(pi w_b x) / (pi x) u(x) with x = r / cutoff; 0 from the cutoff on.

    u(x) = 1 - (p+1)(p+2)/2 x^p + p(p+2) x^(p+1) - p(p+1)/2 x^(p+2) has two derivatives that are 0
    at x = 1 (Gasteiger et al., 2020).

    Args:
        n_bessel: number of functions.
        cutoff: A.
        power: p.
        factor: on all of them.
    """

    def __init__(self, n_bessel: int, cutoff: float, power: int, factor: float = 1.0) -> None:
        super().__init__()
        self.cutoff, self.power, self.factor = float(cutoff), float(power), float(factor)
        self.frequencies = nn.Parameter(torch.arange(1.0, n_bessel + 1.0))

    def forward(self, r: Tensor) -> Tensor:
        """Distances [n, width] in A, none of them 0, to [n, width, n_bessel]."""
        x, p = (r / self.cutoff).unsqueeze(2), self.power
        window = 1.0 + x**p * (
            -0.5 * (p + 1.0) * (p + 2.0) + x * (p * (p + 2.0) - 0.5 * p * (p + 1.0) * x)
        )
        window = torch.where(x < 1.0, window, torch.zeros_like(x))
        return torch.sin(math.pi * x * self.frequencies) * (window * (self.factor / math.pi) / x)


def distances(vectors: Tensor) -> tuple[Tensor, Tensor]:
    """Lengths [n, width] and unit vectors [3, n, width] of vectors in their places."""
    r = torch.sqrt((vectors * vectors).sum(0))
    return r, vectors / r

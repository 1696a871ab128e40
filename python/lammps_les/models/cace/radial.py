"""Radial basis: spherical Bessel functions under a polynomial cutoff."""

import math

import torch
from torch import Tensor, nn


def polynomial_cutoff(x: Tensor, power: int) -> Tensor:
    """Smooth step from 1 at x = 0 to 0 at x = 1 with two continuous derivatives; 0 beyond.

    f(x) = 1 - (p+1)(p+2)/2 x^p + p(p+2) x^(p+1) - p(p+1)/2 x^(p+2), Gasteiger et al., ICLR 2020,
    equation 8.

    Args:
        x: distance over cutoff, any shape.
        power: p.
    """
    a = 0.5 * (power + 1) * (power + 2)
    b = float(power * (power + 2))
    c = 0.5 * power * (power + 1)
    x = torch.clamp(x, max=1.0)  # where the result is 0 without rounding
    return 1.0 - torch.pow(x, power) * (a + x * (c * x - b))


def polynomial_cutoff_slope(distance: Tensor, cutoff: float, power: int) -> Tensor:
    """Derivative by the distance r of :func:`polynomial_cutoff` of x = r/cutoff.

    -p(p+1)(p+2)/(2 cutoff) x^(p-1) (1 - x)^2.
    """
    x = torch.clamp(distance / cutoff, max=1.0)
    factor = -0.5 * power * (power + 1) * (power + 2) / cutoff
    return torch.pow(x, power - 1) * torch.square(1.0 - x) * factor


class BesselBasis(nn.Module):
    """R_b(r) = sqrt(2/r_cut) sin(k_b r) / r, Gasteiger et al., ICLR 2020, equation 7.

    Given as two factors, because only the sines differ between the functions.

    Args:
        cutoff: r_cut [A].
        size: number of functions; the frequencies k_b [1/A] start as b pi/r_cut and are trained.
    """

    def __init__(self, cutoff: float, size: int) -> None:
        super().__init__()
        self.prefactor = math.sqrt(2.0 / cutoff)
        self.frequencies = nn.Parameter(torch.arange(1, size + 1) * (math.pi / cutoff))

    def forward(self, distance: Tensor) -> tuple[Tensor, Tensor]:
        """The sines [n, size, m] and their common factor [n, m] at ``distance`` [n, m]."""
        sines = torch.sin(self.frequencies.unsqueeze(1) * distance.unsqueeze(1))
        return sines, self.prefactor / distance

    def slopes(self, distance: Tensor, factor: Tensor, step_slope: Tensor, sines: Tensor) -> Tensor:
        """Derivatives by the distance of the functions times a step.

        Args:
            distance: [n, m] in A.
            factor: [n, m] common factor of the functions, step included.
            step_slope: [n, m] slope of the step.
            sines: [n, size, m] what differs between the functions.

        Returns:
            [n, size, m].
        """
        frequencies = self.frequencies[:, None]
        out = torch.cos(frequencies * distance[:, None]).mul_(frequencies).mul_(factor[:, None])
        of_sines = torch.add(factor, step_slope, alpha=-self.prefactor) / distance
        return out.addcmul_(sines, of_sines[:, None], value=-1.0)

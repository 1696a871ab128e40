"""Real spherical harmonics of any order, in the order and with the signs of e3nn."""

import math

import torch
from torch import Tensor


def spherical_harmonics(unit: Tensor, l_max: int) -> Tensor:
    """Y_lm of unit vectors, ordered by l and then m = -l ... l.

    Polynomials of the components: nothing is special at the poles. The axis of m is y, so that
    l = 1 is sqrt(3) (x, y, z); sum_m Y_lm^2 = 2 l + 1 ("component" normalization).

    Args:
        unit: [..., 3] of length 1.
        l_max: highest l.

    Returns:
        [..., (l_max + 1)^2].
    """
    x, y, z = unit.unbind(-1)
    return torch.stack(harmonics(x, y, z, l_max), -1)


def harmonics(x: Tensor, y: Tensor, z: Tensor, l_max: int) -> list[Tensor]:
    """The same of components of one shape, as a list over l and m."""
    one = torch.ones_like(x)
    out = [one for _ in range((l_max + 1) * (l_max + 1))]
    cosine, sine = one, torch.zeros_like(x)  # sin^m(theta) times cos(m phi), sin(m phi)
    largest = 1.0  # P_mm / sin^m, normalized
    for m in range(l_max + 1):
        if m == 1:
            cosine, sine, largest = z, x, math.sqrt(3.0)
        elif m > 1:
            cosine, sine = z * cosine - x * sine, z * sine + x * cosine
            largest *= math.sqrt((2.0 * m + 1.0) / (2.0 * m))
        lower, legendre = one, one * largest
        for l in range(m, l_max + 1):
            if l > m:
                a = math.sqrt((4.0 * l * l - 1.0) / (l * l - m * m))
                higher = a * y * legendre
                if l > m + 1:
                    b = math.sqrt(((l - 1.0) ** 2 - m * m) / (4.0 * (l - 1.0) ** 2 - 1.0))
                    higher = higher - a * b * lower
                lower, legendre = legendre, higher
            out[l * l + l + m] = legendre * cosine
            if m > 0:
                out[l * l + l - m] = legendre * sine
    return out

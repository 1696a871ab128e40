"""From basis functions of edges to the A basis of atoms, by matrix products."""

from typing import NamedTuple

import torch
from torch import Tensor

SOFTENING = 1e-9
"""Added to the length [A] by which edge vectors are divided, as in the published models: without it
their charges are reproduced to 1e-7 only."""


class EdgeBasis(NamedTuple):
    """Functions of the padded edges of n atoms.

    Attributes:
        distance: [n, m] in A.
        step: [n, m] polynomial cutoff.
        factor: [n, m] common factor of the radial functions, the cutoff included.
        sines: [b, n, m] what differs between them.
        angular: [l, n, m] monomials of the unit vectors.
        sizes: monomials of each order.
    """

    distance: Tensor
    step: Tensor
    factor: Tensor
    sines: Tensor
    angular: Tensor
    sizes: list[int]


def first_atoms(basis: EdgeBasis, n: int) -> EdgeBasis:
    """The basis of the first n atoms."""
    return EdgeBasis(
        basis.distance[:n],
        basis.step[:n],
        basis.factor[:n],
        basis.sines[:, :n],
        basis.angular[:, :n],
        basis.sizes,
    )


def sum_neighbors(basis: EdgeBasis, weights: Tensor) -> Tensor:
    """Sum over neighbors j of w_c(j) R_b(r_ij) Y_l(r_ij).

    Args:
        basis: of n atoms.
        weights: [1 or max_l+1, c, n, m]; with the latter each angular order has its own.

    Returns:
        [l, c, n, b].
    """
    n_bessel, n, width = basis.sines.shape
    n_angular = basis.angular.size(0)
    n_orders, c = weights.size(0), weights.size(1)
    weights = weights * basis.factor
    if n_orders == 1:
        right = weights[0].contiguous()[:, None] * basis.sines
        # the gradient of the product comes back transposed; that of view(-1) puts it in order once
        right = right.view(-1).view(c * n_bessel, n, width).permute(1, 2, 0)
        out = torch.bmm(basis.angular.permute(1, 0, 2), right)  # [n, l, (c b)]
        return out.view(n, n_angular, c, n_bessel).permute(1, 2, 0, 3)
    parts = []
    for order, angular in enumerate(torch.split(basis.angular, basis.sizes)):
        rows = angular.size(0) * n_bessel
        left = (angular[:, None] * basis.sines).view(rows, n, width).permute(1, 0, 2)
        parts.append(torch.bmm(left, weights[order].permute(1, 2, 0)))
    out = torch.cat(parts, 1)  # [n, (l b), c]
    return out.view(n, n_angular, n_bessel, c).permute(1, 3, 0, 2)


def mix(summed: Tensor, receiver: Tensor, mixing: Tensor) -> Tensor:
    """Multiply by the receiver's embedding and mix the radial functions.

    Args:
        summed: [l, K or K**2, n, b]; K: channels of the sender only, K**2: of sender and receiver.
        receiver: [K, n].
        mixing: [l, K**2, b, m].

    Returns:
        A basis [l, K**2, n, m].
    """
    k, n = receiver.shape
    n_angular, channels, n_bessel, n_radial = mixing.shape
    pairs = summed.contiguous().view(n_angular, k, summed.size(1) // k, n, n_bessel)
    pairs = pairs * receiver[:, :, None]  # [l, a, b, n, b]
    mixed = torch.bmm(
        pairs.view(n_angular * channels, n, n_bessel),
        mixing.reshape(n_angular * channels, n_bessel, n_radial),
    )
    return mixed.view(n_angular, channels, n, n_radial)

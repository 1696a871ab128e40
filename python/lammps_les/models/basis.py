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
        sines: [n, b, m] what differs between them.
        angular: [n, l, m] monomials of the unit vectors.
        sizes: monomials of each order.
    """

    distance: Tensor
    step: Tensor
    factor: Tensor
    sines: Tensor
    angular: Tensor
    sizes: list[int]


def sum_neighbors(basis: EdgeBasis, weights: Tensor) -> Tensor:
    """Sum over neighbors j of w_c(j) R_b(r_ij) Y_l(r_ij).

    Args:
        basis: of n atoms.
        weights: [1 or max_l+1, c, n, m]; with the latter each angular order has its own.

    Returns:
        [l, c, b, n].
    """
    n, n_bessel, width = basis.sines.shape
    n_angular = basis.angular.size(1)
    n_orders, c = weights.size(0), weights.size(1)
    weights = weights * basis.factor
    if n_orders == 1:
        right = weights[0].transpose(0, 1).contiguous().unsqueeze(2) * basis.sines.unsqueeze(1)
        # gradients come back transposed; that of the flat view puts them in order once
        right = right.reshape(-1).view(n, c * n_bessel, width).transpose(1, 2)
        out = torch.bmm(basis.angular, right)  # [n, l, (c b)]
        return out.view(-1).view(n, n_angular, c, n_bessel).permute(1, 2, 3, 0)
    parts = []
    of_order = torch.unbind(weights)
    for order, angular in enumerate(torch.split(basis.angular, basis.sizes, 1)):
        rows = angular.size(1) * n_bessel
        left = (angular.unsqueeze(2) * basis.sines.unsqueeze(1)).view(n, rows, width)
        parts.append(torch.bmm(left, of_order[order].permute(1, 2, 0)))
    out = torch.cat(parts, 1)  # [n, (l b), c]
    return out.view(-1).view(n, n_angular, n_bessel, c).permute(1, 3, 2, 0)


def sum_neighbors_backward(
    basis: EdgeBasis,
    radial: Tensor,
    slopes: Tensor,
    vectors: Tensor,
    inverse: Tensor,
    g: Tensor,
    by_unit: Tensor,
) -> Tensor:
    """A gradient by the result of :func:`sum_neighbors` to that by the edge vectors.

    With Y of the unit vector u and R of the length, weights included, sum_lb g_lb R_b Y_l has the
    gradient

        (1 - u u^T)/r sum_b R_b (sum_l g_lb dY_l/du) + u sum_b R'_b (sum_l g_lb Y_l)

    where u = x/r; the softening of r in u = x/(r + s) is taken into account below.

    Args:
        basis: of n atoms.
        radial: [n, (c b), m] weights times radial functions R.
        slopes: [n, (c b), m] weights times R'.
        vectors: [3, n, m] in A.
        inverse: [n, m] what they were multiplied by to get the unit vectors.
        g: [l, (c b), n] the gradient.
        by_unit: [l', 3, (c b), n] what it makes in the derivatives by u, of the l' monomials of
            lower order.

    Returns:
        [n, 3, m].
    """
    n_angular, cb, n = g.shape
    n_lower = by_unit.size(0)
    along = torch.bmm(_center_first(g).view(n, n_angular, cb).transpose(1, 2), basis.angular)
    along = along.mul_(slopes).sum(1)
    left = _center_first(by_unit).view(n, n_lower, 3 * cb).transpose(1, 2)
    turning = torch.bmm(left, basis.angular[:, :n_lower])
    turning = turning.view(n, 3, cb, turning.size(2)).mul_(radial[:, None]).sum(2)
    x = vectors.transpose(0, 1)
    along = (along - inverse * inverse * (turning * x).sum(1)) / basis.distance
    return turning.mul_(inverse[:, None]).addcmul_(x, along[:, None])


def _center_first(values: Tensor) -> Tensor:
    # [..., n] to [n, (...)]
    return values.flatten(0, -2).t().contiguous()


def mix(summed: Tensor, receiver: Tensor, mixing: Tensor) -> Tensor:
    """Multiply by the receiver's embedding and mix the radial functions.

    Args:
        summed: [l, K or K**2, b, n]; K: channels of the sender only, K**2: of sender and receiver.
        receiver: [K, n].
        mixing: [l, K**2, b, m].

    Returns:
        A basis [l, K**2, m, n].
    """
    k, n = receiver.shape
    n_angular, channels, n_bessel, n_radial = mixing.shape
    pairs = summed.contiguous().view(n_angular, k, summed.size(1) // k, n_bessel, n)
    pairs = pairs * receiver.unsqueeze(1)  # [l, a, b, b, n]
    mixed = torch.bmm(
        mixing.reshape(n_angular * channels, n_bessel, n_radial).transpose(1, 2),
        pairs.view(n_angular * channels, n_bessel, n),
    )
    return mixed.view(n_angular, channels, n_radial, n)


def mix_backward(gradient: Tensor, receiver: Tensor, mixing: Tensor) -> Tensor:
    """A gradient by the result of :func:`mix` to that by ``summed``.

    Args:
        gradient: [l, (K**2 m n)].
        receiver: [K, n].
        mixing: [l, K**2, b, m].

    Returns:
        [l, (K b), n].
    """
    n_angular, channels, n_bessel, n_radial = mixing.shape
    k, n = receiver.shape
    pairs = torch.bmm(
        mixing.reshape(n_angular * channels, n_bessel, n_radial),
        gradient.view(n_angular * channels, n_radial, n),
    ).view(n_angular, k, k, n_bessel, n)
    return (pairs * receiver[:, None]).sum(2).view(n_angular, k * n_bessel, n)

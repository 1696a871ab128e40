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


def tile_size(basis: EdgeBasis, channels: int) -> int:
    """Centers whose edges are summed at a time, so that what is summed stays in a CPU's cache.

    Args:
        basis: of all of them.
        channels: that are summed, each with all radial functions.
    """
    n, n_bessel, width = basis.sines.shape
    if basis.distance.is_cuda or torch.is_grad_enabled():
        return max(1, n)
    return max(16, 65536 // max(1, channels * n_bessel * width))  # a quarter of a MB in float32


def tile_of(basis: EdgeBasis, start: int, end: int) -> EdgeBasis:
    """The functions of the edges of some centers."""
    return EdgeBasis(
        basis.distance[start:end],
        basis.step[start:end],
        basis.factor[start:end],
        basis.sines[start:end],
        basis.angular[start:end],
        basis.sizes,
    )


def sum_neighbors(basis: EdgeBasis, weights: Tensor) -> Tensor:
    """Sum over neighbors j of w_c(j) R_b(r_ij) Y_l(r_ij).

    Args:
        basis: of n atoms.
        weights: [n, m, 1 or max_l+1, c]; with the latter each angular order has its own.

    Returns:
        [l, c, b, n].
    """
    n, n_bessel, _ = basis.sines.shape
    n_angular, c = basis.angular.size(1), weights.size(3)
    size = tile_size(basis, c)
    tiles = []
    for start in range(0, max(1, n), size):
        end = min(start + size, n)
        tiles.append(_sum_tile(tile_of(basis, start, end), weights[start:end]))
    out = tiles[0] if len(tiles) == 1 else torch.cat(tiles)  # [n, l, (c b)]
    return out.view(-1).view(n, n_angular, c, n_bessel).permute(1, 2, 3, 0)


def _sum_tile(basis: EdgeBasis, weights: Tensor) -> Tensor:
    n, n_bessel, width = basis.sines.shape
    c = weights.size(3)
    weights = weights.permute(0, 2, 3, 1).contiguous()  # [n, o, c, m]
    of_order = torch.unbind(weights * basis.factor[:, None, None], 1)
    parts = []
    for order, angular in enumerate(monomials_by_order(basis, len(of_order))):
        right = of_order[order].unsqueeze(2) * basis.sines.unsqueeze(1)
        # gradients come back transposed; that of the flat view puts them in order once
        right = right.reshape(-1).view(n, c * n_bessel, width).transpose(1, 2)
        parts.append(torch.bmm(angular, right))
    return parts[0] if len(parts) == 1 else torch.cat(parts, 1)


def monomials_by_order(basis: EdgeBasis, orders: int) -> list[Tensor]:
    """Monomials [n, l, m] of each angular order, or where there is 1, of all in one."""
    if orders == 1:
        return [basis.angular]
    return list(torch.split(basis.angular, basis.sizes, 1))


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


def mix_backward(gradient: Tensor, receiver: Tensor, mixing: Tensor, channels: int) -> Tensor:
    """A gradient by the result of :func:`mix` to that by ``summed``.

    Args:
        gradient: [l, (K**2 m n)].
        receiver: [K, n].
        mixing: [l, K**2, b, m].
        channels: of ``summed``, K or K**2.

    Returns:
        [l, (channels b), n].
    """
    n_angular, pairs, n_bessel, n_radial = mixing.shape
    k, n = receiver.shape
    by_pairs = torch.bmm(
        mixing.reshape(n_angular * pairs, n_bessel, n_radial),
        gradient.reshape(n_angular * pairs, n_radial, n),
    ).view(n_angular, k, k, n_bessel, n)
    by_pairs = by_pairs * receiver[:, None]
    if channels < pairs:
        by_pairs = by_pairs.sum(2)
    return by_pairs.view(n_angular, channels * n_bessel, n)

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
        weights: [c, n, m].

    Returns:
        [l, c, b, n].
    """
    n, n_bessel, width = basis.sines.shape
    n_angular, c = basis.angular.size(1), weights.size(0)
    right = (weights * basis.factor).transpose(0, 1).contiguous()
    right = right.unsqueeze(2) * basis.sines.unsqueeze(1)
    # gradients come back transposed; that of the flat view puts them in order once
    right = right.reshape(-1).view(n, c * n_bessel, width).transpose(1, 2)
    out = torch.bmm(basis.angular, right)  # [n, l, (c b)]
    return out.view(-1).view(n, n_angular, c, n_bessel).permute(1, 2, 3, 0)


def edge_products(basis: EdgeBasis) -> Tensor:
    """The monomials times the sines of each edge, [n, (l b), m]."""
    n, n_bessel, width = basis.sines.shape
    products = basis.angular.unsqueeze(2) * basis.sines.unsqueeze(1)
    return products.view(n, basis.angular.size(1) * n_bessel, width)


def sum_neighbors_by_order(basis: EdgeBasis, weights: Tensor, products: Tensor) -> Tensor:
    """The same with weights of their own for each angular order.

    Args:
        basis: of n atoms.
        weights: [n, m, o, c], o: max_l + 1 orders.
        products: [n, (l b), m] of ``edge_products``.

    Returns:
        [l, c, b, n].
    """
    n, n_bessel, _ = basis.sines.shape
    sizes: list[int] = []
    for size in basis.sizes:
        sizes.append(size * n_bessel)
    parts = []
    of_order = torch.unbind(weights * basis.factor[:, :, None, None], 2)
    for order, left in enumerate(torch.split(products, sizes, 1)):
        parts.append(torch.bmm(left, of_order[order]))
    out = torch.cat(parts, 1)  # [n, (l b), c]
    shape = [n, basis.angular.size(1), n_bessel, weights.size(3)]
    return out.view(-1).view(shape).permute(1, 3, 2, 0)


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

"""From gradients by sums over neighbors to those by edge vectors.

With Y of the unit vector u and R of the length r, weights included, sum_lb g_lb R_b Y_l has the
derivatives

    by u: sum_l dY_l/du (sum_b g_lb R_b)        by r: sum_lb g_lb R'_b Y_l

which are summed over all terms before ``by_vectors`` takes them to the edge vectors.
"""

from typing import NamedTuple

import torch
from torch import Tensor

from lammps_les.models.basis import EdgeBasis


class EdgeSlopes(NamedTuple):
    """Derivatives of an :class:`EdgeBasis`.

    Attributes:
        vectors: [3, n, m] in A.
        inverse: [n, m] what they were multiplied by to get the unit vectors.
        step: [n, m] slope of the polynomial cutoff.
        radial: [n, b, m] the radial functions, cutoff included.
        slopes: [n, b, m] their slopes.
        monomials: [(l' 3), l] derivatives of the monomials by the unit vector, as sums of the l'
            monomials of lower order.
    """

    vectors: Tensor
    inverse: Tensor
    step: Tensor
    radial: Tensor
    slopes: Tensor
    monomials: Tensor


def sum_neighbors_backward(
    basis: EdgeBasis,
    slopes: EdgeSlopes,
    weights: Tensor,
    gradients: list[Tensor],
    by_weights: Tensor | None,
) -> tuple[Tensor, Tensor]:
    """Gradients by the result of ``sum_neighbors`` to those by lengths and unit vectors.

    Args:
        basis: of n atoms.
        slopes: of ``basis``.
        weights: [c, n, m].
        gradients: k of them, [l, (c b), n].
        by_weights: [k, n, c, m], where those by the weights are written if asked for.

    Returns:
        by lengths [k, n, m] and by unit vectors [k, n, 3, m].
    """
    k, n_lower = len(gradients), slopes.monomials.size(0) // 3
    n, n_angular, width = basis.angular.shape
    n_bessel, c = basis.sines.size(1), weights.size(0)
    cb = c * n_bessel
    by_length = basis.angular.new_empty([k, n, width])
    by_unit = basis.angular.new_empty([k, n, 3, width])
    sender = weights.transpose(0, 1).contiguous()[:, :, None]  # [n, c, 1, m]
    radial = (sender * slopes.radial[:, None]).view(n, cb, width)
    falling = (sender * slopes.slopes[:, None]).view(n, cb, width)
    for index, g in enumerate(gradients):
        left = _center_first(g).view(n, n_angular, cb).transpose(1, 2)
        along = torch.bmm(left, basis.angular)  # [n, (c b), m]
        if by_weights is not None:
            terms = along.view(n, c, n_bessel, width) * slopes.radial[:, None]
            torch.sum(terms, [2], out=by_weights[index])
        torch.sum(along.mul_(falling), [1], out=by_length[index])
        lower = (slopes.monomials @ g.flatten(1)).view(n_lower, 3 * cb, n)
        left = _center_first(lower).view(n, n_lower, 3 * cb).transpose(1, 2)
        turning = torch.bmm(left, basis.angular[:, :n_lower]).view(n, 3, cb, width)
        torch.sum(turning.mul_(radial[:, None]), [2], out=by_unit[index])
    return by_length, by_unit


def sum_neighbors_by_order_backward(
    basis: EdgeBasis,
    slopes: EdgeSlopes,
    weights: Tensor,
    products: Tensor,
    gradients: list[Tensor],
    by_weights: Tensor,
) -> tuple[Tensor, Tensor]:
    """The same for ``sum_neighbors_by_order``, summed over channels first.

    Args:
        basis: of n atoms.
        slopes: of ``basis``.
        weights: [n, m, o, c].
        products: [n, (l b), m] of ``edge_products``.
        gradients: k of them, [l, (c b), n].
        by_weights: [k, n, m, o, c], where those by the weights are written.

    Returns:
        by lengths [k, n, m] and by unit vectors [k, n, 3, m].
    """
    k, n_lower = len(gradients), slopes.monomials.size(0) // 3
    n, n_angular, width = basis.angular.shape
    n_bessel, c = basis.sines.size(1), weights.size(3)
    by_length = basis.angular.new_empty([k, n, width])
    by_unit = basis.angular.new_empty([k, n, 3, width])
    both = torch.stack([slopes.radial, slopes.slopes], 1).unsqueeze(1)  # [n, 1, 2, b, m]
    sizes: list[int] = []
    for size in basis.sizes:
        sizes.append(size * n_bessel)
    parts = torch.split(products, sizes, 1)
    of_order = torch.unbind(weights, 2)
    for index, g in enumerate(gradients):
        left = g.view(n_angular, c, n_bessel, n).permute(3, 0, 2, 1).contiguous()
        sums: list[Tensor] = []
        of_weights: list[Tensor] = []
        for order, rows in enumerate(torch.split(left.view(n, n_angular * n_bessel, c), sizes, 1)):
            of_weights.append(torch.bmm(parts[order].transpose(1, 2), rows))  # [n, m, c]
            over_channels = torch.bmm(rows, of_order[order].transpose(1, 2))  # [n, (l b), m]
            over_channels = over_channels.view(n, basis.sizes[order], 1, n_bessel, width)
            sums.append((over_channels * both).sum(3))
        torch.mul(torch.stack(of_weights, 2), basis.factor[:, :, None, None], out=by_weights[index])
        by_monomial, along = torch.unbind(torch.cat(sums, 1), 2)  # [n, l, m] each
        torch.sum(along * basis.angular, [1], out=by_length[index])
        lower = torch.matmul(slopes.monomials, by_monomial).view(n, n_lower, 3, width)
        torch.sum(lower * basis.angular[:, :n_lower, None], [1], out=by_unit[index])
    return by_length, by_unit


def by_vectors(basis: EdgeBasis, slopes: EdgeSlopes, by_length: Tensor, by_unit: Tensor) -> Tensor:
    """Gradients by lengths and unit vectors to those by the edge vectors.

        (1 - u u^T)/r by_unit + u by_length

    where u = x/r; the softening of r in u = x/(r + s) is taken into account below.

    Args:
        basis: of n atoms.
        slopes: of ``basis``.
        by_length: [k, n, m].
        by_unit: [k, n, 3, m], overwritten.

    Returns:
        [k, n, m, 3].
    """
    x, inverse = slopes.vectors.transpose(0, 1), slopes.inverse
    along = (by_length - inverse * inverse * (by_unit * x).sum(2)) / basis.distance
    out = by_length.new_empty(list(by_length.shape) + [3])
    by_unit.mul_(inverse[:, None])
    torch.addcmul(by_unit, x.unsqueeze(0), along[:, :, None], out=out.transpose(2, 3))
    return out


def _center_first(values: Tensor) -> Tensor:
    # [..., n] to [n, (...)]
    return values.flatten(0, -2).t().contiguous()

"""From gradients by sums over neighbors to those by edge vectors.

With Y of the unit vector u and R of the length r, weights included, sum_lb g_lb R_b Y_l has the
derivatives

    by u: sum_l dY_l/du (sum_b g_lb R_b)        by r: sum_lb g_lb R'_b Y_l

which are summed over all terms before ``by_vectors`` takes them to the edge vectors.
"""

from typing import NamedTuple

import torch
from torch import Tensor

from lammps_les.models.cace.basis import EdgeBasis, monomials_by_order, tile_of, tile_size


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
        weights: [n, m, 1 or max_l+1, c].
        gradients: k of them, [l, (c b), n].
        by_weights: [k, n, m, 1 or max_l+1, c], where those by the weights are written if asked for.

    Returns:
        by lengths [k, n, m] and by unit vectors [k, n, 3, m].
    """
    n, n_bessel, width = basis.sines.shape
    k, orders, c = len(gradients), weights.size(2), weights.size(3)
    n_lower = slopes.monomials.size(0) // 3
    by_length = basis.distance.new_empty([k, n, width])
    by_unit = basis.distance.new_empty([k, n, 3, width])
    of_centers: list[Tensor] = []  # [n, l, (c b)]
    of_lower: list[Tensor] = []  # [n, (l' 3), (c b)]: of the derivatives of the monomials
    for g in gradients:
        of_centers.append(_center_first(g))
        lower = torch.matmul(slopes.monomials, g.flatten(1))
        of_lower.append(_center_first(lower.view(3 * n_lower, g.size(1), n)))
    rows, rows_of_lower = [basis.angular.size(1)], [3 * n_lower]
    if orders > 1:  # the derivatives of an order are of the one below
        rows, rows_of_lower = basis.sizes, [0]
        for number in basis.sizes[:-1]:
            rows_of_lower.append(3 * number)
    size = tile_size(basis, c)
    for start in range(0, n, size):
        end = min(start + size, n)
        tile, radial = tile_of(basis, start, end), slopes.radial[start:end].unsqueeze(1)
        shape = [end - start, c * n_bessel, width]
        functions: list[Tensor] = []  # of each order [n, (c b), m]: of lengths, weights included,
        derivatives: list[Tensor] = []  # and their slopes
        of_orders = weights[start:end].permute(0, 2, 3, 1).contiguous()
        for w in torch.unbind(of_orders.unsqueeze(3), 1):  # [n, c, 1, m]
            functions.append((w * radial).view(shape))
            derivatives.append((w * slopes.slopes[start:end].unsqueeze(1)).view(shape))
        for index in range(k):
            left = of_centers[index][start:end]
            along = _products(left, derivatives, rows)  # [n, l, m]
            torch.sum(along.mul_(tile.angular), [1], out=by_length[index, start:end])
            turning = _products(of_lower[index][start:end], functions, rows_of_lower)
            turning = turning.view(end - start, n_lower, 3, width)
            turning = turning.mul_(tile.angular[:, :n_lower, None])
            torch.sum(turning, [1], out=by_unit[index, start:end])
            if by_weights is not None:
                of_weights: list[Tensor] = []
                parts = torch.split(left, rows, 1)
                for order, angular in enumerate(monomials_by_order(tile, orders)):
                    terms = torch.bmm(parts[order].transpose(1, 2), angular)
                    terms = terms.view(end - start, c, n_bessel, width).mul_(radial)
                    of_weights.append(terms.sum(2))
                by_weights[index, start:end] = torch.stack(of_weights, 1).permute(0, 3, 1, 2)
    return by_length, by_unit


def _products(left: Tensor, right: list[Tensor], rows: list[int]) -> Tensor:
    """Products [n, l, m] of rows [n, l, (c b)], so many with each matrix [n, (c b), m]."""
    if len(right) == 1:
        return torch.bmm(left, right[0])
    parts: list[Tensor] = []
    for index, part in enumerate(torch.split(left, rows, 1)):
        if rows[index] > 0:
            parts.append(torch.bmm(part, right[index]))
    return torch.cat(parts, 1)


def _center_first(values: Tensor) -> Tensor:
    """[l, (c b), n] to [n, l, (c b)]."""
    by_center = values.flatten(0, 1).t().contiguous()
    return by_center.view(values.size(2), values.size(0), values.size(1))


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
    square = inverse * inverse
    along = torch.addcmul(by_length, square, (by_unit * x).sum(2), value=-1.0) / basis.distance
    out = by_length.new_empty(list(by_length.shape) + [3])
    by_unit.mul_(inverse[:, None])
    torch.addcmul(by_unit, x.unsqueeze(0), along[:, :, None], out=out.transpose(2, 3))
    return out

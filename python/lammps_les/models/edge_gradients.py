"""From gradients by sums over neighbors to those by edge vectors.

With Y of the unit vector u and R of the length r, weights included, sum_lb g_lb R_b Y_l has the
derivatives

    by u: sum_l dY_l/du (sum_b g_lb R_b)        by r: sum_lb g_lb R'_b Y_l

which are summed over all terms before ``by_vectors`` takes them to the edge vectors.
"""

from typing import NamedTuple

import torch
from torch import Tensor

from lammps_les.models.basis import EdgeBasis, monomials_by_order, tile_of, tile_size


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
    k, c, n_lower = len(gradients), weights.size(3), slopes.monomials.size(0) // 3
    by_length = basis.distance.new_empty([k, n, width])
    by_unit = basis.distance.new_empty([k, n, 3, width])
    of_centers: list[Tensor] = []  # [n, l, (c b)]
    for g in gradients:
        of_centers.append(g.flatten(0, 1).t().contiguous().view(n, g.size(0), g.size(1)))
    size = tile_size(basis, c)
    for start in range(0, n, size):
        end = min(start + size, n)
        tile, radial = tile_of(basis, start, end), slopes.radial[start:end]
        both = torch.stack([radial, slopes.slopes[start:end]], 2).unsqueeze(1)  # [n, 1, b, 2, m]
        of_order = torch.unbind(weights[start:end].permute(0, 2, 3, 1).contiguous(), 1)
        for index, of_center in enumerate(of_centers):
            sums: list[Tensor] = []
            of_weights: list[Tensor] = []
            first = 0
            for order, angular in enumerate(monomials_by_order(tile, len(of_order))):
                left = of_center[start:end, first : first + angular.size(1)]
                first += angular.size(1)
                right = of_order[order][:, :, None, None] * both
                sums.append(torch.bmm(left, right.view(end - start, c * n_bessel, 2 * width)))
                if by_weights is not None:
                    terms = torch.bmm(left.transpose(1, 2), angular)
                    terms = terms.view(end - start, c, n_bessel, width).mul_(radial[:, None])
                    of_weights.append(terms.sum(2))
            if by_weights is not None:
                by_weights[index, start:end] = torch.stack(of_weights, 1).permute(0, 3, 1, 2)
            summed = sums[0] if len(sums) == 1 else torch.cat(sums, 1)
            by_monomials, along = summed[:, :, :width], summed[:, :, width:]  # [n, l, m]
            torch.sum(along * tile.angular, [1], out=by_length[index, start:end])
            lower = torch.matmul(slopes.monomials, by_monomials)
            lower = lower.view(end - start, n_lower, 3, width)
            lower = lower.mul_(tile.angular[:, :n_lower, None])
            torch.sum(lower, [1], out=by_unit[index, start:end])
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

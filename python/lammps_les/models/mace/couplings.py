"""Equivariant polynomials of the components of one tensor A_lm, as tables of numbers.

A coupling of n factors to (L, m) is a path l1 x l2 -> l12, l12 x l3 -> l123, ... -> L, with a
Wigner symbol at each step, normalized by (2 l + 1)^(1/2). Several paths may give one polynomial, or
polynomials that are linearly dependent. Batatia et al., NeurIPS 2022, equations 10 and 11.
"""

from collections import Counter
from collections.abc import Iterator
from functools import lru_cache
from itertools import combinations, product
from typing import NamedTuple

import torch
from torch import Tensor

from lammps_les.models.o3.coupling import wigner_3j

_ZERO = 1e-10
"""What is left of a coefficient that is 0 but for rounding."""


class Polynomials(NamedTuple):
    """Polynomials of one degree and order L.

    Attributes:
        component: [n_terms] m = 0 ... 2 L of each term, ascending.
        factors: [n_terms, degree] which components of A a term multiplies, ascending.
        coefficients: [n_terms, n_polynomials] float64.
    """

    component: Tensor
    factors: Tensor
    coefficients: Tensor


@lru_cache
def equivariant_polynomials(max_l: int, degree: int, order: int, independent: bool) -> Polynomials:
    """Polynomials of A_lm, 0 <= l <= max_l, that transform as the harmonics of one order.

    Args:
        max_l: highest l of A; its components are numbered l^2 + l + m, the parity is (-1)^l.
        degree: number of factors.
        order: L of the result.
        independent: a basis of what the paths give, normalized as these are on average, instead of
            one polynomial for each path.
    """
    size = (max_l + 1) ** 2
    paths = _paths(max_l, degree, order, (-1) ** order)
    found = [tensor.reshape(2 * order + 1, size**degree) for tensor in paths]
    factors, sums = sum_terms(torch.stack(found, 2), size, degree)
    component, row = torch.nonzero(sums.abs().amax(2) > _ZERO, as_tuple=True)
    coefficients = sums[component, row]
    if independent:
        coefficients = _basis(coefficients)
    return Polynomials(component, factors[row], coefficients)


def sum_terms(dense: Tensor, size: int, degree: int) -> tuple[Tensor, Tensor]:
    """Coefficients of products of components in any order, summed for each product.

    Args:
        dense: [2 L + 1, size^degree, n_polynomials].
        size: number of components.
        degree: number of factors.

    Returns:
        factors [n, degree], ascending, of each product, and sums [2 L + 1, n, n_polynomials].
    """
    products = torch.cartesian_prod(*[torch.arange(size)] * degree).view(size**degree, degree)
    ordered = torch.sort(products, 1).values
    factors, product = torch.unique(ordered, dim=0, return_inverse=True)
    sums = dense.new_zeros(dense.size(0), len(factors), dense.size(2))
    return factors, sums.index_add_(1, product, dense)


def few_pairs(triples: list[tuple[int, ...]]) -> list[tuple[tuple[int, int], int]]:
    """A pair and a third factor for each of some triples, so that pairs are few."""
    left, chosen = set(triples), {}
    while left:
        counts = Counter(pair for triple in left for pair in set(combinations(triple, 2)))
        pair = min(counts, key=lambda pair: (-counts[pair], pair))
        for triple in [t for t in left if pair in combinations(t, 2)]:
            rest = list(triple)
            for factor in pair:
                rest.remove(factor)
            chosen[triple] = (pair, rest[0])
            left.remove(triple)
    return [chosen[triple] for triple in triples]


def _paths(max_l: int, degree: int, order: int, parity: int) -> Iterator[Tensor]:
    """A tensor [2 L + 1, size, size, ...] for each path to one order, as the original has them."""
    size = (max_l + 1) ** 2
    if degree == 1:
        if order <= max_l and parity == (-1) ** order:
            yield torch.eye(size, dtype=torch.float64)[order**2 : (order + 1) ** 2]
        return
    for before, sign in product(range(order + max_l + 1), (-1, 1)):
        for tensor in _paths(max_l, degree - 1, before, sign):
            for l in range(abs(order - before), min(order + before, max_l) + 1):
                if sign * (-1) ** l == parity:
                    symbol = wigner_3j(order, before, l) * (2 * order + 1) ** 0.5
                    block = torch.zeros(2 * order + 1, 2 * before + 1, size, dtype=torch.float64)
                    block[:, :, l * l : (l + 1) ** 2] = symbol
                    yield torch.einsum("pax,a...->p...x", block, tensor)


def _basis(columns: Tensor) -> Tensor:
    """Orthogonal columns that span the given ones, with their root mean square norm."""
    norm = columns.norm(dim=0)
    kept: list[Tensor] = []
    for column in (columns / norm.clamp(min=_ZERO)).unbind(1):
        rest = column
        for _ in range(2):  # what rounding leaves of the first time
            for vector in kept:
                rest = rest - vector * (vector @ rest)
        if rest.norm() > 1e-6:
            kept.append(rest / rest.norm())
    return torch.stack(kept, 1) * norm.square().mean().sqrt()

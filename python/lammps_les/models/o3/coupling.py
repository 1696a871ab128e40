"""Coefficients that couple two tensors to a third."""

from functools import cache
from math import factorial

import torch
from torch import Tensor


def wigner_3j(l1: int, l2: int, l3: int) -> Tensor:
    """The invariant of three irreps in the basis of ``spherical_harmonics``, with e3nn's sign.

    Args:
        l1: angular order; with ``l2`` and ``l3`` it fulfils the triangle inequality.
        l2: likewise.
        l3: likewise.

    Returns:
        [2 l1 + 1, 2 l2 + 1, 2 l3 + 1] float64, of norm 1.

    Raises:
        ValueError: no such invariant exists.
    """
    if not abs(l1 - l2) <= l3 <= l1 + l2:
        raise ValueError(f"expected three orders of a triangle, got {l1}, {l2} and {l3}")
    return _wigner_3j(l1, l2, l3).clone()


@cache
def _wigner_3j(l1: int, l2: int, l3: int) -> Tensor:
    coupling = torch.zeros(2 * l1 + 1, 2 * l2 + 1, 2 * l3 + 1, dtype=torch.complex128)
    for m1 in range(-l1, l1 + 1):
        for m2 in range(max(-l2, -l3 - m1), min(l2, l3 - m1) + 1):
            coupling[l1 + m1, l2 + m2, l3 + m1 + m2] = _clebsch_gordan(l1, m1, l2, m2, l3)
    real = torch.einsum(
        "abc,ai,bj,ck->ijk", coupling, _real_basis(l1), _real_basis(l2), _real_basis(l3).conj()
    ).real
    return real / torch.linalg.norm(real)


def _clebsch_gordan(l1: int, m1: int, l2: int, m2: int, l3: int) -> float:
    """<l1 m1 l2 m2 | l3 m1+m2> by Racah's formula, up to a factor common to all m."""
    m3 = m1 + m2
    total = 0.0
    for k in range(max(0, l2 - l3 - m1, l1 - l3 + m2), min(l1 + l2 - l3, l1 - m1, l2 + m2) + 1):
        lower = (k, l1 + l2 - l3 - k, l1 - m1 - k, l2 + m2 - k, l3 - l2 + m1 + k, l3 - l1 - m2 + k)
        term = 1
        for number in lower:
            term *= factorial(number)
        total += (-1) ** k / term
    under = 1
    for l, m in ((l1, m1), (l2, m2), (l3, m3)):
        under *= factorial(l + m) * factorial(l - m)
    return total * under**0.5


def _real_basis(l: int) -> Tensor:
    """Columns: real harmonics m = -l ... l in the complex ones, times (-i)^l."""
    basis = torch.zeros(2 * l + 1, 2 * l + 1, dtype=torch.complex128)
    basis[l, l] = 1.0
    for m in range(1, l + 1):
        sign, half = (-1) ** m, 0.5**0.5
        basis[l + m, l + m], basis[l - m, l + m] = sign * half, half
        basis[l + m, l - m], basis[l - m, l - m] = sign * half * 1j, -half * 1j
    return (-1j) ** l * basis

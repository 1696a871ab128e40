"""Irreducible representations of O(3) and how they are written, as in ``32x0e+16x1o``."""

import re
from collections.abc import Iterable
from typing import NamedTuple


class Irrep(NamedTuple):
    """Some tensors of one kind.

    Attributes:
        multiplicity: how many.
        l: angular order; each has 2 l + 1 components.
        parity: +1 or -1, the factor by which an inversion of space multiplies them.
    """

    multiplicity: int
    l: int
    parity: int


_WRITTEN = re.compile(r"(?:(\d{1,6})x)?(\d{1,2})([eo])")


def parse_irreps(text: str) -> list[Irrep]:
    """Irreps as they are written, ``e`` for parity +1 and ``o`` for -1; "" has none.

    Raises:
        ValueError: not written so.
    """
    irreps = []
    for part in text.replace(" ", "").split("+") if text.strip() else []:
        found = _WRITTEN.fullmatch(part)
        if not found:
            raise ValueError(f"expected irreps as in 32x0e+16x1o, got {text!r}")
        multiplicity, l, parity = found.groups()
        irreps.append(Irrep(int(multiplicity or 1), int(l), 1 if parity == "e" else -1))
    return irreps


def format_irreps(irreps: Iterable[Irrep]) -> str:
    """Irreps in the form that ``parse_irreps`` reads."""
    return "+".join(f"{n}x{l}{'e' if parity > 0 else 'o'}" for n, l, parity in irreps)

"""Cartesian angular basis and its rotational invariants, as index tables.

A multi-index i = (ix, iy, iz) of order |i| = ix + iy + iz stands for the monomial x^ix y^iy z^iz of a unit vector, and
C_i = |i|! / (ix! iy! iz!) for its weight in a scalar product of two rank-|i| tensors. All invariants of Cheng (2024),
equations 11 to 13, are contractions of the auxiliary tensors

    X^l_d = sum_{|i| = l} C_i A_i A_{i+d}
    nu = 1:  A_0
    nu = 2:  X^l_0                                     l >= 1
    nu = 3:  sum_{|d| = m} C_d A_d X^l_d               1 <= l <= m,     l + m <= max_l
    nu = 4:  sum_{|d| = k} C_d X^l_d X^m_d             1 <= l < m, k >= 1, m + k <= max_l
"""

from dataclasses import dataclass, field
from math import factorial

MultiIndex = tuple[int, int, int]


def monomials(max_l: int) -> list[MultiIndex]:
    """Multi-indices with 0 <= |i| <= max_l, by order, x before y before z within one: (max_l+1)(max_l+2)(max_l+3)/6."""
    return [
        (x, y, order - x - y)
        for order in range(max_l + 1)
        for x in range(order, -1, -1)
        for y in range(order - x, -1, -1)
    ]


def multinomial(index: MultiIndex) -> int:
    """C_i = |i|! / (ix! iy! iz!)."""
    x, y, z = index
    return factorial(x + y + z) // (factorial(x) * factorial(y) * factorial(z))


def _add(i: MultiIndex, d: MultiIndex) -> MultiIndex:
    return (i[0] + d[0], i[1] + d[1], i[2] + d[2])


@dataclass
class InvariantTables:
    """Which A to multiply and add up for each invariant.

    Attributes:
        pairs: (i, j, row, C_i): A_i A_j enters row of X with weight C_i.
        rows: number of rows of X; the first ``max_l`` are X^l_0, the invariants of nu = 2.
        triples: (d, row, p, C_d): A_d X_row enters invariant p of nu = 3.
        quadruples: (row, row', p, C_d): X_row X_row' enters invariant p of nu = 4.
        labels: (), (l,), (l, m) or (l, m, k) of each invariant in order, nu = 1 first; p above counts within its nu.
    """

    pairs: list[tuple[int, int, int, int]] = field(default_factory=list)
    rows: int = 0
    triples: list[tuple[int, int, int, int]] = field(default_factory=list)
    quadruples: list[tuple[int, int, int, int]] = field(default_factory=list)
    labels: list[tuple[int, ...]] = field(default_factory=list)


def invariant_tables(max_l: int, max_nu: int) -> InvariantTables:
    """Tables of the formulas above.

    Raises:
        ValueError: ``max_nu`` is not 1 to 4.
    """
    if not 1 <= max_nu <= 4:
        raise ValueError(f"max_nu is {max_nu}; invariants are known for 1 to 4")
    indices = monomials(max_l)
    place = {index: n for n, index in enumerate(indices)}
    of_order = [[i for i in indices if sum(i) == order] for order in range(max_l + 1)]
    tables = InvariantTables(labels=[()])
    row_of: dict[tuple[int, MultiIndex], int] = {}

    def row(order: int, d: MultiIndex) -> int:
        if (order, d) not in row_of:
            row_of[order, d] = tables.rows
            tables.pairs += [
                (place[i], place[_add(i, d)], tables.rows, multinomial(i)) for i in of_order[order]
            ]
            tables.rows += 1
        return row_of[order, d]

    if max_nu >= 2:
        for order in range(1, max_l + 1):
            row(order, (0, 0, 0))
            tables.labels.append((order,))
    if max_nu >= 3:
        labels = [(a, b) for a in range(1, max_l + 1) for b in range(a, max_l + 1 - a)]
        for p, (a, b) in enumerate(labels):
            tables.triples += [(place[d], row(a, d), p, multinomial(d)) for d in of_order[b]]
        tables.labels += labels
    if max_nu == 4:
        quads = [
            (a, b, k)
            for a in range(1, max_l + 1)
            for b in range(a + 1, max_l + 1)
            for k in range(1, max_l + 1 - b)
        ]
        for p, (a, b, k) in enumerate(quads):
            tables.quadruples += [(row(a, d), row(b, d), p, multinomial(d)) for d in of_order[k]]
        tables.labels += quads
    return tables

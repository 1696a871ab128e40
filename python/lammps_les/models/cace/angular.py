"""Cartesian angular basis and its rotational invariants, as tables of numbers.

A multi-index i = (ix, iy, iz) of order |i| = ix + iy + iz stands for the monomial x^ix y^iy z^iz
of a unit vector, and C_i = |i|! / (ix! iy! iz!) for its weight in a scalar product of two tensors
of that rank. The invariants are the symmetrized B basis of Cheng, npj Comput. Mater. 10, 157
(2024):

    nu = 1:  A_0
    nu = 2:  sum_{|i| = p} C_i A_i^2
    nu = 3:  sum_{|i| = p, |j| = q} C_i C_j A_i A_j A_{i+j}
    nu = 4:  sum_{|d| = s} C_d (sum_{|i| = p} C_i A_i A_{i+d}) (sum_{|j| = q} C_j A_j A_{j+d})

with orders 1 <= p <= q and p + q <= max_l for nu = 3, 1 <= p < q, 1 <= s and q + s <= max_l for
nu = 4.
"""

from math import factorial

MultiIndex = tuple[int, int, int]


def monomials(order: int) -> list[MultiIndex]:
    """Multi-indices with |i| = order, x before y before z: (order + 1)(order + 2)/2 of them."""
    return [(x, y, order - x - y) for x in range(order, -1, -1) for y in range(order - x, -1, -1)]


def multinomial(index: MultiIndex) -> int:
    """C_i = |i|! / (ix! iy! iz!)."""
    x, y, z = index
    return factorial(x + y + z) // (factorial(x) * factorial(y) * factorial(z))


def sum_index(i: MultiIndex, j: MultiIndex) -> MultiIndex:
    """The multi-index i + j."""
    return (i[0] + j[0], i[1] + j[1], i[2] + j[2])


def invariant_labels(max_l: int, max_nu: int) -> list[tuple[int, ...]]:
    """Orders (), (p,), (p, q), (p, q, s) of the invariants, in the order in which they stand.

    Raises:
        ValueError: ``max_nu`` is not 1 to 4.
    """
    if not 1 <= max_nu <= 4:
        raise ValueError(f"max_nu is {max_nu}; invariants are known for 1 to 4")
    orders = range(1, max_l + 1)
    labels: list[tuple[int, ...]] = [()]
    if max_nu >= 2:
        labels += [(p,) for p in orders]
    if max_nu >= 3:
        labels += [(p, q) for p in orders for q in orders if p <= q and p + q <= max_l]
    if max_nu >= 4:
        labels += [
            (p, q, s) for p in orders for q in orders for s in orders if p < q and q + s <= max_l
        ]
    return labels


def derivative_table(max_l: int) -> list[list[list[int]]]:
    """T[i][axis][L] = i_axis + 1 where i + axis = L, else 0; |i| < max_l, |L| <= max_l.

    The derivative of u^L by u_axis is sum_i T[i][axis][L] u^i.
    """
    everything = [i for order in range(max_l + 1) for i in monomials(order)]
    axes = [(1, 0, 0), (0, 1, 0), (0, 0, 1)]
    return [
        [[(i[a] + 1) * (sum_index(i, axes[a]) == total) for total in everything] for a in range(3)]
        for i in everything
        if sum(i) < max_l
    ]


def product_table(p: int, q: int) -> list[list[int]]:
    """T[L][(i, j)] = C_i C_j where i + j = L, else 0; |i| = p, |j| = q, |L| = p + q."""
    pairs = [(i, j) for i in monomials(p) for j in monomials(q)]
    return [
        [multinomial(i) * multinomial(j) * (sum_index(i, j) == total) for i, j in pairs]
        for total in monomials(p + q)
    ]


def contraction_table(p: int, s: int) -> list[list[int]]:
    """T[d][(i, L)] = C_i where i + d = L, else 0; |d| = s, |i| = p, |L| = p + s."""
    pairs = [(i, total) for i in monomials(p) for total in monomials(p + s)]
    return [
        [multinomial(i) * (sum_index(i, d) == total) for i, total in pairs] for d in monomials(s)
    ]

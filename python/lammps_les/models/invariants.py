"""The angular basis of edges and the rotational invariants of atoms."""

import torch
from torch import Tensor, nn

from lammps_les.models.angular import invariant_tables, monomials


class AngularBasis(nn.Module):
    """Monomials of unit vectors in the order of :func:`lammps_les.models.angular.monomials`.

    Args:
        max_l: highest order.
    """

    def __init__(self, max_l: int) -> None:
        super().__init__()
        indices = monomials(max_l)
        self.starts = [sum(sum(i) < order for i in indices) for order in range(max_l + 2)]
        axis, parent = [], []
        for index in indices:
            # divide by the first coordinate that occurs: x^ix y^iy z^iz = axis * parent
            a = next((a for a in range(3) if index[a] > 0), 0)
            rest = tuple(n - (b == a) for b, n in enumerate(index))
            axis.append(a)
            parent.append(indices.index(rest) - self.starts[sum(rest)] if sum(index) > 0 else 0)
        self.register_buffer("axis", torch.tensor(axis), persistent=False)
        self.register_buffer("parent", torch.tensor(parent), persistent=False)

    def forward(self, unit: Tensor) -> Tensor:
        """Unit vectors [3, n, m] to [n_angular, n, m]."""
        order = [torch.ones_like(unit[:1])]
        for a, b in zip(self.starts[1:-1], self.starts[2:]):
            if len(order) == 1:
                order.append(unit)
            else:
                order.append(
                    order[-1].index_select(0, self.parent[a:b])
                    * unit.index_select(0, self.axis[a:b])
                )
        return torch.cat(order)


class Invariants(nn.Module):
    """Products of the A basis that do not change under rotation, see :mod:`lammps_les.models.angular`.

    Args:
        max_l: highest order of A.
        max_nu: highest number of factors.
    """

    def __init__(self, max_l: int, max_nu: int) -> None:
        super().__init__()
        tables = invariant_tables(max_l, max_nu)
        self.size = len(tables.labels)
        self.max_l = max_l
        self.max_nu = max_nu

        def columns(terms: list[tuple[int, int, int, int]]) -> tuple[Tensor, Tensor, Tensor]:
            """First factor, second factor, and the matrix that adds the products up."""
            table = torch.tensor(terms, dtype=torch.int64).reshape(-1, 4)
            n_out = int(table[:, 2].max()) + 1 if len(terms) > 0 else 0
            weights = torch.zeros(n_out, len(terms))
            weights[table[:, 2], torch.arange(len(terms))] = table[:, 3].to(weights.dtype)
            return table[:, 0], table[:, 1], weights

        for name, terms in (
            ("pair", tables.pairs),
            ("triple", tables.triples),
            ("quadruple", tables.quadruples),
        ):
            for part, tensor in zip(("first", "second", "sum"), columns(terms), strict=True):
                self.register_buffer(f"{name}_{part}", tensor, persistent=False)

    def forward(self, a: Tensor) -> Tensor:
        """A basis [n_angular, F] to invariants [size, F]."""
        out = [a[:1]]
        if self.max_nu >= 2 and self.max_l >= 1:
            x = self.pair_sum @ (
                a.index_select(0, self.pair_first) * a.index_select(0, self.pair_second)
            )
            out.append(x[: self.max_l])
            if self.triple_sum.size(0) > 0:
                out.append(
                    self.triple_sum
                    @ (a.index_select(0, self.triple_first) * x.index_select(0, self.triple_second))
                )
            if self.quadruple_sum.size(0) > 0:
                out.append(
                    self.quadruple_sum
                    @ (
                        x.index_select(0, self.quadruple_first)
                        * x.index_select(0, self.quadruple_second)
                    )
                )
        return torch.cat(out)

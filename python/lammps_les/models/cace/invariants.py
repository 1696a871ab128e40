"""The angular basis of edges and the rotational invariants of atoms."""

import torch
from torch import Tensor, nn

from lammps_les.models.cace.angular import (
    contraction_table,
    derivative_table,
    invariant_labels,
    monomials,
    multinomial,
    product_table,
)


class AngularBasis(nn.Module):
    """Monomials of unit vectors, orders 0 ... max_l one after the other.

    Args:
        max_l: highest order.

    Attributes:
        slopes: [(l' 3), l] their derivatives by the unit vector, as sums of the l' of lower order.
    """

    slopes: Tensor

    def __init__(self, max_l: int) -> None:
        super().__init__()
        self.sizes = [len(monomials(order)) for order in range(max_l + 1)]
        self.max_l = max_l
        slopes = torch.tensor(derivative_table(max_l)).float().view(-1, sum(self.sizes))
        self.register_buffer("slopes", slopes, persistent=False)

    def forward(self, unit: Tensor) -> Tensor:
        """Unit vectors [3, n, m] to [n, sum of sizes, m]."""
        blocks = [torch.ones_like(unit[:1])]
        if self.max_l > 0:
            x, y, z = torch.split(unit, 1)
            blocks.append(unit)
            # without_x: the monomials of the last order that hold no x, without_xy: only z
            without_x, without_xy = unit[1:], z
            for _ in range(2, self.max_l + 1):
                without_xy = z * without_xy
                without_x = torch.cat([y * without_x, without_xy])
                blocks.append(torch.cat([x * blocks[-1], without_x]))
        return torch.cat([block.permute(1, 0, 2) for block in blocks], 1)


class Pair(nn.Module):
    """The invariant of nu = 2 with order p: A_p . A_p."""

    weights: Tensor

    def __init__(self, p: int) -> None:
        super().__init__()
        self.p = p
        weights = torch.tensor([[multinomial(i)] for i in monomials(p)])
        self.register_buffer("weights", weights.float(), persistent=False)

    def forward(self, a: list[Tensor]) -> Tensor:
        """A basis by order, each [components, F], to [1, F]."""
        return self.weights.t() @ torch.square(a[self.p])

    def backward(self, a: list[Tensor], g: Tensor, out: list[Tensor]) -> None:
        """Write g times the derivative by A: the first term of this order."""
        torch.mul(2.0 * self.weights * a[self.p], g, out=out[self.p])


class Triple(nn.Module):
    """The invariant of nu = 3 with orders (p, q, p + q): A_{p+q} . (A_p x A_q)."""

    table: Tensor

    def __init__(self, p: int, q: int) -> None:
        super().__init__()
        self.p, self.q = p, q
        self.register_buffer("table", torch.tensor(product_table(p, q)).float(), persistent=False)

    def forward(self, a: list[Tensor]) -> Tensor:
        """A basis by order, each [components, F], to [1, F]."""
        pairs = (a[self.p].unsqueeze(1) * a[self.q]).view(self.table.size(1), a[0].size(1))
        return (a[self.p + self.q] * (self.table @ pairs)).sum(0, keepdim=True)

    def backward(self, a: list[Tensor], g: Tensor, out: list[Tensor]) -> None:
        """Add g times the derivative by A, see :meth:`Invariants.backward`."""
        p, q, total = self.p, self.q, self.p + self.q
        pairs = (a[p].unsqueeze(1) * a[q]).view(self.table.size(1), a[0].size(1))
        out[total].addcmul_(self.table @ pairs, g)
        _add_factors(self.table.t() @ a[total], a, p, q, g, out)


class Quadruple(nn.Module):
    """The invariant of nu = 4 with orders (p, p + s) and (q, q + s), each pair contracted to s."""

    first: Tensor
    second: Tensor

    def __init__(self, p: int, q: int, s: int) -> None:
        super().__init__()
        self.p, self.q, self.s = p, q, s
        weights = torch.tensor([multinomial(d) for d in monomials(s)])[:, None]
        first, second = torch.tensor(contraction_table(p, s)), torch.tensor(contraction_table(q, s))
        self.register_buffer("first", (weights * first).float(), persistent=False)
        self.register_buffer("second", second.float(), persistent=False)

    def forward(self, a: list[Tensor]) -> Tensor:
        """A basis by order, each [components, F], to [1, F]."""
        n = a[0].size(1)
        first = (a[self.p].unsqueeze(1) * a[self.p + self.s]).view(self.first.size(1), n)
        second = (a[self.q].unsqueeze(1) * a[self.q + self.s]).view(self.second.size(1), n)
        return ((self.first @ first) * (self.second @ second)).sum(0, keepdim=True)

    def backward(self, a: list[Tensor], g: Tensor, out: list[Tensor]) -> None:
        """Add g times the derivative by A, see :meth:`Invariants.backward`."""
        n = a[0].size(1)
        p, q, s = self.p, self.q, self.s
        first = (a[p].unsqueeze(1) * a[p + s]).view(self.first.size(1), n)
        second = (a[q].unsqueeze(1) * a[q + s]).view(self.second.size(1), n)
        _add_factors(self.first.t() @ (self.second @ second), a, p, p + s, g, out)
        _add_factors(self.second.t() @ (self.first @ first), a, q, q + s, g, out)


def _add_factors(
    pairs: Tensor, a: list[Tensor], p: int, q: int, g: Tensor, out: list[Tensor]
) -> None:
    # of g sum_ij pairs_ij A_p,i A_q,j at fixed pairs [(i j), F]
    pairs = pairs.view(a[p].size(0), a[q].size(0), a[p].size(1))
    out[p].addcmul_((pairs * a[q]).sum(1), g)
    out[q].addcmul_((pairs * a[p].unsqueeze(1)).sum(0), g)


class Invariants(nn.Module):
    """Products of the A basis that no rotation changes, see :mod:`lammps_les.models.cace.angular`.

    Args:
        max_l: highest order of A.
        max_nu: highest number of factors.
    """

    def __init__(self, max_l: int, max_nu: int) -> None:
        super().__init__()
        labels = invariant_labels(max_l, max_nu)
        self.size = len(labels)
        self.sizes = [len(monomials(order)) for order in range(max_l + 1)]
        kinds: dict[int, type[nn.Module]] = {1: Pair, 2: Triple, 3: Quadruple}
        self.products = nn.ModuleList(kinds[len(label)](*label) for label in labels[1:])

    def forward(self, a: Tensor) -> Tensor:
        """A basis [n_angular, F] to invariants [size, F]."""
        orders = torch.split(a, self.sizes)
        out = [orders[0]]
        for product in self.products:
            out.append(product(orders))
        return torch.cat(out)

    def backward(self, a: Tensor, gradients: Tensor) -> Tensor:
        """Gradients by the invariants to gradients by the A basis, several at once.

        Args:
            a: A basis [n_angular, F].
            gradients: [k, size, F], k of them.

        Returns:
            [k, n_angular, F].
        """
        k, f = gradients.size(0), gradients.size(2)
        out = torch.empty([k, a.size(0), f], dtype=a.dtype, device=a.device)
        orders, parts = torch.split(a, self.sizes), torch.split(out, self.sizes, 1)
        parts[0].copy_(gradients[:, :1])
        if len(self.products) == 0:
            out[:, 1:].zero_()
        for index, product in enumerate(self.products):
            product.backward(  # type: ignore[operator]
                orders, gradients[:, index + 1, None], parts
            )
        return out

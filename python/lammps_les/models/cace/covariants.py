"""Vectors and tensors of atoms: products of the A basis that turn with the atoms.

With the numbers C_i of :mod:`lammps_les.models.cace.angular` and e_a the index of the axis a,

    vectors  V_a:   A_{e_a};   sum_{|i| = p} C_i A_i A_{i + e_a},  p = 0 ... max_l - 1
    tensors  T_ab:  A_{e_a + e_b};   A_{e_a} A_{e_b};
                    sum_{|i| = p} C_i A_i A_{i + e_a + e_b},  p = 0 ... max_l - 2

an inversion of space turns vectors round; tensors are symmetric: xx, xy, xz, yy, yz, zz.
"""

import torch
from torch import Tensor, nn

from lammps_les.models.cace.angular import MultiIndex, monomials, multinomial, sum_index


class Product(nn.Module):
    """Components d, each a sum over i of C_i A_left A_right.

    Args:
        max_l: highest order of A.
        terms: for each component a list of (C_i, left index, right index); all of one length.
    """

    weights: Tensor
    left: Tensor
    right: Tensor

    def __init__(self, max_l: int, terms: list[list[tuple[int, MultiIndex, MultiIndex]]]) -> None:
        super().__init__()
        everything = [i for order in range(max_l + 1) for i in monomials(order)]
        pairs = [(left, right) for component in terms for _, left, right in component]
        self.size, self.count = len(terms), len(terms[0])
        weights = torch.tensor([float(weight) for weight, _, _ in terms[0]])
        self.register_buffer("weights", weights[:, None], persistent=False)
        for name, side in (("left", 0), ("right", 1)):
            places = torch.tensor([everything.index(pair[side]) for pair in pairs])
            self.register_buffer(name, places, persistent=False)

    def forward(self, a: Tensor) -> Tensor:
        """A basis [l, F] to [components, F]."""
        shape = [self.size, self.count, a.size(1)]
        right = a.index_select(0, self.right).view(shape) * self.weights
        return (a.index_select(0, self.left).view(shape) * right).sum(1)

    @torch.jit.export
    def backward(self, a: Tensor, g: Tensor, out: Tensor) -> None:
        """Add g [k, components, F] times the derivative by A to ``out`` [k, l, F]."""
        shape = [self.size, self.count, a.size(1)]
        weighed = g.unsqueeze(2) * self.weights
        out.index_add_(
            1, self.left, (weighed * a.index_select(0, self.right).view(shape)).flatten(1, 2)
        )
        out.index_add_(
            1, self.right, (weighed * a.index_select(0, self.left).view(shape)).flatten(1, 2)
        )


def contractions(max_l: int, order: int) -> list[Product]:
    """The sums over i of one order of result, p = 0 ... max_l - order."""
    components = monomials(order)
    return [
        Product(
            max_l,
            [[(multinomial(i), i, sum_index(i, d)) for i in monomials(p)] for d in components],
        )
        for p in range(max_l - order + 1)
    ]


def dyad(max_l: int) -> Product:
    """A_{e_a} A_{e_b}."""
    x, y, z = monomials(1)
    return Product(
        max_l, [[(1, a, b)] for a, b in ((x, x), (x, y), (x, z), (y, y), (y, z), (z, z))]
    )


class Mixtures(nn.Module):
    """Linear mixtures of all vectors, or of all tensors, of an atom.

    Args:
        order: 1 for vectors, 2 for tensors.
        max_l: highest order of A, at least ``order``.
        n_features: channels and radial functions of A.
        count: mixtures.
    """

    def __init__(self, order: int, max_l: int, n_features: int, count: int) -> None:
        super().__init__()
        sizes = [len(monomials(p)) for p in range(order + 1)]
        self.first, self.size = sum(sizes[:-1]), sizes[-1]  # where A itself is one
        products = contractions(max_l, order) + ([dyad(max_l)] if order == 2 else [])
        self.products = nn.ModuleList(products)
        spread = (n_features * (1 + len(products))) ** -0.5
        self.weights = nn.Parameter(spread * torch.randn(1 + len(products), count, n_features))

    def forward(self, a: Tensor) -> Tensor:
        """A basis [l, F, n] to [components, count, n]."""
        maps, flat = torch.unbind(self.weights), a.flatten(1)
        shape = [self.size, a.size(1), a.size(2)]
        mixed = torch.matmul(maps[0], a.narrow(0, self.first, self.size))
        for index, product in enumerate(self.products):
            mixed = mixed + torch.matmul(maps[index + 1], product(flat).view(shape))
        return mixed

    @torch.jit.export
    def backward(self, a: Tensor, g: Tensor, out: Tensor) -> None:
        """Add g [k, components, count, n] times the derivative by A to ``out`` [k, l, F, n]."""
        maps, flat = torch.unbind(self.weights), a.flatten(1)
        out.narrow(1, self.first, self.size).add_(torch.matmul(maps[0].t(), g))
        for index, product in enumerate(self.products):
            by_product = torch.matmul(maps[index + 1].t(), g).flatten(2)
            product.backward(flat, by_product, out.flatten(2))  # type: ignore[operator]

"""Vectors and tensors of atoms: products of the A basis that turn with the atoms.

With the numbers C_i of :mod:`lammps_les.models.cace.angular` and e_a the index of the axis a,

    vectors  V_a:   A_{e_a};   sum_{|i| = p} C_i A_i A_{i + e_a},  p = 0 ... max_l - 1
    tensors  T_ab:  A_{e_a + e_b};   A_{e_a} A_{e_b};
                    sum_{|i| = p} C_i A_i A_{i + e_a + e_b},  p = 0 ... max_l - 2

an inversion of space turns vectors round; tensors are symmetric: xx, xy, xz, yy, yz, zz.
"""

import torch
from torch import Tensor, nn

from lammps_les.models.cace.angular import monomials, multinomial, sum_index


class Contraction(nn.Module):
    """Components d, each the sum over i, |i| = p, of C_i A_i A_{i + d}.

    Args:
        max_l: highest order of A.
        order: of the components.
        p: as above, at most ``max_l - order``.
    """

    weights: Tensor
    right: Tensor

    def __init__(self, max_l: int, order: int, p: int) -> None:
        super().__init__()
        everything = [i for q in range(max_l + 1) for i in monomials(q)]
        inner, components = monomials(p), monomials(order)
        self.first, self.count = everything.index(inner[0]), len(inner)
        weights = torch.tensor([float(multinomial(i)) for i in inner])
        places = [[everything.index(sum_index(i, d)) for i in inner] for d in components]
        self.register_buffer("weights", weights[:, None], persistent=False)
        self.register_buffer("right", torch.tensor(places), persistent=False)  # [components, i]

    def forward(self, a: Tensor) -> Tensor:
        """A basis [l, F] to [components, F]."""
        left = a.narrow(0, self.first, self.count) * self.weights
        right = a.index_select(0, self.right.flatten())
        return (right.view(self.right.size(0), self.count, a.size(1)) * left).sum(1)

    @torch.jit.export
    def backward(self, a: Tensor, g: Tensor, out: Tensor) -> None:
        """Add g [k, components, F] times the derivative by A to ``out`` [k, l, F]."""
        left = a.narrow(0, self.first, self.count) * self.weights
        for d in range(g.size(1)):  # one after another: what it takes stays in the cache
            by_component, places = g.select(1, d).unsqueeze(1), self.right[d]
            right = a.index_select(0, places) * self.weights
            out.narrow(1, self.first, self.count).addcmul_(by_component, right)
            out.index_add_(1, places, by_component * left)


class Dyad(nn.Module):
    """A_{e_a} A_{e_b}, xx, xy, xz, yy, yz, zz."""

    left: Tensor
    right: Tensor

    def __init__(self) -> None:
        super().__init__()
        first = len(monomials(0))  # where A_x stands
        pairs = [(a, b) for a in range(3) for b in range(a, 3)]
        for name, side in (("left", 0), ("right", 1)):
            places = torch.tensor([first + pair[side] for pair in pairs])
            self.register_buffer(name, places, persistent=False)

    def forward(self, a: Tensor) -> Tensor:
        """A basis [l, F] to [6, F]."""
        return a.index_select(0, self.left) * a.index_select(0, self.right)

    @torch.jit.export
    def backward(self, a: Tensor, g: Tensor, out: Tensor) -> None:
        """Add g [k, 6, F] times the derivative by A to ``out`` [k, l, F]."""
        out.index_add_(1, self.left, g * a.index_select(0, self.right))
        out.index_add_(1, self.right, g * a.index_select(0, self.left))


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
        products: list[nn.Module] = [Contraction(max_l, order, p) for p in range(max_l - order + 1)]
        products += [Dyad()] if order == 2 else []
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

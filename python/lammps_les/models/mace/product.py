"""Products of atomic environments, Batatia et al., NeurIPS 2022, equation 10."""

import math

import torch
from torch import Tensor, nn
from torch.nn.functional import pad

from lammps_les.models.mace.config import MaceConfig
from lammps_les.models.mace.couplings import equivariant_polynomials, few_pairs


def mix(x: Tensor, weights: Tensor) -> Tensor:
    """Linear maps of the channels, one for each l.

    Args:
        x: [n, (l_max + 1)^2, C].
        weights: [l_max + 1, C, C'] of order 1.
    """
    maps = torch.unbind(weights * (1.0 / math.sqrt(weights.size(1))))
    if len(maps) == 1:
        return torch.matmul(x, maps[0])
    parts: list[Tensor] = []
    for part, matrix in zip(torch.split(x, sizes_by_l(len(maps) - 1), 1), maps):  # noqa: B905
        parts.append(torch.matmul(part, matrix))
    return torch.cat(parts, 1)


def mix_by_species(x: Tensor, weights: Tensor, one_hot: Tensor) -> Tensor:
    """Linear maps of the channels, one for each l and species.

    Args:
        x: [n, (l_max + 1)^2, C].
        weights: [l_max + 1, species, C, C'] of order 1.
        one_hot: [n, species] of the atoms.
    """
    n, n_species, width = x.size(0), weights.size(1), weights.size(3)
    maps = torch.unbind(weights * (1.0 / math.sqrt(n_species * weights.size(2))))
    parts: list[Tensor] = []
    for part, matrices in zip(torch.split(x, sizes_by_l(len(maps) - 1), 1), maps):  # noqa: B905
        every = torch.matmul(part, matrices.transpose(0, 1).flatten(1))
        every = every.view(n, part.size(1), n_species, width)
        parts.append((every * one_hot.view(n, 1, n_species, 1)).sum(2))
    return torch.cat(parts, 1)


def sizes_by_l(max_l: int) -> list[int]:
    """2 l + 1 for l = 0 ... max_l."""
    sizes: list[int] = []
    for l in range(max_l + 1):
        sizes.append(2 * l + 1)
    return sizes


class Product(nn.Module):
    """Weighed sums of equivariant polynomials for each element, then a linear map for each l.

    Args:
        config: sizes.
        max_order: highest l of the result.

    Attributes:
        kinds: (order, degree) of the sets of polynomials, in the order of ``weights``.
        sizes: how many terms and polynomials each has.
    """

    coefficients: Tensor
    first: Tensor
    second: Tensor
    pair: Tensor
    third: Tensor
    place: Tensor

    def __init__(self, config: MaceConfig, max_order: int) -> None:
        super().__init__()
        self.max_l, self.correlation = config.max_l, config.correlation
        degrees = range(1, config.correlation + 1)
        self.kinds = [(order, degree) for order in range(max_order + 1) for degree in degrees]
        independent = config.couplings == "independent"
        sets = [equivariant_polynomials(config.max_l, d, L, independent) for L, d in self.kinds]
        self.sizes = [tuple(found.coefficients.shape) for found in sets]
        one = (config.max_l + 1) ** 2  # the number of a component that is 1
        triples = torch.cat(
            [pad(found.factors, [0, 3 - found.factors.size(1)], value=one) for found in sets]
        )
        component = torch.cat(
            [order**2 + found.component for (order, _), found in zip(self.kinds, sets, strict=True)]
        )
        self.by_component = torch.argsort(component, stable=True)
        self.counts = torch.bincount(component).tolist()
        pairs = few_pairs([tuple(triple) for triple in triples[self.by_component].tolist()])
        unique = sorted({pair for pair, _ in pairs})
        for name, numbers in (
            ("first", [pair[0] for pair in unique]),
            ("second", [pair[1] for pair in unique]),
            ("pair", [unique.index(pair) for pair, _ in pairs]),
            ("third", [third for _, third in pairs]),
            (
                "place",
                [
                    (m * len(unique) + unique.index(pair)) * (one + 1) + third
                    for m, (pair, third) in zip(
                        component[self.by_component].tolist(), pairs, strict=True
                    )
                ],
            ),
        ):
            self.register_buffer(name, torch.tensor(numbers), persistent=False)
        table = self.joined([found.coefficients for found in sets])
        self.register_buffer("coefficients", table)
        n_species, width = len(config.species), config.features
        counts = [torch.full([count], float(count)) for _, count in self.sizes]
        weights = torch.randn(n_species, table.size(1), width) / torch.cat(counts).unsqueeze(1)
        self.weights = nn.Parameter(weights)
        self.linear = nn.Parameter(torch.randn(max_order + 1, width, width))

    def joined(self, tables: list[Tensor]) -> Tensor:
        """Coefficients [terms, polynomials] of all sets in one table, terms by component."""
        return torch.block_diag(*tables)[self.by_component]

    def forward(self, a: Tensor, own: Tensor, one_hot: Tensor) -> Tensor:
        """Features [n, (max_order + 1)^2, C] of atoms.

        Args:
            a: [n, M, C] environments.
            own: [n, n_own C], what the atoms have kept, which is added; n_own may be 0.
            one_hot: [n, species].
        """
        n, _, width = a.shape
        table = torch.matmul(self.coefficients, self.weights)  # [species, terms, C]
        sums = self.few(a, one_hot, table) if one_hot.size(1) <= 4 else self.many(a, one_hot, table)
        out = mix(sums, self.linear)
        own = own.view(n, own.size(1) // width, width)
        return out + pad(own, [0, 0, 0, out.size(1) - own.size(1)])

    def few(self, a: Tensor, one_hot: Tensor, table: Tensor) -> Tensor:
        """Sums [n, (max_order + 1)^2, C] of terms, for few species.

        For each channel a matrix gives what pairs are multiplied by: sum_z sum_k M_z[p, k] 1_z a_k.

        Args:
            a: [n, M, C].
            one_hot: [n, species].
            table: [species, terms, C] coefficients.
        """
        n, size, width = a.shape
        n_species, n_pairs, n_sums = one_hot.size(1), self.first.size(0), len(self.counts)
        shape = [n_species, n_sums * n_pairs * (size + 1), width]
        matrix = torch.zeros(shape, dtype=a.dtype, device=a.device)
        matrix = matrix.index_copy(1, self.place, table)
        matrix = matrix.view(n_species, n_sums * n_pairs, size + 1, width).permute(3, 1, 0, 2)
        matrix = matrix.reshape(width, n_sums * n_pairs, n_species * (size + 1))
        a = with_one(a.permute(2, 1, 0).contiguous())  # [C, M + 1, n]
        pairs = a.index_select(1, self.first) * a.index_select(1, self.second)
        split = one_hot.t().contiguous().view(n_species, 1, n) * a.unsqueeze(1)
        factors = torch.bmm(matrix, split.flatten(1, 2))
        terms = factors.view(width, n_sums, n_pairs, n) * pairs.unsqueeze(1)
        return terms.sum(2).permute(2, 1, 0)

    def many(self, a: Tensor, one_hot: Tensor, table: Tensor) -> Tensor:
        """The same for many species, term by term."""
        a = with_one(a)
        pairs = a.index_select(1, self.first) * a.index_select(1, self.second)
        terms = pairs.index_select(1, self.pair) * a.index_select(1, self.third)
        terms = terms * table.index_select(0, torch.argmax(one_hot, 1))
        sums: list[Tensor] = []
        for part in torch.split(terms, self.counts, 1):
            sums.append(part.sum(1))
        return torch.stack(sums, 1)


def with_one(a: Tensor) -> Tensor:
    """Environments [n, M, C], or [C, M, n], with a further component that is 1."""
    return torch.cat([a, torch.ones_like(a.narrow(1, 0, 1))], 1)

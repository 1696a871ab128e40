"""Which tensors the layers have, and the product of an edge's with those of its center."""

import math
from typing import NamedTuple

import torch
from torch import Tensor, nn

from lammps_les.models.allegro.config import AllegroConfig
from lammps_les.models.multipoles import Multipoles
from lammps_les.models.nequip.perceptron import unit_weights
from lammps_les.models.o3.coupling import wigner_3j
from lammps_les.models.o3.irreps import Irrep


class ProductIrreps(NamedTuple):
    """Tensors of an edge before and after a product, one of each kind."""

    before: list[Irrep]
    after: list[Irrep]


def harmonic_irreps(max_l: int) -> list[Irrep]:
    """Those of spherical harmonics."""
    return [Irrep(1, l, (-1) ** l) for l in range(max_l + 1)]


def product_irreps(config: AllegroConfig) -> list[ProductIrreps]:
    """The tensors of all layers: none that no path leads to, or from which none leads on.

    The last ones are those read out: scalars, and those of the orders of latents, of parity (-1)^l.
    """
    environment = harmonic_irreps(config.max_l)
    signs = (1, -1) if config.parity == "full" else (0,)
    allowed = [Irrep(1, l, sign or (-1) ** l) for l in range(config.max_l + 1) for sign in signs]
    read = harmonic_irreps(0 if config.heads else Multipoles(config.latents, config.channels).max_l)
    stages = [environment]
    for t in range(config.layers):
        wanted = read if t == config.layers - 1 else allowed
        stages.append([irrep for irrep in wanted if _reached(stages[-1], environment, [irrep])])
    for t in range(config.layers - 1, -1, -1):
        useful = [irrep for irrep in stages[t] if _reached([irrep], environment, stages[t + 1])]
        stages[t] = useful
    return [ProductIrreps(a, b) for a, b in zip(stages[:-1], stages[1:], strict=True)]


def _reached(first: list[Irrep], second: list[Irrep], wanted: list[Irrep]) -> bool:
    return any(_couple(a, b, c) for a in first for b in second for c in wanted)


def _couple(a: Irrep, b: Irrep, c: Irrep) -> bool:
    return abs(a.l - b.l) <= c.l <= a.l + b.l and a.parity * b.parity == c.parity


class TensorProduct(nn.Module):
    """Tensors of edges times those of their center, each of the features by itself.

    Args:
        irreps: of edges before and after.
        max_l: highest order of the tensors of centers, which are those of harmonics.
        features: how many.
        couple_channels: each weighs the paths in its own way.
    """

    table: Tensor

    def __init__(
        self, irreps: ProductIrreps, max_l: int, features: int, couple_channels: bool
    ) -> None:
        super().__init__()
        environment = harmonic_irreps(max_l)
        before, after = irreps.before, irreps.after
        sizes = [[2 * irrep.l + 1 for irrep in part] for part in (environment, before, after)]
        self.size_before, self.size_after = sum(sizes[1]), sum(sizes[2])
        tables = []
        for c, irrep_after in enumerate(after):
            for a, irrep_before in enumerate(before):
                for b, irrep_of_center in enumerate(environment):
                    if not _couple(irrep_before, irrep_of_center, irrep_after):
                        continue
                    table = torch.zeros([sum(part) for part in sizes], dtype=torch.float64)
                    rows = [sum(part[:i]) for part, i in zip(sizes, (b, a, c), strict=True)]
                    block = wigner_3j(irrep_before.l, irrep_of_center.l, irrep_after.l)
                    block = block.transpose(0, 1) * math.sqrt(2 * irrep_after.l + 1)
                    b_size, a_size, c_size = block.shape
                    table[
                        rows[0] : rows[0] + b_size,
                        rows[1] : rows[1] + a_size,
                        rows[2] : rows[2] + c_size,
                    ] = block
                    tables.append(table.flatten())
        self.register_buffer("table", torch.stack(tables), persistent=False)  # [path, m2 * m1 * m3]
        self.weights = unit_weights(features if couple_channels else 1, len(tables))
        self.features = features

    def forward(self, edges: Tensor, centers: Tensor) -> Tensor:
        """Tensors of edges [n, features, width, m1] and centers [n, features, m2] to those after.

        Returns:
            [n, features, width, m3].
        """
        n, width, m2 = edges.size(0), edges.size(2), centers.size(2)
        table = self.weights @ self.table.to(edges.dtype)  # [features or 1, m2 * m1 * m3]
        table = table.view(self.weights.size(0), m2, self.size_before * self.size_after)
        if table.size(0) > 1:
            by_center = torch.bmm(centers.transpose(0, 1), table).transpose(0, 1)
        else:
            by_center = centers @ table[0]
        by_center = by_center.reshape(n * self.features, self.size_before, self.size_after)
        product = torch.bmm(edges.reshape(n * self.features, width, self.size_before), by_center)
        return product.view(n, self.features, width, self.size_after)

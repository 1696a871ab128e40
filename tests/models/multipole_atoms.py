"""Atoms with dipoles, quadrupoles and response, and the long-range sum in C++ over them."""

import torch
from torch import Tensor

from lammps_les import _core
from lammps_les.electrostatics import Latents

SIGMA, DL, NORM = 0.9, 1.7, 88.0
# left-handed and triclinic
CELL = torch.tensor([[2.3, 8.2, 0.0], [9.1, 0.4, 0.0], [-1.7, 3.1, 10.4]], dtype=torch.float64)
# of a slab, the third vector is normal to the others
PLANE = torch.tensor([[6.3, 6.2, 0.0], [9.1, -1.4, 0.0], [0.0, 0.0, 10.4]], dtype=torch.float64)
KINDS = ["direct", "open"]
TERMS = ["dipole", "quadrupole", "kappa", "alpha"]
SOME = [
    ["dipole"],
    ["quadrupole"],
    ["kappa"],
    ["alpha"],
    ["dipole", "alpha"],
    ["quadrupole", "kappa"],
    TERMS,
]


def symmetric(tensor: Tensor) -> Tensor:
    return 0.5 * (tensor + tensor.mT)


def traceless(tensor: Tensor) -> Tensor:
    trace = tensor.diagonal(dim1=-2, dim2=-1).mean(-1)
    return symmetric(tensor) - trace[..., None, None] * torch.eye(3, dtype=tensor.dtype)


def system(terms: list[str], n: int = 13, channels: int = 2) -> tuple[Tensor, Latents]:
    """Positions of atoms some 2 A apart, some outside of the cell, and latents."""
    rng = torch.Generator().manual_seed(9)
    sites = torch.cartesian_prod(*[torch.arange(4.0, dtype=torch.float64)] * 3)
    sites = sites[torch.randperm(64, generator=rng)[:n]] / 4.0
    positions = (sites + 0.05 * torch.rand(n, 3, generator=rng, dtype=torch.float64)) @ CELL
    positions[: n // 3] += CELL[0] - 2 * CELL[2]

    def normal(*shape: int) -> Tensor:
        return torch.randn(n, channels, *shape, generator=rng, dtype=torch.float64)

    root = 0.1 * normal(3, 3)
    every = {
        "dipole": 0.3 * normal(3),
        "quadrupole": traceless(0.2 * normal(3, 3)),
        "kappa": 0.003 * normal() ** 2,
        "alpha": root @ root.mT,
    }
    return positions, Latents(normal(), **{name: every[name] for name in terms})


def others(latents: Latents) -> dict[str, Tensor]:
    return {name: x for name, x in latents._asdict().items() if x is not None and name != "charge"}


class Total:
    """The sum of one kind, set up, at the parameters above unless others are given."""

    def __init__(self, kind: str, n: int, cell: Tensor = CELL, **changes) -> None:
        constants = {"sigma": SIGMA, "dl": DL, "norm": NORM, "remove_self": True} | changes
        method = {"open": "auto", "slab": "direct"}.get(kind, kind)
        self.cell = cell
        self.sum = _core.LongRangeSum(**constants, method=method)
        self.sum.choose([kind != "open", kind != "open", kind in ("direct", "mesh")], cell, n)

    def __call__(self, r: Tensor, latents: Latents, cell: Tensor | None = None):
        """Results, with shares of the virial, in another cell of the same wave vectors too."""
        cell = self.cell if cell is None else cell
        return self.sum.compute(r, latents.charge, cell, **others(latents), atom_virial=True)

    def respond(self, **sources: Tensor) -> dict[str, Tensor]:
        """What other sources make where the last call had its atoms."""
        return self.sum.respond(**sources)

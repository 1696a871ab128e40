"""Long-range sum by the latents of a model, in one process and thread.

    python benchmarks/latents.py [--sizes 1 2]

192 n^3 atoms in places at random, in cells of the density of water and, the smallest, in open
boundaries; random latents of one channel, float32. CPU milliseconds of the least of many calls, and
how many times as long as with charges alone.
"""

import argparse
import time

import torch
from rich.console import Console
from rich.table import Table

from lammps_les import _core

TERMS = [
    (),
    ("dipole",),
    ("dipole", "quadrupole"),
    ("dipole", "alpha"),
    ("dipole", "quadrupole", "kappa", "alpha"),
]
EDGE = 12.42  # A


def milliseconds(terms: tuple[str, ...], n: int, periodic: bool) -> float:
    """Of one call with n^3 boxes of water."""
    random = torch.Generator().manual_seed(1)
    atoms, cell = 192 * n**3, n * EDGE * torch.eye(3, dtype=torch.float64)
    positions = torch.rand(atoms, 3, generator=random, dtype=torch.float64) @ cell

    def normal(*shape: int) -> torch.Tensor:
        return torch.randn(atoms, 1, *shape, generator=random)

    charge, root = normal(), 0.1 * normal(3, 3)
    every = {
        "dipole": 0.3 * normal(3),
        "quadrupole": 0.1 * (root + root.mT),
        "kappa": 1e-3 * normal() ** 2,
        "alpha": root @ root.mT,
    }
    total = _core.LongRangeSum(
        sigma=1.0,
        dl=2.0,
        norm=90.4756,
        remove_self=True,
        method="direct" if periodic else "auto",
    )
    total.choose([periodic] * 3, cell, atoms)
    given = {name: every[name] for name in terms}
    least = float("inf")
    for _ in range(max(15, 40 // n**3)):
        start = time.process_time()
        total.compute(positions, charge, cell, **given)
        least = min(least, time.process_time() - start)
    return 1e3 * least


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--sizes", type=int, nargs="+", default=[1, 2])
    sizes = parser.parse_args().sizes
    torch.set_num_threads(1)
    table = Table("atoms", *(" ".join(("charge", *terms)) for terms in TERMS))
    for n, periodic in [*((n, True) for n in sizes), (1, False)]:
        times = [milliseconds(terms, n, periodic) for terms in TERMS]
        cells = [f"{t:.2f} ({t / times[0]:.1f})" for t in times]
        table.add_row(f"{192 * n**3:,}" + ("" if periodic else " open"), *cells)
    Console(width=180).print(table)


if __name__ == "__main__":
    main()

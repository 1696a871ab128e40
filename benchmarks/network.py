"""Time the network alone, as one step of the plugin uses it.

A step evaluates the network, pulls back sum(energy + phi charge) for the forces and, only where a
field or Born charges are asked for, sum(charge). The module is scripted, its parameters are fixed,
and the plain interpreter runs it.

    python benchmarks/network.py [--checkpoint CACE.pth] [--structure FILE] [--replicate 1 2]
"""

import argparse
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from ase import Atoms

from lammps_les import pretrained
from lammps_les.benchmark import read_start
from lammps_les.data.neighbors import neighbor_list
from lammps_les.models import LesNetwork
from lammps_les_export.adapters import read_cace


def timed_step(
    network: LesNetwork, atoms: Atoms, dtype: torch.dtype
) -> tuple[int, Callable[[], tuple[float, float]]]:
    """Number of edges, and a step that returns seconds for energy and forces, and for charges."""
    cell = np.array(atoms.cell)
    edge_index, shifts = neighbor_list(atoms.positions, cell, True, network.cutoff)
    center, neighbor = edge_index.numpy()
    vectors = atoms.positions[neighbor] - atoms.positions[center] + shifts.numpy() @ cell
    leaf = torch.tensor(vectors, dtype=dtype, requires_grad=True)
    species = torch.tensor([network.species.index(symbol) for symbol in atoms.symbols])
    scripted = torch.jit.script(network.to(dtype))
    for parameter in scripted.parameters():
        parameter.requires_grad_(False)
    phi = torch.randn(len(atoms), network.channels, dtype=dtype)

    def step() -> tuple[float, float]:
        start = time.perf_counter()
        out = scripted(leaf, edge_index, species, len(species))
        total = out["energy"].sum() + (phi * out["charge"]).sum()
        torch.autograd.grad(total, leaf, retain_graph=True)
        middle = time.perf_counter()
        torch.autograd.grad(out["charge"].sum(), leaf)
        return middle - start, time.perf_counter() - middle

    return len(vectors), step


def main() -> None:
    """Print a table: atoms, edges, type, milliseconds."""
    parser = argparse.ArgumentParser(description="Time the network alone.")
    parser.add_argument(
        "--checkpoint", help="CACE checkpoint with charges (default: the water model that ships)"
    )
    parser.add_argument(
        "--structure", type=Path, help="periodic structure (default: the water box that ships)"
    )
    parser.add_argument("--replicate", type=int, nargs="+", default=[1, 2], help="n x n x n cells")
    parser.add_argument("--repeats", type=int, default=20)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    if arguments.checkpoint:
        network = read_cace(arguments.checkpoint).network
    else:
        network = pretrained.load("water_rpbe-d3")[0]
    start = read_start(arguments.structure, list(network.species))
    print(f"{'':>22} {'milliseconds, median of ' + str(arguments.repeats):>34}")
    print(f"{'atoms':>6} {'edges':>7} {'type':>8} {'energy and forces':>18} {'charges':>15}")
    for n in arguments.replicate:
        atoms = start.atoms * (n, n, n)
        for dtype in (torch.float32, torch.float64):
            n_edges, step = timed_step(network, atoms, dtype)
            with torch.jit.optimized_execution(False):
                for _ in range(3):
                    step()
                times = [step() for _ in range(arguments.repeats)]
            forces, charges = (1e3 * statistics.median(t) for t in zip(*times, strict=True))
            name = str(dtype).removeprefix("torch.")
            print(f"{len(atoms):>6} {n_edges:>7} {name:>8} {forces:>18.2f} {charges:>15.2f}")


if __name__ == "__main__":
    main()

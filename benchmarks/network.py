"""Time the network alone, as one step of the plugin uses it.

A step evaluates the network, differentiates sum(energy + phi charge) for the forces and, only where
a field or Born charges are asked for, sum(charge) as well. The module is scripted, its parameters
are fixed, and the plain interpreter runs it, all in one chunk (the plugin takes several).

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
from lammps_les.models import CaceNetwork
from lammps_les_export.adapters import read_checkpoint


def timed_steps(
    network: CaceNetwork, atoms: Atoms, dtype: torch.dtype
) -> tuple[int, Callable[[int], float]]:
    """Number of edges, and a step with k gradients that returns its seconds."""
    cell = np.array(atoms.cell)
    edge_index, shifts = neighbor_list(atoms.positions, cell, True, network.cutoff)
    center, neighbor = edge_index.numpy()
    vectors = atoms.positions[neighbor] - atoms.positions[center] + shifts.numpy() @ cell
    edge_vectors = torch.tensor(vectors, dtype=dtype)
    species = torch.tensor([network.species.index(symbol) for symbol in atoms.symbols])
    scripted = torch.jit.script(network.to(dtype))
    for parameter in scripted.parameters():
        parameter.requires_grad_(False)
    # dE/dq, and the 1 of the sum of charges
    weights = torch.randn(2, len(atoms), network.channels, dtype=dtype)
    weights[1] = 1.0
    ones = torch.ones(1, len(atoms), dtype=dtype)
    nothing = torch.zeros(len(atoms), 0, dtype=dtype), torch.zeros(0, 0, dtype=dtype)
    first = (0, *nothing, edge_index[1, :0])

    def step(k: int) -> float:
        start = time.perf_counter()
        if network.layers == 1:
            edges = edge_vectors, edge_index, species, len(species)
            _, stored = scripted.piece_store(*first, *edges)
            scripted.piece_backward(0, stored, [ones, weights[:k]])
        else:
            leaf = edge_vectors.clone().requires_grad_()
            out = scripted(leaf, edge_index, species, len(species))
            total = out["energy"].sum() + (weights[0] * out["charge"]).sum()
            torch.autograd.grad(total, leaf, retain_graph=k > 1)
            if k > 1:
                torch.autograd.grad(out["charge"].sum(), leaf)
        return time.perf_counter() - start

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
        network = read_checkpoint(arguments.checkpoint).network
    else:
        network = pretrained.load("water_rpbe-d3")[0]
    start = read_start(arguments.structure, list(network.species))
    print(f"milliseconds, median of {arguments.repeats}")
    print(f"{'atoms':>6} {'edges':>7} {'type':>8} {'energy, forces':>15} {'and charges':>12}")
    for n in arguments.replicate:
        atoms = start.atoms * (n, n, n)
        for dtype in (torch.float32, torch.float64):
            n_edges, step = timed_steps(network, atoms, dtype)
            with torch.jit.optimized_execution(False):
                for _ in range(3):
                    step(2)
                times = [(step(1), step(2)) for _ in range(arguments.repeats)]
            forces, both = (1e3 * statistics.median(t) for t in zip(*times, strict=True))
            name = str(dtype).removeprefix("torch.")
            print(f"{len(atoms):>6} {n_edges:>7} {name:>8} {forces:>15.2f} {both:>12.2f}")


if __name__ == "__main__":
    main()

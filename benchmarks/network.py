"""Time the network alone: energy and forces at given potentials, and the extra pull-back of the charges.

One LAMMPS step evaluates the network, pulls back sum(energy + phi charge) and, with a field, sum(charge). The module
is scripted, frozen and run by the plain interpreter, as the plugin runs it.

    OMP_NUM_THREADS=1 python benchmarks/network.py CHECKPOINT STRUCTURE [--replicate 1 2] [--repeats 20]
"""

import argparse
import statistics
import time

import ase.io
import numpy as np
import torch

from lammps_les.data.neighbors import neighbor_list
from lammps_les_export.adapters import read_cace


def median_milliseconds(step: object, repeats: int) -> tuple[float, float]:
    """Medians of the two times [ms] that ``step()`` returns, after three runs that do not count."""
    for _ in range(3):
        step()
    times = [step() for _ in range(repeats)]
    return tuple(1e3 * statistics.median(column) for column in zip(*times, strict=True))


def main() -> None:
    """Print a table: atoms, edges, precision, milliseconds."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("checkpoint", help="CACE checkpoint")
    parser.add_argument("structure", help="periodic structure, any format that ASE reads")
    parser.add_argument("--replicate", type=int, nargs="+", default=[1, 2], help="n: n x n x n cells")
    parser.add_argument("--repeats", type=int, default=20)
    arguments = parser.parse_args()
    torch._C._jit_set_profiling_executor(False)
    torch._C._jit_set_profiling_mode(False)
    torch.set_num_threads(1)
    imported = read_cace(arguments.checkpoint)
    print(f"{arguments.checkpoint}, {torch.get_num_threads()} thread")
    print(f"{'atoms':>7} {'edges':>8} {'type':>8} {'energy+forces':>14} {'charges':>8}   [ms, median]")
    for n in arguments.replicate:
        atoms = ase.io.read(arguments.structure) * (n, n, n)
        cell = np.array(atoms.cell)
        edge_index, shifts = neighbor_list(atoms.positions, cell, True, imported.network.cutoff)
        vectors = (atoms.positions + 0.0)[edge_index[1]] - atoms.positions[edge_index[0]] + shifts.numpy() @ cell
        species = torch.tensor([imported.network.species.index(s) for s in atoms.symbols])
        for dtype in (torch.float32, torch.float64):
            network = torch.jit.script(imported.network.to(dtype))
            for parameter in network.parameters():
                parameter.requires_grad_(False)
            leaf = torch.tensor(vectors, dtype=dtype, requires_grad=True)
            phi = torch.randn(len(atoms), network.channels, dtype=dtype)

            def step(network=network, leaf=leaf, phi=phi, edge_index=edge_index, species=species) -> tuple[float, float]:
                start = time.perf_counter()
                out = network(leaf, edge_index, species, len(species))
                total = out["energy"].sum() + (phi * out["charge"]).sum()
                torch.autograd.grad(total, leaf, retain_graph=True)
                middle = time.perf_counter()
                torch.autograd.grad(out["charge"].sum(), leaf)
                return middle - start, time.perf_counter() - middle

            forces, charges = median_milliseconds(step, arguments.repeats)
            name = str(dtype).removeprefix("torch.")
            print(f"{len(atoms):>7} {len(vectors):>8} {name:>8} {forces:>14.2f} {charges:>8.2f}")


if __name__ == "__main__":
    main()

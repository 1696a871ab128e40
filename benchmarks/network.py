"""Time the network alone, as one step of the plugin uses it, by native kernels and by TorchScript.

A step evaluates each piece of the network and its gradients: of sum(energy + phi charge) for the
forces, and where a field or Born charges are asked for, of sum(charge) in the same pass. Kernels
are timed for each instruction set that the processor has; all take turns in one process.

    python benchmarks/network.py [--model MODEL.pt] [--replicate 1 2]
"""

import argparse
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import torch
from ase import Atoms

from lammps_les import _core, pretrained
from lammps_les.benchmark import read_start
from lammps_les.data.neighbors import neighbor_list
from lammps_les.model_file import Metadata, load_model
from lammps_les_export import write_model


def networks_of(model: Path) -> dict[str, _core.Network]:
    """By what evaluates them; instruction sets from the least one on."""
    networks = {"TorchScript": _core.Network(str(model), network="script")}
    for instructions in ("baseline", "avx2", "avx512"):
        os.environ["LES_SIMD"] = instructions
        try:
            network = _core.Network(str(model))
        except RuntimeError:  # the processor does not have it
            break
        if "TorchScript" in network.description:
            break
        networks[instructions] = network
    del os.environ["LES_SIMD"]
    return networks


def steps_of(about: Metadata, atoms: Atoms) -> tuple[int, Callable[[_core.Network, int], float]]:
    """Number of edges, and a step with k sets of weights that returns its CPU seconds."""
    cell = atoms.cell.array
    edge_index, shifts = neighbor_list(atoms.positions, cell, True, about.network.cutoff)
    center, neighbor = edge_index.numpy()
    vectors = atoms.positions[neighbor] - atoms.positions[center] + shifts.numpy() @ cell
    n, pieces = len(atoms), len(about.network.sent) + 1
    species = torch.tensor([about.network.species.index(symbol) for symbol in atoms.symbols])
    edges = torch.tensor(vectors), edge_index, species, n

    def step(network: _core.Network, k: int) -> float:
        kept, sent = torch.zeros(n, 0), torch.zeros(0, 0)
        start = time.thread_time()
        for t in range(pieces):
            source = edge_index[1] if t > 0 else edge_index[1, :0]
            outputs = network.evaluate(t, kept, sent, source, *edges)
            # the energies in the first set alone
            counts = [1 if t + 1 == pieces else k] + [k] * (len(outputs) - 1)
            weights = [torch.ones(c, *o.shape) for c, o in zip(counts, outputs, strict=True)]
            network.backward(weights)
            kept, sent = outputs[0], outputs[-1]
        return time.thread_time() - start

    return len(vectors), step


def main() -> None:
    """Print a table: atoms, edges, what evaluates it, microseconds an atom."""
    parser = argparse.ArgumentParser(description="Time the network alone.")
    parser.add_argument("--model", type=Path, help="model file (default: the water that ships)")
    parser.add_argument(
        "--structure", type=Path, help="periodic structure (default: the water box that ships)"
    )
    parser.add_argument("--replicate", type=int, nargs="+", default=[1, 2], help="n x n x n cells")
    parser.add_argument("--repeats", type=int, default=15)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        model = arguments.model
        if model is None:
            model = Path(folder) / "water.pt"
            network, metadata = pretrained.load("water_rpbe-d3")
            fields = metadata.model_dump()
            fields["network"]["dtype"] = "float32"
            write_model(model, network, fields)
        about = load_model(model)[1]
        networks = networks_of(model)
    start = read_start(arguments.structure, list(about.network.species))
    print(f"CPU microseconds an atom, {about.network.dtype}, median of {arguments.repeats}")
    head = f"{'atoms':>6} {'edges':>7} {'by':>12} {'energy, forces':>15} {'and charges':>12}"
    print(f"{head} {'faster':>7}")
    for n in arguments.replicate:
        atoms = start.atoms * (n, n, n)
        n_edges, step = steps_of(about, atoms)
        times: dict[str, list[tuple[float, float]]] = {name: [] for name in networks}
        for repeat in range(arguments.repeats + 1):
            for name, network in networks.items():
                pair = step(network, 1), step(network, 2)
                if repeat > 0:
                    times[name].append(pair)
        scripted = statistics.median(t[0] for t in times["TorchScript"])
        for name, pairs in times.items():
            one, two = (statistics.median(t) / len(atoms) for t in zip(*pairs, strict=True))
            ratio = scripted / len(atoms) / one
            row = f"{len(atoms):>6} {n_edges:>7} {name:>12} {1e6 * one:>15.2f} {1e6 * two:>12.2f}"
            print(f"{row} {ratio:>7.1f}")


if __name__ == "__main__":
    main()

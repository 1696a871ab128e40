"""Train the water model that comes with the package.

Example: python -m lammps_les.training.water water_rpbe-d3.xyz -o water_rpbe-d3
"""

import argparse
import datetime
import hashlib
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from ase import Atoms
from ase.io import iread
from torch import Tensor
from torch.func import functional_call

from lammps_les.electrostatics import LongRangeParameters
from lammps_les.models import LesNetwork, NetworkConfig, ReadoutConfig, RepresentationConfig
from lammps_les.pretrained import WEIGHTS, load_folder, save_folder
from lammps_les.training.frames import Frame, atomic_energies, join, make_frame
from lammps_les.training.loop import Errors, Schedule, errors, train
from lammps_les.units import NORM_COULOMB

NETWORK = NetworkConfig(
    species=("H", "O"),
    representation=RepresentationConfig(cutoff=4.5, embedding_size=2, n_bessel=6, n_radial=12),
    energy=ReadoutConfig(hidden=(32, 16)),
    charge=ReadoutConfig(hidden=(24, 12), scale=0.1),
)
LONG_RANGE = LongRangeParameters(
    sigma=1.0, dl=2.0, norm=NORM_COULOMB, remove_self=True, self_factor=1.0
)
EPSILON_INF = 1.83
"""Of liquid water, as in Zhong et al. (2025)."""
CITATION = (
    "RPBE-D3 water: Montero de Hijes et al., zenodo 12622341. "
    "Method: Cheng, npj Comput. Mater. 11, 80 (2025)"
)
VALIDATION_FRAMES = TEST_FRAMES = 4


def split(n: int, seed: int) -> tuple[list[int], list[int], list[int]]:
    """Indices of training, validation and test frames out of n."""
    order = torch.randperm(n, generator=torch.Generator().manual_seed(seed)).tolist()
    held_out = VALIDATION_FRAMES + TEST_FRAMES
    return order[held_out:], order[TEST_FRAMES:held_out], order[:TEST_FRAMES]


def oxygen_sign(network: LesNetwork, weights: dict[str, Tensor], frames: list[Frame]) -> float:
    """Sign of the charge channel with which oxygen is more negative than hydrogen on average."""
    graph = join(frames)
    center, neighbor = graph.edge_index
    edges = graph.positions[neighbor] - graph.positions[center] + graph.edge_offsets
    n_atoms = len(graph.species)
    with torch.no_grad():
        latent = functional_call(
            network, weights, (edges, graph.edge_index, graph.species, n_atoms)
        )
    charge = latent["charge"][:, 0]
    mean = {s: charge[graph.species == i].mean() for i, s in enumerate(NETWORK.species)}
    return 1.0 if mean["O"] < mean["H"] else -1.0


def run(data: Path, output: Path, schedule: Schedule, seed: int) -> None:
    """Train on an extended XYZ file with energies and forces; write the folder of the model."""
    structures = [atoms for atoms in iread(data, ":") if isinstance(atoms, Atoms)]
    parts = split(len(structures), seed)
    energies = atomic_energies([structures[i] for i in parts[0]], NETWORK.species)
    cutoff = NETWORK.representation.cutoff
    training, validation, test = (
        [make_frame(structures[i], energies, cutoff, LONG_RANGE.dl) for i in part] for part in parts
    )
    torch.manual_seed(seed)
    network = LesNetwork(NETWORK)
    digest = hashlib.sha256(data.read_bytes()).hexdigest()
    record: dict[str, Any] = {
        "data": {"file": data.name, "sha256": digest},
        "frames": dict(zip(("training", "validation", "test"), parts, strict=True)),
        "seed": seed,
        "schedule": asdict(schedule),
        "versions": {"lammps_les": version("lammps-les"), "torch": torch.__version__},
    }

    def save(weights: dict[str, Tensor], **rms_errors: Errors) -> None:
        metadata = {
            "format_version": 1,
            "species": list(NETWORK.species),
            "cutoff": cutoff,
            "layers": 1,
            "dtype": "float32",
            "channels": 1,
            **LONG_RANGE._asdict(),
            "charge_unit": 1.0,
            "charge_sign": [oxygen_sign(network, weights, validation)],
            "epsilon_inf": EPSILON_INF,
            "remove_mean": True,
            "atomic_energies": energies,
            "provenance": {
                "source": f"{WEIGHTS}, trained by lammps_les.training.water on {data.name}",
                "program": "lammps-les",
                "version": record["versions"]["lammps_les"],
                "date": datetime.date.today().isoformat(),
                "citation": CITATION,
            },
        }
        found = {
            name: {"energy_mev_per_atom": 1e3 * e.energy, "forces_mev_per_angstrom": 1e3 * e.forces}
            for name, e in rms_errors.items()
        }
        save_folder(output, NETWORK, weights, metadata, {**record, "rms_errors": found})

    def report(line: str) -> None:
        print(line, flush=True)

    train(
        network,
        training,
        validation,
        LONG_RANGE,
        schedule,
        improved=lambda weights, found: save(weights, validation=found),
        report=report,
    )
    weights = load_folder(output)[0].state_dict()
    frames = {"training": training, "validation": validation, "test": test}
    found = {name: errors(network, weights, part, LONG_RANGE) for name, part in frames.items()}
    save(weights, **found)
    for name, error in found.items():
        report(f"{name}: {error}")


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data", type=Path, help="extended XYZ file with energies and forces")
    parser.add_argument("-o", "--output", type=Path, required=True, help="folder to write")
    parser.add_argument("--epochs", type=int, default=Schedule.epochs)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    run(options.data, options.output, Schedule(epochs=options.epochs), options.seed)


if __name__ == "__main__":
    main()

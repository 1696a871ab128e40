"""Small structures and networks for tests of the training."""

import csv
from pathlib import Path

import numpy as np
import torch
from ase import Atoms
from ase.build import molecule
from ase.calculators.singlepoint import SinglePointCalculator
from typer.testing import CliRunner

from lammps_les.cli import app
from lammps_les.data.structures import Labelled
from lammps_les.electrostatics import LongRangeParameters
from lammps_les.models import CaceConfig, CaceNetwork, ReadoutConfig, RepresentationConfig
from lammps_les.pretrained import load_folder
from lammps_les.training.frames import join, make_frame
from lammps_les.training.losses import QUANTITIES
from lammps_les.training.physics import Physics
from lammps_les.training.prediction import predict

EPOCHS = 6
LONG_RANGE = LongRangeParameters(0.9, 1.5, 90.0, True, 1.0)
CELLS = {
    "triclinic": [[6.1, 0, 0], [0.5, 5.0, 0], [0.2, 0.4, 6.0]],
    "left-handed": [[0, 6.1, 0], [5.0, 0.3, 0], [0.2, 0.4, 6.0]],
    "open": None,
}


def waters(kind: str, n: int, seed: int) -> Atoms:
    """Shaken molecules; in a periodic cell the first one reaches over the boundary."""
    cell = CELLS[kind]
    atoms = Atoms(cell=cell, pbc=cell is not None)
    for i in range(n):
        water = molecule("H2O")
        water.rotate(50.0 * i, (1, 2, 3))
        water.translate([3.0 * i, -0.2, 0.4 * i])
        atoms += water
    atoms.rattle(0.05, seed=seed)
    return atoms


def network_of(channels: int = 1, layers: int = 1, embed_total_charge: bool = False) -> CaceNetwork:
    """A random network; with an embedding whose response to the total charge is not zero."""
    torch.manual_seed(3)
    config = CaceConfig(
        species=("H", "O"),
        channels=channels,
        representation=RepresentationConfig(
            cutoff=3.2,
            n_bessel=3,
            n_radial=3,
            max_l=2,
            layers=layers,
            embed_total_charge=embed_total_charge,
        ),
        energy=ReadoutConfig(hidden=(6,)),
        charge=ReadoutConfig(hidden=(6,), scale=0.3),
    )
    network = CaceNetwork(config).double()
    for name, parameter in network.named_parameters():
        if name.endswith("_slope"):
            torch.nn.init.normal_(parameter, std=0.3)
    return network


def physics_of(network: CaceNetwork, form: str = "local") -> Physics:
    return Physics(
        long_range=LONG_RANGE,
        charge_unit=0.8,
        charge_sign=(-1.0, 1.0)[: network.channels],
        epsilon_inf=1.7,
        bec_form=form,
        layers=network.layers,
    )


def unlabelled(atoms: Atoms) -> Labelled:
    return Labelled(atoms, {}, 1.0, "test")


def teacher_labels(atoms: Atoms) -> Atoms:
    """Structure with labels from a random network, its energy surface made ten times as steep."""
    network = network_of()
    frame = make_frame(unlabelled(atoms), {"H": 0.0, "O": 0.0}, 3.2, 1.5, torch.float64)
    found = predict(network, join([frame]), physics_of(network), QUANTITIES)
    found = {name: value.detach().numpy() for name, value in found.items()}
    labelled = Atoms(atoms.numbers, atoms.positions, cell=atoms.cell, pbc=atoms.pbc)
    labelled.calc = SinglePointCalculator(
        labelled,
        energy=10.0 * float(found["energy"][0]) - 3.0 * len(atoms),
        forces=10.0 * found["forces"],
        **({"stress": 10.0 * found["stress"][0]} if atoms.pbc.all() else {}),
    )
    labelled.arrays["BEC"] = found["born_effective_charges"].reshape(-1, 9)
    return labelled


def settings(**changes: object) -> dict:
    """A configuration of a few seconds; the data are ``data.xyz``."""
    return {
        "data": {
            "files": [{"path": "data.xyz"}],
            "split": {"validation": 3, "test": 2},
        },
        "seed": 4,
        "network": {
            "representation": {"cutoff": 3.2, "n_bessel": 3, "n_radial": 3, "max_l": 2},
            "energy": {"hidden": [6]},
            "charge": {"hidden": [6], "scale": 0.3},
        },
        "long_range": {"sigma": 0.9, "dl": 1.5},
        "loss": {"weights": {"energy": [1.0, 10.0], "stress": 1.0}},
        "training": {"epochs": EPOCHS, "batch_size": 3, "validate_every": 1},
        **changes,
    }


def metrics(folder: Path) -> list[dict[str, float]]:
    """Rows of metrics.csv of a run."""
    with (folder / "metrics.csv").open() as file:
        return [{k: float(v) for k, v in row.items()} for row in csv.DictReader(file)]


def command(*arguments: str) -> str:
    """Output of ``lammps-les train``, which must end well."""
    result = CliRunner().invoke(app, ["train", *arguments])
    assert result.exit_code == 0, result.output
    return result.output


def eager_energy(folder: Path, atoms: Atoms, total_charge: float = 0.0) -> float:
    """Energy [eV] from the weights of a run folder, without a model file."""
    network, metadata = load_folder(folder)
    physics = Physics(
        LongRangeParameters(**metadata.long_range.model_dump()),
        charge_unit=metadata.charges.unit,
        charge_sign=tuple(metadata.charges.sign),
        layers=metadata.network.layers,
        exact_total_charge=metadata.charges.total is not None,
    )
    structure = unlabelled(atoms)._replace(labels={"total_charge": np.array(total_charge)})
    energies = {symbol: metadata.atomic_energies[symbol] for symbol in metadata.network.species}
    frame = make_frame(
        structure, energies, metadata.network.cutoff, metadata.long_range.dl, torch.float64
    )
    found = predict(network.double(), join([frame]), physics, ["energy"])["energy"]
    return float(found[0]) + sum(energies[symbol] for symbol in atoms.symbols)

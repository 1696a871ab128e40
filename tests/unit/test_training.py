"""The training loop: its energies are those of the model file, and it lowers their error."""

import numpy as np
import pytest
import torch
from ase import Atoms
from ase.build import molecule
from ase.calculators.singlepoint import SinglePointCalculator

from lammps_les.calculators import LesCalculator
from lammps_les.models import LesNetwork, NetworkConfig, ReadoutConfig, RepresentationConfig
from lammps_les.pretrained import load_folder, save_folder
from lammps_les.training.frames import atomic_energies, make_frame
from lammps_les.training.loop import Schedule, energies_and_forces, train
from lammps_les.training.water import LONG_RANGE, split
from lammps_les_export import write_model

CONFIG = NetworkConfig(
    species=("H", "O"),
    representation=RepresentationConfig(cutoff=3.0, n_bessel=3, n_radial=4, max_l=2),
    energy=ReadoutConfig(hidden=(8,)),
    charge=ReadoutConfig(hidden=(8,)),
)
METADATA = {
    "format_version": 1,
    "species": ["H", "O"],
    "cutoff": 3.0,
    "layers": 1,
    "dtype": "float32",
    "channels": 1,
    **LONG_RANGE._asdict(),
    "charge_unit": 1.0,
    "charge_sign": [1.0],
    "epsilon_inf": 1.0,
    "remove_mean": True,
    "atomic_energies": {"H": -1.0, "O": -2.0},
    "provenance": dict.fromkeys(("source", "program", "version", "date", "citation"), "test"),
}


def labelled(atoms: Atoms, energy: float, forces: np.ndarray) -> Atoms:
    atoms = atoms.copy()
    atoms.calc = SinglePointCalculator(atoms, energy=energy, forces=forces)
    return atoms


def waters(n: int, seed: int) -> Atoms:
    """A row of n molecules in a skewed cell, atoms shaken."""
    atoms = Atoms(cell=[[3.1 * n, 0, 0], [0.5, 5.0, 0], [0.2, 0.4, 6.0]], pbc=True)
    for i in range(n):
        water = molecule("H2O")
        water.translate([3.1 * i, 1.0, 1.0])
        atoms += water
    atoms.rattle(0.05, seed=seed)
    return atoms


@pytest.fixture
def network() -> LesNetwork:
    torch.manual_seed(0)
    return LesNetwork(CONFIG)


def test_joined_frames_agree_with_the_model_file(network, tmp_path):
    provenance = {**METADATA["provenance"], "sha256": "0"}
    write_model(tmp_path / "m.pt", network, {**METADATA, "provenance": provenance})
    structures = [waters(1, 1), waters(3, 2), waters(2, 3)]
    for atoms in structures:
        atoms.calc = LesCalculator(tmp_path / "m.pt")
        atoms.get_forces()
    frames = [make_frame(a, METADATA["atomic_energies"], 3.0, LONG_RANGE.dl) for a in structures]
    energies, forces = energies_and_forces(
        network, dict(network.named_parameters()), frames, LONG_RANGE, False
    )
    for energy, frame in zip(energies, frames, strict=True):
        assert energy.item() == pytest.approx(frame.energy.item(), abs=2e-5)
    reference = torch.cat([frame.forces for frame in frames])
    assert reference.abs().max() > 0.1
    torch.testing.assert_close(forces, reference, atol=5e-5, rtol=0.0)


def test_training_lowers_the_error_and_finds_the_charges_gradient(network):
    structures = [waters(2, seed) for seed in range(4)]
    flat = [labelled(a, -8.0, np.zeros((6, 3))) for a in structures]
    frames = [make_frame(a, {"H": -1.0, "O": -2.0}, 3.0, LONG_RANGE.dl) for a in flat]
    found, weights = [], []
    train(
        network,
        frames,
        frames,
        LONG_RANGE,
        Schedule(epochs=30, averaging=0.5, check_every=1),
        improved=lambda w, e: (weights.append(w), found.append(e)),
        report=lambda _: None,
    )
    assert found[-1].forces < 0.5 * found[0].forces
    assert set(weights[-1]) == set(network.state_dict())
    moved = [
        name
        for name, value in network.named_parameters()
        if not torch.equal(value, weights[-1][name])
    ]
    assert any(name.startswith("charge_readout") for name in moved)
    assert any(name.startswith("representation") for name in moved)


def test_atomic_energies_of_one_composition_have_least_norm():
    structures = [labelled(waters(n, n), -10.0 * n, np.zeros((3 * n, 3))) for n in (1, 2)]
    energies = atomic_energies(structures, ("H", "O"))
    assert energies == pytest.approx({"H": -4.0, "O": -2.0})
    assert atomic_energies([labelled(Atoms("O"), -3.0, np.zeros((1, 3)))], ("O",)) == {"O": -3.0}


def test_frames_refuse_structures_that_cannot_train():
    with pytest.raises(ValueError, match="periodic structure with energy and forces"):
        make_frame(waters(1, 1), {"H": 0.0, "O": 0.0}, 3.0, 2.0)
    with pytest.raises(ValueError, match="some have none"):
        atomic_energies([waters(1, 1)], ("H", "O"))


def test_the_parts_of_a_data_set_are_apart_and_repeat():
    parts = split(42, seed=1)
    assert [len(part) for part in parts] == [34, 4, 4]
    assert sorted(sum(parts, [])) == list(range(42))
    assert split(42, seed=1) == parts
    assert split(42, seed=2) != parts


def test_a_folder_gives_back_what_was_saved(network, tmp_path):
    save_folder(tmp_path / "a", CONFIG, network.state_dict(), METADATA, {"seed": 1})
    again, metadata = load_folder(tmp_path / "a")
    for name, value in network.state_dict().items():
        assert torch.equal(value, again.state_dict()[name])
    assert metadata.species == ["H", "O"]
    (tmp_path / "a" / "weights.pt").write_bytes(b"something else")
    with pytest.raises(ValueError, match="take both from one source"):
        load_folder(tmp_path / "a")

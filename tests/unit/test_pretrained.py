"""The model that comes with the package is what its README says."""

import hashlib
import json
import re
from pathlib import Path

import numpy as np
import pytest
import torch
from ase import Atoms
from ase.build import molecule
from ase.io import read
from typer.testing import CliRunner

from lammps_les import pretrained
from lammps_les.calculators import LesCalculator
from lammps_les.cli import app
from lammps_les.model_file import read_metadata
from lammps_les_export import write_model

NAME = "water_rpbe-d3"
FOLDER = Path(pretrained.__file__).parent / NAME
README = (FOLDER / "README.md").read_text()
CONFIG = json.loads((FOLDER / "config.json").read_text())


@pytest.fixture(scope="module")
def calculator(tmp_path_factory: pytest.TempPathFactory) -> LesCalculator:
    path = tmp_path_factory.mktemp("pretrained") / "water.pt"
    write_model(path, *pretrained.load(NAME))
    return LesCalculator(path)


def readme_errors() -> dict[str, tuple[float, float]]:
    """Errors [meV/atom], [meV/A] by part of the data set, as the README has them."""
    rows = re.findall(r"^\| (\w+), \d+ \| ([\d.]+) \| ([\d.]+) \|$", README, re.MULTILINE)
    return {part: (float(energy), float(force)) for part, energy, force in rows}


def test_network_loads_and_is_named():
    assert pretrained.names() == [NAME]
    network, metadata = pretrained.load(NAME)
    assert {p.dtype for p in network.parameters()} == {torch.float32}
    assert metadata.species == ["H", "O"]
    assert metadata.epsilon_inf == 1.83
    with pytest.raises(ValueError, match=f"no pretrained model 'ice'; there are: {NAME}"):
        pretrained.load("ice")


def test_weights_are_small_plain_and_the_ones_named():
    weights = FOLDER / "weights.pt"
    assert weights.stat().st_size < 1_000_000
    digest = hashlib.sha256(weights.read_bytes()).hexdigest()
    assert CONFIG["metadata"]["provenance"]["sha256"] == digest
    state = torch.load(weights, weights_only=True)
    assert all(bool(torch.isfinite(tensor).all()) for tensor in state.values())


def test_readme_and_configuration_agree():
    found = CONFIG["training"]["rms_errors"]
    stated = readme_errors()
    assert set(stated) == set(found) == {"training", "validation", "test"}
    for part, (energy, force) in stated.items():
        assert energy == pytest.approx(found[part]["energy_mev_per_atom"], rel=0.02)
        assert force == pytest.approx(found[part]["forces_mev_per_angstrom"], rel=0.02)
    assert CONFIG["training"]["data"]["sha256"] in README
    assert f"--epochs {CONFIG['training']['schedule']['epochs']}" in README
    assert f"--seed {CONFIG['training']['seed']}" in README


def test_errors_on_held_out_frames_are_the_stated_ones(shared, calculator):
    data = shared / "data" / "water_rpbe-d3.xyz"
    assert hashlib.sha256(data.read_bytes()).hexdigest() == CONFIG["training"]["data"]["sha256"]
    frames = CONFIG["training"]["frames"]
    assert not set(frames["test"]) & {*frames["training"], *frames["validation"]}
    structures = read(data, ":")
    energy, force = [], []
    for index in frames["test"]:
        reference = structures[index]
        atoms = reference.copy()
        atoms.calc = calculator
        difference = atoms.get_potential_energy() - reference.get_potential_energy()
        energy.append(difference / len(atoms))
        force.append(atoms.get_forces() - reference.get_forces())
    stated_energy, stated_force = readme_errors()["test"]
    assert 1e3 * np.sqrt(np.mean(np.square(energy))) == pytest.approx(stated_energy, rel=0.05)
    assert 1e3 * np.sqrt(np.mean(np.square(force))) == pytest.approx(stated_force, rel=0.05)


def water_box() -> Atoms:
    """27 molecules turned at random, at the density of water."""
    random = np.random.default_rng(0)
    box = Atoms(cell=np.eye(3) * 9.3, pbc=True)
    for site in np.ndindex(3, 3, 3):
        water = molecule("H2O")
        water.rotate(random.uniform(0, 360), random.normal(size=3), center="COM")
        water.translate(3.1 * (np.array(site) + 0.5))
        box += water
    return box


def test_oxygen_is_negative(calculator):
    atoms = water_box()
    calculator.calculate(atoms, ["born_effective_charges"])
    oxygen = atoms.numbers == 8
    charges = calculator.results["charges"]
    assert charges[oxygen].max() < 0.0 < charges[~oxygen].min()
    trace = np.trace(calculator.results["born_effective_charges"], axis1=1, axis2=2) / 3
    assert -1.3 < trace[oxygen].mean() < -0.6
    assert 0.3 < trace[~oxygen].mean() < 0.65


def test_export_by_name(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    result = CliRunner().invoke(app, ["export", NAME, "-o", "model.pt", "--dtype", "float64"])
    assert result.exit_code == 0, result.output
    exported = read_metadata("model.pt").model_dump()
    assert exported.pop("dtype") == "float64"
    assert exported.pop("provenance")["sha256"] == CONFIG["metadata"]["provenance"]["sha256"]
    for name, value in exported.items():
        assert value == CONFIG["metadata"].get(name)
    result = CliRunner().invoke(app, ["export", "ice", "-o", "ice.pt"])
    assert result.exit_code == 1
    assert NAME in " ".join(result.output.split())

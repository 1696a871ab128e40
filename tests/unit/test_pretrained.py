"""The model that comes with the package is what its README and its report say."""

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
from pydantic import TypeAdapter
from typer.testing import CliRunner

from lammps_les import pretrained
from lammps_les.calculators import LesCalculator
from lammps_les.cli import app
from lammps_les.model_file import read_metadata
from lammps_les.training.config_file import read_config
from lammps_les_export import write_model

NAME = "water_rpbe-d3"
FOLDER = Path(pretrained.__file__).parent / NAME
README = (FOLDER / "README.md").read_text()
REPORT = (FOLDER / "report.md").read_text()
CONFIG = json.loads((FOLDER / "config.json").read_text())
ORIGIN = json.loads((FOLDER / "provenance.json").read_text())


@pytest.fixture(scope="module")
def calculator(tmp_path_factory: pytest.TempPathFactory) -> LesCalculator:
    path = tmp_path_factory.mktemp("pretrained") / "water.pt"
    write_model(path, *pretrained.load(NAME))
    return LesCalculator(path)


def stated_errors(part: str) -> tuple[float, float]:
    """Energy [eV/atom] and force [eV/A] errors of a part of the data, as report.md has them."""
    section = REPORT.split(f"## Errors, {part}\n")[1].split("\n## ")[0]
    energy = re.search(r"^\| energy per atom \| eV \| ([\d.e-]+) \|", section, re.MULTILINE)
    force = re.search(r"^\| forces \| eV/A \| ([\d.e-]+) \|", section, re.MULTILINE)
    assert energy is not None
    assert force is not None
    return float(energy[1]), float(force[1])


def frames_of(part: str) -> list[int]:
    """Indices in the data set."""
    return [int(where.split("frame ")[1]) for where in ORIGIN["parts"][part]]


def test_network_loads_and_is_named():
    assert pretrained.names() == [NAME]
    network, metadata = pretrained.load(NAME)
    assert {p.dtype for p in network.parameters()} == {torch.float32}
    assert metadata.network.species == ["H", "O"]
    assert metadata.response.epsilon_inf == 1.83
    with pytest.raises(ValueError, match=f"no pretrained model 'ice'; there are: {NAME}"):
        pretrained.load("ice")


def test_weights_are_small_plain_and_the_ones_named():
    weights = FOLDER / "weights.pt"
    assert weights.stat().st_size < 1_000_000
    digest = hashlib.sha256(weights.read_bytes()).hexdigest()
    assert CONFIG["metadata"]["provenance"]["sha256"] == digest
    state = torch.load(weights, weights_only=True)
    assert all(bool(torch.isfinite(tensor).all()) for tensor in state.values())


def test_the_folder_is_that_of_one_training():
    config = read_config(FOLDER / "config.yaml")
    metadata = CONFIG["metadata"]
    network = metadata["network"]["config"]
    assert CONFIG["training"] == ORIGIN
    assert config.seed == ORIGIN["seed"]
    assert list(ORIGIN["data"]) == [file.path for file in config.data.files]
    assert config.charges.epsilon_inf == metadata["response"]["epsilon_inf"]
    for name in ("sigma", "dl", "norm", "remove_self"):
        assert getattr(config.long_range, name) == metadata["long_range"][name]
    assert list(config.network.species) == metadata["network"]["species"] == network["species"]
    for part in ("representation", "energy", "charge"):
        stated = TypeAdapter(type(getattr(config.network, part))).validate_python(network[part])
        assert getattr(config.network, part) == stated


def test_files_that_the_texts_name_are_there():
    assert next(iter(ORIGIN["data"].values())) in README
    links = re.findall(r"\]\(([^):]+)\)", README + REPORT)
    assert {"report.md", "config.yaml", "provenance.json", "parity-validation.png"} <= {*links}
    for link in links:
        assert (FOLDER / link).is_file()


def test_errors_on_frames_not_trained_on_are_the_stated_ones(shared, calculator):
    data = shared / "data" / "water_rpbe-d3.xyz"
    assert hashlib.sha256(data.read_bytes()).hexdigest() in ORIGIN["data"].values()
    held_out = frames_of("validation")
    assert len(held_out) == 8
    assert not set(held_out) & set(frames_of("training"))
    structures = read(data, ":")
    energy, force = [], []
    for index in held_out:
        reference = structures[index]
        atoms = reference.copy()
        atoms.calc = calculator
        difference = atoms.get_potential_energy() - reference.get_potential_energy()
        energy.append(difference / len(atoms))
        force.append(atoms.get_forces() - reference.get_forces())
    stated_energy, stated_force = stated_errors("validation")
    assert np.sqrt(np.mean(np.square(energy))) == pytest.approx(stated_energy, rel=0.02)
    assert np.sqrt(np.mean(np.square(force))) == pytest.approx(stated_force, rel=0.02)


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
    assert exported["network"].pop("dtype") == "float64"
    assert exported.pop("provenance")["sha256"] == CONFIG["metadata"]["provenance"]["sha256"]
    assert exported.pop("atomic_masses") == {"H": 1.008, "O": 15.999}
    in_folder = CONFIG["metadata"]
    assert in_folder["network"].pop("dtype") == "float32"
    sizes = exported["network"].pop("config")  # of the folder, and those that came since
    assert in_folder["network"].pop("config").items() <= sizes.items()
    assert exported == {name: in_folder[name] for name in exported}
    result = CliRunner().invoke(app, ["export", "ice", "-o", "ice.pt"])
    assert result.exit_code == 1
    assert NAME in " ".join(result.output.split())

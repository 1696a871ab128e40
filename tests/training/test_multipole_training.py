"""Short trainings with dipoles, quadrupoles, alpha and kappa, of all kinds of network."""

import math
from dataclasses import replace
from pathlib import Path

import ase.io
import numpy as np
import pytest
import torch
import yaml
from ase import Atoms
from ase.calculators.singlepoint import SinglePointCalculator
from multipole_toys import FULL, SIZES, multipole_network, physics_of, section
from training_toys import command, metrics, settings, unlabelled, waters
from typer.testing import CliRunner

from lammps_les.analysis.comparison import compare
from lammps_les.calculators import LesCalculator
from lammps_les.cli import app
from lammps_les.model_file import read_metadata
from lammps_les.pretrained import load_folder
from lammps_les.training.frames import join, make_frame
from lammps_les.training.losses import QUANTITIES
from lammps_les.training.prediction import predict
from lammps_les_export.convert import export_model

COULOMB = 14.399645
ALL = {
    "energy": 1.0,
    "forces": 1.0,
    "stress": 1.0,
    "born_effective_charges": 1.0,
    "polarizability": 1.0,
}


def taught(atoms: Atoms) -> Atoms:
    """Structure with the labels of a random network."""
    network = multipole_network("cace")
    frame = make_frame(unlabelled(atoms), {"H": 0.0, "O": 0.0}, 3.2, 1.5, torch.float64)
    physics = replace(physics_of(network), epsilon_inf=1.9, susceptibility=None)
    found = predict(network, join([frame]), physics, QUANTITIES)
    found = {name: value.detach().numpy() for name, value in found.items()}
    labelled = Atoms(atoms.numbers, atoms.positions, cell=atoms.cell, pbc=atoms.pbc)
    stress = {"stress": found["stress"][0]} if atoms.pbc.all() else {}
    labelled.calc = SinglePointCalculator(
        labelled, energy=found["energy"][0], forces=found["forces"], **stress
    )
    labelled.arrays["BEC"] = found["born_effective_charges"].reshape(-1, 9)
    labelled.info["polarizability"] = found["polarizability"][0]
    return labelled


def configuration(folder: Path, kind: str, **changes: object) -> dict:
    data = [taught(waters("triclinic", 2, seed)) for seed in range(6)]
    data += [taught(waters("open", 1, seed)) for seed in range(2)]
    ase.io.write(folder / "data.xyz", data)
    content = settings(
        network=section(kind),
        loss={"weights": dict(ALL)},
        training={"epochs": 8, "batch_size": 2, "validate_every": 1, "learning_rate": 2e-2},
        charges={"epsilon_inf": 1.9},
        **changes,
    )
    content["data"]["split"] = {"validation": [2, 3], "test": [6]}
    return content


def write(folder: Path, name: str, content: dict) -> Path:
    """File of a configuration; the run folder beside it has its name without suffix."""
    path = folder / f"{name}.yaml"
    path.write_text(yaml.safe_dump(content))
    return path


def refusal(path: Path) -> str:
    result = CliRunner().invoke(app, ["train", str(path)])
    assert result.exit_code != 0
    return " ".join(result.output.split())


@pytest.mark.parametrize("kind", SIZES)
def test_trained_and_exported(kind: str, tmp_path: Path) -> None:
    content = configuration(tmp_path, kind)
    content["loss"]["weights"] = {"energy": 0.1, "forces": 0.1, "born_effective_charges": 10.0}
    run = tmp_path / "run"
    command(str(write(tmp_path, "run", content)))
    first, *_, last = (row["training/born_effective_charges"] for row in metrics(run))
    assert last < 0.95 * first

    metadata = read_metadata(run / "model.pt")
    assert metadata.latents == list(FULL)
    chi = metadata.response.susceptibility
    assert 0.01 < chi < 1.0
    assert metadata.response.epsilon_e == pytest.approx(1.9 / (1.0 + chi))
    network, of_folder = load_folder(run)
    assert of_folder.response.susceptibility == chi
    report = (run / "report.md").read_text()
    assert "susceptibility chi" in report
    assert "| polarizability | e A^2/V |" in report

    # chi of the file is the mean over the periodic training frames
    found = []
    calculator = LesCalculator(run / "model.pt")
    for i in (0, 1, 4, 5):
        atoms = ase.io.read(tmp_path / "data.xyz", i)
        calculator.calculate(atoms, ["born_effective_charges"])
        # epsilon_e sum alpha / (epsilon_0 V)
        alpha = calculator.results["polarizability"] / metadata.response.epsilon_e
        found.append(np.trace(alpha) / 3.0 * 4.0 * np.pi * COULOMB / atoms.get_volume())
    assert np.mean(found) == pytest.approx(chi, rel=1e-4)


def test_polarizabilities_are_learned(tmp_path: Path) -> None:
    """Anisotropic ones, by the bonds; the mean is that of epsilon_inf."""
    content = configuration(tmp_path, "cace")
    data = ase.io.read(tmp_path / "data.xyz", ":6")
    for atoms in data:
        bonds = atoms.positions[[1, 2, 4, 5]] - atoms.positions[[0, 0, 3, 3]]
        tensor = 0.1 * (bonds.T @ bonds)
        tensor += np.eye(3) * (0.9 * atoms.get_volume() / (4 * np.pi * COULOMB))
        atoms.info["polarizability"] = tensor - 0.1 * np.eye(3) * (bonds**2).sum() / 3.0
    ase.io.write(tmp_path / "data.xyz", data)
    content["data"]["split"] = {"validation": 1, "test": 0}
    content["loss"]["weights"] = {"energy": 0.0, "forces": 0.0, "polarizability": 1000.0}
    content["training"]["epochs"] = 16
    command(str(write(tmp_path, "run", content)))
    first, *_, last = (row["training/polarizability"] for row in metrics(tmp_path / "run"))
    assert last < 0.6 * first


@pytest.mark.parametrize("kind", ["cace", "mace"])
def test_resumed_is_uninterrupted(kind: str, tmp_path: Path) -> None:
    """The susceptibility of the loss goes on too; ended after three epochs, then asked for more."""
    content = configuration(tmp_path, kind)
    content["training"] |= {"warmup": 0.0, "final_rate": 1.0}  # then no course to know of
    command(str(write(tmp_path, "whole", content)))
    content["training"] |= {"epochs": 3}
    command(str(write(tmp_path, "part", content)))
    longer = yaml.safe_load((tmp_path / "part" / "config.yaml").read_text())
    longer["training"]["epochs"] = 8
    (tmp_path / "part" / "config.yaml").write_text(yaml.safe_dump(longer))
    command(str(tmp_path / "part" / "config.yaml"), "--resume")
    whole, part = (
        torch.load(tmp_path / name / "last.ckpt", weights_only=True)["state_dict"]
        for name in ("whole", "part")
    )
    for name, value in whole.items():
        assert torch.equal(value, part[name]), name


def test_what_cannot_be_is_refused_by_name(tmp_path: Path) -> None:
    content = configuration(tmp_path, "cace")
    content["network"]["latents"] = ["charge", "dipole"]
    assert "loss.weights.polarizability needs alpha" in refusal(write(tmp_path, "a", content))
    content["network"]["latents"] = ["charge", "kappa", "alpha"]
    text = refusal(write(tmp_path, "b", content))
    assert "loss.weights.born_effective_charges does not go with kappa" in text
    content["network"]["latents"] = ["charge", "dipole", "dipole"]
    assert "each once" in refusal(write(tmp_path, "c", content))
    content["network"]["latents"] = ["dipole"]
    assert "expected charge and any of" in refusal(write(tmp_path, "d", content))
    content["network"]["latents"] = ["charge"]
    content["network"]["channels"] = 0
    content["loss"]["weights"] = {"polarizability": 1.0}
    assert "needs charges" in refusal(write(tmp_path, "e", content))


def test_kappa_trains_and_says_how_long_a_cell_may_be(tmp_path: Path) -> None:
    content = configuration(tmp_path, "cace")
    content["network"]["latents"] = ["charge", "kappa", "alpha"]
    content["loss"] = {"weights": {"forces": 1.0}}
    content["training"]["epochs"] = 1
    command(str(write(tmp_path, "run", content)))
    response = read_metadata(tmp_path / "run" / "model.pt").response
    # kappa begins at 1e-4 and has hardly moved
    volume = waters("triclinic", 2, 0).get_volume()
    assert response.softness == pytest.approx(6e-4 / volume, rel=0.3)
    left = 1.0 - response.susceptibility
    assert 0.5 < left < 0.98
    length = 2.0 * math.pi * math.sqrt(left / (2.0 * 90.4756 * response.softness))
    assert f"cells longer than {length:.3g} A" in (tmp_path / "run" / "report.md").read_text()


def test_another_epsilon_inf_changes_epsilon_e_in_an_export(tmp_path: Path) -> None:
    content = configuration(tmp_path, "cace")
    content["loss"] = {"weights": {"forces": 1.0}}
    content["training"]["epochs"] = 1
    command(str(write(tmp_path, "run", content)))
    chi = read_metadata(tmp_path / "run" / "model.pt").response.susceptibility
    found = export_model(tmp_path / "run", tmp_path / "other.pt", epsilon_inf=3.0).metadata
    assert found.response.epsilon_e == pytest.approx(3.0 / (1.0 + chi))
    same = export_model(tmp_path / "run", tmp_path / "same.pt").metadata
    assert same.response.epsilon_e == pytest.approx(1.9 / (1.0 + chi))


def test_evaluated_by_constant_epsilon_e_and_by_that_of_each_frame(tmp_path: Path) -> None:
    content = configuration(tmp_path, "cace")
    content["training"]["epochs"] = 1
    command(str(write(tmp_path, "run", content)))
    model = tmp_path / "run" / "model.pt"
    structures = ase.io.read(tmp_path / "data.xyz", ":6")
    volume = structures[0].get_volume() / (4.0 * np.pi * COULOMB)
    constant = compare(LesCalculator(model), structures)
    frame = compare(LesCalculator(model, epsilon_e="frame"), structures)
    # with its own chi, the trace of each structure is that of epsilon_inf
    for predicted in frame.predicted:
        trace = np.trace(predicted["polarizability"]) / 3.0
        assert trace == pytest.approx(0.9 * volume, rel=1e-6)
    isotropic = [np.trace(p["polarizability"]) for p in constant.predicted]
    assert np.ptp(isotropic) > 1e-5
    chi = read_metadata(model).response.susceptibility
    for one, other in zip(constant.predicted, frame.predicted, strict=True):
        ratio = other["born_effective_charges"] / one["born_effective_charges"]
        np.testing.assert_allclose(ratio, ratio.flat[0], rtol=1e-5)
    other = LesCalculator(model, epsilon_inf=3.8)
    other.calculate(structures[0], ["born_effective_charges"])
    np.testing.assert_allclose(
        other.results["born_effective_charges"],
        2.0**0.5 * constant.predicted[0]["born_effective_charges"],
        rtol=0,
        atol=1e-6 * np.abs(constant.predicted[0]["born_effective_charges"]).max(),  # float32
    )
    coupling = other.results["coupling"]
    np.testing.assert_allclose(coupling, 3.8 / (1.0 + chi) * np.eye(3), rtol=1e-12, atol=1e-12)

    arguments = [str(model), str(tmp_path / "data.xyz"), "-o", str(tmp_path / "out")]
    result = CliRunner().invoke(app, ["evaluate", *arguments])
    assert result.exit_code == 0, result.output
    assert "anisotropic" in result.output
    result = CliRunner().invoke(app, ["evaluate", *arguments, "--epsilon-e", "frame"])
    assert result.exit_code == 0, result.output


def test_epsilon_e_of_each_frame_needs_alpha(tmp_path: Path) -> None:
    content = configuration(tmp_path, "cace")
    content["network"]["latents"] = ["charge"]
    content["loss"] = {"weights": {"forces": 1.0}}
    content["training"]["epochs"] = 1
    command(str(write(tmp_path, "run", content)))
    arguments = [str(tmp_path / "run" / "model.pt"), str(tmp_path / "data.xyz")]
    result = CliRunner().invoke(app, ["evaluate", *arguments, "--epsilon-e", "frame"])
    assert result.exit_code != 0
    assert "needs alpha" in " ".join(result.output.split())


@pytest.mark.parametrize("kind", SIZES)
def test_alpha_begins_positive_with_a_chi_of_about_a_fifth(kind: str) -> None:
    """In water of 1 g/cc: three atoms in 30 A^3."""
    torch.manual_seed(1)
    from lammps_les.models.kinds import network_of

    fields = {**section(kind), "species": ["H", "O"]}
    network = network_of(fields.pop("kind"), fields).double()
    frame = make_frame(
        unlabelled(waters("triclinic", 2, 1)), {"H": 0.0, "O": 0.0}, 3.2, 1.5, torch.float64
    )
    edges = frame.edge_vectors
    alpha = network(edges, frame.edge_index, frame.species, 6)["alpha"].detach()
    assert torch.linalg.eigvalsh(alpha).min() > 0.0
    chi = 4.0 * np.pi * COULOMB * 3.0 * float(alpha[:, 0].mean(0).trace()) / 3.0 / 30.0
    assert chi == pytest.approx(0.2, abs=0.05)

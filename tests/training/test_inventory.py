"""What the files have, and what it is taken for: listed by every command."""

from pathlib import Path

import numpy as np
import pytest
import yaml
from ase import Atoms
from ase.calculators.singlepoint import SinglePointCalculator
from ase.io import write
from training_toys import settings, waters
from typer.testing import CliRunner

from lammps_les.cli import app
from lammps_les.data.inventory import described, inventory, passed_over
from lammps_les.training.config import RunConfig
from lammps_les.training.preparation import prepare


def with_names(kind: str, seed: int) -> Atoms:
    """A molecule with labels under names of its own."""
    atoms = waters(kind, 1, seed)
    atoms.info |= {"dft_energy": -8.0, "PBE_stress": np.ones(6), "config_type": "bulk"}
    atoms.arrays |= {"dft_forces": np.zeros((3, 3)), "Zstar": np.ones((3, 9)), "spin": np.ones(3)}
    return atoms


def usual(kind: str, seed: int, **more: object) -> Atoms:
    atoms = waters(kind, 1, seed)
    results = {"energy": -8.0, "forces": np.zeros((3, 3)), **more}
    atoms.calc = SinglePointCalculator(atoms, **results)
    return atoms


def said(*arguments: object) -> tuple[int, str]:
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result.exit_code, " ".join(result.output.split())


def test_every_name_is_listed_with_what_it_may_be():
    structures = [usual("triclinic", 1), with_names("triclinic", 2)]
    text = described(inventory(structures, {"forces": "dft_forces"}), 2)
    taken, others = text.split("; not used: ")
    assert taken == "labels found: energy ('energy', 1 of 2 structures), " + (
        "forces ('dft_forces', 1 of 2 structures)"
    )
    assert sorted(others.split(", ")) == [
        "'PBE_stress' (per structure; perhaps data.labels.stress)",
        "'Zstar' (per atom; perhaps data.labels.born_effective_charges)",
        "'config_type' (per structure)",
        "'dft_energy' (per structure; perhaps data.labels.energy)",
        "'forces' (per atom; perhaps data.labels.forces)",
        "'spin' (per atom)",
    ]


def test_what_is_no_label_may_be_anything():
    atoms = usual("triclinic", 1)
    atoms.info |= {"bonds": [[1], [2, 3]], 7: "seven", "forces_of": {"a": 1}}
    text = described(inventory([atoms]), 1)
    for name in ("bonds", "7", "forces_of"):
        assert f"'{name}' (per structure)" in text


def test_columns_of_atoms_are_no_labels_of_the_structure():
    atoms = usual("triclinic", 1)
    atoms.arrays |= {"virials": np.ones((3, 9)), "charge": np.ones(3)}
    text = described(inventory([atoms]), 1)
    assert "'virials' (per atom)" in text
    assert "'charge' (per atom)" in text


def test_labels_without_meaning_are_counted():
    structures = [usual(kind, 1, stress=np.ones(6), dipole=np.ones(3)) for kind in ("open",) * 2]
    structures.append(usual("triclinic", 1, stress=np.ones(6), dipole=np.ones(3)))
    dipole, stress = sorted(passed_over(inventory(structures)))
    assert dipole.startswith("'dipole' of 1 structure(s) is passed over: ")
    assert stress.startswith("'stress' of 2 structure(s) is passed over: stresses of open struct")


@pytest.mark.parametrize("key", ["stress", "REF_virial"])
def test_stresses_of_open_structures_are_told_from_missing_ones(tmp_path, key):
    structures = [usual("open", seed) for seed in range(5)]
    for atoms in structures:
        atoms.info[key] = np.eye(3)
    write(tmp_path / "data.xyz", structures)
    content = settings(loss={"weights": {"energy": 1.0, "stress": 1.0}})
    content["data"]["split"] = {"validation": 1, "test": 1}
    with pytest.raises(ValueError, match=rf"'{key}' of 3 structure\(s\) is passed over: ") as error:
        prepare(RunConfig.model_validate(content), tmp_path)
    assert "give its name" not in str(error.value)
    content["loss"]["weights"]["stress"] = 0.0
    notes = prepare(RunConfig.model_validate(content), tmp_path).notes
    assert any(f"'{key}' of 5 structure(s) is passed over" in note for note in notes)


def test_what_is_missing_is_answered_with_what_there_is(tmp_path: Path):
    write(tmp_path / "data.xyz", [with_names("triclinic", seed) for seed in range(5)])
    content = settings(loss={"weights": {"energy": 1.0, "forces": 1.0}})
    content["data"]["split"] = {"validation": 1, "test": 1}
    (tmp_path / "run.yaml").write_text(yaml.safe_dump(content))
    status, text = said("train", tmp_path / "run.yaml")
    assert status == 1
    assert "give its name in data.labels.energy" in text
    assert "'dft_energy' (per structure; perhaps data.labels.energy)" in text
    content["data"]["labels"] = {"energy": "dft_enrgy"}
    (tmp_path / "run.yaml").write_text(yaml.safe_dump(content))
    status, text = said("train", tmp_path / "run.yaml")
    assert status == 1
    assert "has a label 'dft_enrgy'" in text
    assert "'dft_energy' (per structure; perhaps data.labels.energy)" in text


def test_train_and_evaluate_list_the_names(tmp_path, toy_model):
    structures = [usual("triclinic", seed) for seed in range(4)]
    for atoms in structures:
        atoms.info["dft_energy"] = -9.0
    write(tmp_path / "data.xyz", structures)
    content = settings(training={"epochs": 1}, loss={"weights": {"energy": 1.0}})
    content["data"]["split"] = {"validation": 1, "test": 0}
    (tmp_path / "run.yaml").write_text(yaml.safe_dump(content))
    listed = "energy ('energy', 4 of 4 structures)"
    other = "not used: 'dft_energy' (per structure; perhaps data.labels.energy)"
    for arguments in (
        ("train", tmp_path / "run.yaml"),
        ("evaluate", toy_model("linear"), tmp_path / "data.xyz", "-o", tmp_path / "e"),
    ):
        status, text = said(*arguments)
        assert status == 0
        assert listed in text
        assert other in text
    assert other in (tmp_path / "run" / "report.md").read_text()

"""Models that know the total charge of the system, from training to model file."""

from pathlib import Path

import ase.io
import numpy as np
import pytest
import yaml
from ase import Atoms
from training_toys import command, eager_energy, metrics, settings, teacher_labels, waters
from typer.testing import CliRunner

from lammps_les.calculators import LesCalculator
from lammps_les.cli import app
from lammps_les.model_file import read_metadata
from lammps_les.training.charge_signs import GIVEN, TOTAL_CHARGES
from lammps_les.training.config import RunConfig
from lammps_les.training.preparation import prepare

KINDS = ["triclinic", "open", "left-handed"]


def train(folder: Path, structures: list[Atoms], **changes: object) -> Path:
    """Run folder of a short training."""
    ase.io.write(folder / "data.xyz", structures)
    (folder / "run.yaml").write_text(yaml.safe_dump(settings(**changes)))
    command(str(folder / "run.yaml"))
    return folder / "run"


def export(*arguments: object) -> tuple[int, str]:
    result = CliRunner().invoke(app, ["export", *map(str, arguments)])
    return result.exit_code, " ".join(result.output.split())


@pytest.fixture(scope="module")
def exact(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Run on neutral structures with an exact total charge, Born charges in the loss."""
    structures = [teacher_labels(waters(KINDS[n % 3], 1 + n % 2, n)) for n in range(8)]
    return train(
        tmp_path_factory.mktemp("exact"),
        structures,
        charges={"total_charge": "exact", "remove_mean": False},
        loss={"weights": {"forces": 1.0, "born_effective_charges": 1.0}},
        training={"epochs": 8, "batch_size": 3},
    )


def test_an_exact_total_charge_goes_into_the_model_file(exact):
    assert read_metadata(exact / "model.pt").charges.total == 0.0
    rows = metrics(exact)
    assert rows[-1]["training/forces"] < rows[0]["training/forces"]
    for kind in KINDS:
        atoms = waters(kind, 2, 20)
        atoms.calc = LesCalculator(exact / "model.pt")
        assert atoms.get_potential_energy() == pytest.approx(eager_energy(exact, atoms), abs=2e-5)
        charges = atoms.get_charges()
        assert charges.sum() == pytest.approx(0.0, abs=1e-6)
        assert np.abs(charges).max() > 1e-3


def test_another_total_charge_can_be_exported_and_is_remarked_on(exact, tmp_path):
    target = tmp_path / "ion.pt"
    code, text = export(exact, "-o", target, "--total-charge", "-1", "--dtype", "float64")
    assert code == 0
    assert "trained on a total charge of 0 e, not -1" in text
    assert read_metadata(target).charges.total == -1.0
    atoms = waters("open", 2, 20)
    atoms.calc = LesCalculator(target)
    assert atoms.get_charges().sum() == pytest.approx(-1.0, abs=1e-10)
    assert atoms.get_potential_energy() == pytest.approx(eager_energy(exact, atoms, -1.0))
    other = f"{-read_metadata(target).charges.sign[0]:+g}"
    code, text = export(exact, "-o", target, "--total-charge", "-1", "--charge-sign", other)
    assert code == 1
    assert "the charges sum to -1 e, which settles their sign" in text


def test_a_run_that_starts_from_it_stays_exact(exact):
    folder = exact.parent
    changed = settings(init_from="run", training={"epochs": 1, "batch_size": 3})
    del changed["network"], changed["long_range"]
    (folder / "tuned.yaml").write_text(yaml.safe_dump(changed))
    command(str(folder / "tuned.yaml"))
    assert read_metadata(folder / "tuned" / "model.pt").charges.total == 0.0


@pytest.fixture(scope="module")
def embedded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Run on structures that come with two total charges and two energies each."""
    structures = []
    for seed in range(6):
        for charge in (0.0, 1.0):
            atoms = teacher_labels(waters(KINDS[seed % 3], 1 + seed % 2, seed))
            atoms.calc.results["energy"] += 0.3 * charge * len(atoms)
            atoms.info["total_charge"] = charge
            structures.append(atoms)
    changed = settings(
        loss={"weights": {"energy": 10.0}},
        training={"epochs": 30, "batch_size": 3, "learning_rate": 0.03},
    )
    changed["network"]["representation"]["embed_total_charge"] = True
    return train(tmp_path_factory.mktemp("embedded"), structures, **changed)


def test_two_charge_states_are_told_apart_and_have_a_model_file_each(embedded):
    files = {0.0: embedded / "model_0.pt", 1.0: embedded / "model_+1.pt"}
    assert not (embedded / "model.pt").exists()
    rows = metrics(embedded)
    # blind to the charge, the energies could not come nearer than 0.15 eV per atom
    assert rows[-1]["validation/energy"] < 0.05 < rows[0]["validation/energy"]
    atoms = waters("triclinic", 2, 20)
    energies = {}
    for charge, file in files.items():
        atoms.calc = LesCalculator(file)
        energies[charge] = atoms.get_potential_energy()
        eager = eager_energy(embedded, atoms, charge)
        assert energies[charge] == pytest.approx(eager, abs=2e-5)
        metadata = read_metadata(file)
        assert metadata.charges.total is None
        assert metadata.charge_state == charge
    assert energies[1.0] - energies[0.0] > 0.5
    report = (embedded / "report.md").read_text()
    assert "model_0.pt for 0 e" in report
    assert "| energy per atom | eV |" in report.split("## Errors, training")[1]


def test_export_asks_for_the_charge_state_where_there_are_several(embedded, tmp_path):
    target = tmp_path / "m.pt"
    code, text = export(embedded, "-o", target)
    assert code == 1
    assert "trained on 0, 1 e; choose with --total-charge" in text
    data = embedded.parent / "data.xyz"
    code, text = export(embedded, "-o", target, "--total-charge", "1", "--structures", data)
    assert code == 0
    atoms = waters("triclinic", 2, 20)
    energies = [
        LesCalculator(file).get_potential_energy(atoms)
        for file in (target, embedded / "model_+1.pt")
    ]
    assert energies[0] == energies[1]


@pytest.mark.parametrize("charge", [0.0, 1.0])
@pytest.mark.parametrize("mode", ["exact", "penalty"])
def test_a_total_charge_settles_the_sign_of_the_charges_and_neutrality_does_not(
    tmp_path, mode, charge
):
    structures = [teacher_labels(waters("open", 1, n)) for n in range(3)]
    structures[0].info["total_charge"] = charge
    ase.io.write(tmp_path / "data.xyz", structures)
    changed = settings(charges={"total_charge": mode})
    changed["data"]["split"] = {"validation": 1, "test": 0}
    changed["loss"]["weights"] = {"forces": 1.0, "total_charge": float(mode == "penalty")}
    prepared = prepare(RunConfig.model_validate(changed), tmp_path)
    assert prepared.sign_origin == (TOTAL_CHARGES if charge else "")
    assert prepared.physics.charge_sign == (1.0,)
    assert prepared.total_charges == ([0.0, charge][: 1 + (charge > 0)] if mode == "exact" else [])


def test_a_total_charge_cannot_be_asked_of_charges_of_unknown_sign(shared, tmp_path):
    structures = [teacher_labels(waters("open", 1, n)) for n in range(3)]
    structures[0].info["total_charge"] = 1.0
    for atoms in structures:
        del atoms.arrays["BEC"]  # that would know
    ase.io.write(tmp_path / "data.xyz", structures)
    source = str(shared / "checkpoints" / "cace-lr_water_v2.pth")
    changed = settings(init_from=source, charges={"total_charge": "exact"})
    del changed["network"], changed["long_range"]
    changed["data"]["split"] = {"validation": 1, "test": 0}
    changed["loss"]["weights"] = {"forces": 1.0}
    with pytest.raises(ValueError, match=r"does not state; give charges\.sign"):
        prepare(RunConfig.model_validate(changed), tmp_path)
    changed["charges"]["sign"] = [-1]
    assert prepare(RunConfig.model_validate(changed), tmp_path).sign_origin == GIVEN


def test_a_model_without_charge_states_takes_none(tmp_path):
    code, text = export("water_rpbe-d3", "-o", tmp_path / "m.pt", "--total-charge", "0")
    assert code == 1
    assert "does not depend on the total charge of the system; leave --total-charge out" in text

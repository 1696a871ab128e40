"""Data that look wrong as a whole: stresses of another convention, energies of two codes, twins.

Labels are those of ASE's own calculators, whose stress is (1/V) dE/d(strain).
"""

import re
from pathlib import Path

import numpy as np
import pytest
import yaml
from ase import Atoms, units
from ase.build import bulk, fcc100
from ase.calculators.emt import EMT
from ase.calculators.singlepoint import SinglePointCalculator
from ase.io import write
from training_toys import settings
from typer.testing import CliRunner

from lammps_les.calculators import LesCalculator
from lammps_les.cli import app
from lammps_les.data.stress_convention import convention_by_forces
from lammps_les.data.structures import read_labelled
from lammps_les.training.config import RunConfig
from lammps_les.training.preparation import prepare

CONVENTIONS = {
    "right": (lambda stress, atoms: stress, None),
    "GPa": (lambda stress, atoms: stress / units.GPa, "GPa"),
    "kbar": (lambda stress, atoms: stress / units.GPa * 10.0, "kbar"),
    "sign": (lambda stress, atoms: -stress, "eV/A^3 of the opposite sign"),
    "VASP": (lambda stress, atoms: -stress / units.GPa * 10.0, "kbar of the opposite sign"),
    "virial": (lambda stress, atoms: -stress * atoms.get_volume(), "virials in eV"),
    "Hartree": (lambda s, atoms: s / (units.Hartree / units.Bohr**3), "Hartree/bohr^3"),
}


def alloy(seed: int, convention: str = "right") -> Atoms:
    """A shaken crystal of 16 atoms under EMT, which is no pair potential."""
    atoms = bulk("NiAl", "cesiumchloride", a=2.9).repeat(2)
    atoms.rattle(0.08, seed=seed)
    atoms.calc = EMT()
    stress = CONVENTIONS[convention][0](atoms.get_stress(), atoms)
    energy, forces = atoms.get_potential_energy(), atoms.get_forces()
    atoms.calc = SinglePointCalculator(atoms, energy=energy, forces=forces, stress=stress)
    return atoms


def notes(
    folder: Path, stress_weight: float = 0.0, energy_weight: float = 1.0, **data: object
) -> list[str]:
    weights = {"energy": energy_weight, "forces": 1.0, "stress": stress_weight}
    content = settings(loss={"weights": weights})
    content["data"] = {"files": [{"path": "data.xyz"}], "split": {"validation": 2, "test": 2}}
    content["data"] |= data
    return prepare(RunConfig.model_validate(content), folder).notes


@pytest.mark.parametrize("convention", CONVENTIONS)
def test_forces_know_sign_and_unit_of_the_stress(tmp_path, convention):
    write(tmp_path / "data.xyz", [alloy(seed, convention) for seed in range(8)])
    expected = CONVENTIONS[convention][1]
    verdict = convention_by_forces(read_labelled(tmp_path / "data.xyz", max_force=1e9))
    assert verdict.certain
    if expected is None:
        assert verdict.looks_like is None
        assert verdict.factor == pytest.approx(1.0, abs=0.1)
        assert not any("look like" in note for note in notes(tmp_path, 1.0))
        return
    assert expected in verdict.looks_like.split(" or ")
    with pytest.raises(ValueError, match="stresses of data.xyz look like ") as error:
        notes(tmp_path, 1.0)
    assert expected in str(error.value)
    assert "loss.weights.stress to 0" in str(error.value)
    assert "data.check_stress: false" in str(error.value)
    assert not any("look like" in note for note in notes(tmp_path, 1.0, check_stress=False))
    (said,) = (note for note in notes(tmp_path) if "look like" in note)
    assert expected in said


def under_emt(atoms: Atoms) -> Atoms:
    atoms.calc = EMT()
    energy, forces, stress = (
        atoms.get_potential_energy(),
        atoms.get_forces(),
        atoms.get_stress(),
    )
    atoms.calc = SinglePointCalculator(atoms, energy=energy, forces=forces, stress=stress)
    return atoms


def test_the_tension_of_a_surface_is_not_taken_for_another_convention(tmp_path):
    """Pt(100) under vacuum: most of the stress is the same in all structures."""
    slabs = [fcc100("Pt", (2, 2, 4), vacuum=8.0, periodic=True) for _ in range(12)]
    for seed, atoms in enumerate(slabs):
        atoms.rattle(0.05, seed=seed)
    write(tmp_path / "data.xyz", [under_emt(atoms) for atoms in slabs])
    assert not any("look like" in note for note in notes(tmp_path, 1.0))


def test_of_a_crystal_without_forces_nothing_is_said(tmp_path):
    """They are rounding errors, 1e-14 eV/A."""
    crystals = [bulk("Pt", cubic=True) for _ in range(20)]
    for seed, atoms in enumerate(crystals):
        strain = np.random.default_rng(seed).normal(0.0, 0.02, (3, 3))
        atoms.set_cell(atoms.cell @ (np.eye(3) + strain), scale_atoms=True)
    write(tmp_path / "data.traj", [under_emt(atoms) for atoms in crystals])
    assert convention_by_forces(read_labelled(tmp_path / "data.traj", max_force=1e9)) is None


def test_each_file_has_its_own_convention(tmp_path):
    write(tmp_path / "data.xyz", [alloy(seed) for seed in range(8)])
    write(tmp_path / "vasp.xyz", [alloy(seed, "VASP") for seed in range(8, 16)])
    files = [{"path": "data.xyz"}, {"path": "vasp.xyz", "part": "training"}]
    (said,) = (note for note in notes(tmp_path, files=files) if "look like" in note)
    assert said.startswith("stresses of vasp.xyz look like kbar of the opposite sign")


def with_one(n: int, **changes: float) -> list[Atoms]:
    """Crystals; energy, forces or stress of the one in place 3 are changed."""
    crystals = [alloy(seed) for seed in range(n)]
    results = crystals[3].calc.results
    for name, value in changes.items():
        results[name] = results[name] * value if name != "energy" else results[name] + value
    return crystals


def test_an_energy_that_cannot_be_meant_is_refused_with_file_and_frame(tmp_path):
    """Also beside a structure of another size, and where it is beyond all bounds."""
    small = bulk("NiAl", "cesiumchloride", a=2.9)
    small.calc = SinglePointCalculator(small, energy=-3.0, forces=np.zeros((2, 3)))
    for energy, told in ((16 * 450.0, r"\+450"), (-16 * 25.0, "-2[45]"), (1e8, r"\+6.25e\+06")):
        write(tmp_path / "data.xyz", [*with_one(8, energy=energy), small])
        expected = rf"data.xyz, frame 3: the energy is {told}\S* eV per atom from what the others"
        with pytest.raises(ValueError, match=expected):
            notes(tmp_path)
        assert any(re.match(expected, note) for note in notes(tmp_path, energy_weight=0.0))
    write(tmp_path / "data.xyz", [*with_one(8, energy=16 * 3.0), small])
    assert any("1 of 9 structures are apart" in note for note in notes(tmp_path))


@pytest.mark.parametrize(("name", "times"), [("forces", 30.0), ("stress", 1000.0)])
def test_forces_and_stresses_far_larger_than_those_of_the_others_are_remarked_on(
    tmp_path, name, times
):
    write(tmp_path / "data.xyz", with_one(8, **{name: times}))
    said = [note for note in notes(tmp_path, max_force=1e4) if "those of most structures" in note]
    assert len(said) == 1
    assert said[0].startswith(f"RMS {name} of data.xyz, frame 3 (")
    write(tmp_path / "data.xyz", with_one(8))
    assert not any("those of most structures" in note for note in notes(tmp_path))


def test_evaluate_compares_with_the_model(tmp_path, toy_model):
    model, structures = toy_model("two_layers"), []
    for seed in range(5):
        atoms = Atoms("OHH", [[0, 0, 0], [1.0, 0, 0], [0, 1.0, 0]], cell=[4.0, 4.2, 4.4], pbc=True)
        atoms.rattle(0.1, seed=seed)
        atoms.calc = LesCalculator(model)
        energy, stress = atoms.get_potential_energy(), atoms.get_stress() / units.GPa
        atoms.calc = SinglePointCalculator(atoms, energy=energy, stress=stress)
        structures.append(atoms)
    write(tmp_path / "data.xyz", structures)
    arguments = [str(model), str(tmp_path / "data.xyz"), "-o", str(tmp_path / "e")]
    result = CliRunner().invoke(app, ["evaluate", *arguments])
    assert result.exit_code == 0
    text = " ".join(result.output.split())
    assert "look like GPa" in text
    assert "they are 160 times those of the model (correlation 1.00)" in text


def shifted(seed: int, energy: float) -> Atoms:
    atoms = alloy(seed)
    atoms.calc.results["energy"] += energy
    return atoms


@pytest.mark.parametrize("per_atom", [0.5, 30.0])
def test_energies_of_two_codes_are_two_groups(tmp_path, per_atom):
    apart = [shifted(seed, 16 * per_atom * (seed % 3 == 0)) for seed in range(9)]
    write(tmp_path / "data.xyz", apart)
    (said,) = (note for note in notes(tmp_path) if "unexplained" in note)
    assert "3 of 9 structures are apart from the others by" in said
    assert "(data.xyz, frame 0, data.xyz, frame 3, data.xyz, frame 6)" in said
    assert "two codes or settings" in said


def test_energies_that_differ_as_they_should_are_no_doubt(tmp_path):
    """Two compositions, two sizes, strained and shaken."""
    structures = [alloy(seed) for seed in range(6)]
    for seed in range(4):
        atoms = bulk("Ni", cubic=True, a=3.5 + 0.03 * seed).repeat((2, 1, 1))
        atoms.rattle(0.05, seed=seed)
        atoms.calc = EMT()
        energy, forces = atoms.get_potential_energy(), atoms.get_forces()
        atoms.calc = SinglePointCalculator(atoms, energy=energy, forces=forces)
        structures.append(atoms)
    write(tmp_path / "data.xyz", structures)
    assert not any("unexplained" in note for note in notes(tmp_path))


def test_a_structure_in_two_parts_is_named_wherever_it_was_moved(tmp_path):
    structures = [alloy(seed) for seed in range(8)]
    twin = structures[3].copy()
    twin.positions += [0.3, -1.7, 2.2]
    twin.wrap()
    twin.calc = SinglePointCalculator(twin, energy=structures[3].get_potential_energy())
    write(tmp_path / "data.xyz", structures)
    write(tmp_path / "test.xyz", twin)
    split = {"training": [0, 1, 2, 3, 4], "validation": [5, 6], "test": [7]}
    files = [{"path": "data.xyz"}, {"path": "test.xyz", "part": "test"}]
    (said,) = (note for note in notes(tmp_path, files=files, split=split) if "two parts" in note)
    assert said.endswith("data.xyz, frame 3 (training) and test.xyz, frame 0 (test)")
    files = [{"path": "data.xyz"}]
    assert not any("two parts" in note for note in notes(tmp_path, files=files, split=split))


def test_the_doubts_are_printed_and_stand_in_the_report(tmp_path):
    write(tmp_path / "data.xyz", [shifted(seed, 500.0 * (seed % 2)) for seed in range(8)])
    content = settings(training={"epochs": 1}, loss={"weights": {"forces": 1.0}})
    content["data"]["split"] = {"validation": 2, "test": 0}
    (tmp_path / "run.yaml").write_text(yaml.safe_dump(content))
    result = CliRunner().invoke(app, ["train", str(tmp_path / "run.yaml")])
    assert result.exit_code == 0
    assert "two codes or settings" in " ".join(result.output.split())
    assert "two codes or settings" in (tmp_path / "run" / "report.md").read_text()

"""Data: what is refused with file and frame, how structures are dealt out, energies of atoms."""

from pathlib import Path

import numpy as np
import pytest
from ase import Atoms
from ase.calculators.singlepoint import SinglePointCalculator
from ase.io import write
from training_toys import waters

from lammps_les.data.atomic_energies import fit_atomic_energies, isolated_atomic_energies
from lammps_les.data.splits import check_indices, split_by_fraction
from lammps_les.data.structures import Labelled, check_species, read_labelled
from lammps_les.training.config import RunConfig
from lammps_les.training.parts import read_data
from lammps_les.training.preparation import prepare


def labelled(atoms: Atoms, energy: float = -8.0, force: float = 0.0) -> Atoms:
    atoms = atoms.copy()
    forces = np.full((len(atoms), 3), force)
    atoms.calc = SinglePointCalculator(atoms, energy=energy, forces=forces)
    return atoms


def broken(name: str) -> Atoms:
    atoms = labelled(waters("triclinic", 1, 1))
    match name:
        case "force":
            return labelled(atoms, force=1e4)
        case "nan":
            return labelled(atoms, energy=float("nan"))
        case "position":
            atoms.positions[0, 0] = np.nan
        case "far":
            atoms.positions[0, 0] = 1e20
        case "apart":
            atoms.cell, atoms.pbc = None, False
            atoms.positions[0, 0] = 1e5
        case "one place":
            atoms.positions[1] = atoms.positions[0]
        case "near":
            atoms.positions[1] = atoms.positions[0] + [0.0, 0.0, 0.3]
        case "own image":
            atoms = labelled(Atoms("Fe", cell=[0.5, 8.0, 8.0], pbc=True))
        case "dense":
            atoms.cell = np.eye(3) * 0.5
        case "flat":
            atoms.cell = np.diag([1e-3, 9.0, 9.0])
        case "large":
            atoms.cell = np.eye(3) * 1e6
        case "cell of nan":
            atoms.cell = np.diag([np.nan, 9.0, 9.0])
        case "energy":
            return labelled(atoms, energy=1e300)
        case "charge":
            atoms.info["charge"] = 11.0
        case "stress":
            atoms.info["stress"] = np.full(6, 1e30)
        case "slab":
            atoms.pbc = [True, True, False]
        case "cell":
            atoms.cell = None
            atoms.pbc = True
        case "shape":
            atoms.arrays["BEC"] = np.zeros((3, 6))
        case "element":
            atoms.numbers[0] = 0
    return atoms


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("force", r"a force component is 1e\+04 eV/A, more than data.max_force \(100\)"),
        ("nan", "energy holds a value that is not finite"),
        ("position", "the position of atom 0 is nan .* A; expected finite numbers up to"),
        ("far", r"the position of atom 0 is 1e\+20 .* A; expected finite numbers up to 1e\+06"),
        ("apart", r"the atoms of an open structure reach over 1e\+05 A; expected up to 10000 A"),
        (
            "one place",
            r"atom 0 \(O\) and atom 1 \(H\) are 0 A apart; expected at least 0.388 A, 0.4 times "
            "the sum of their covalent radii; take the frame out, or lower data.min_distance if",
        ),
        ("near", r"atom 0 \(O\) and atom 1 \(H\) are 0.3 A apart"),
        ("own image", r"atom 0 \(Fe\) and its own image are 0.5 A apart; expected at least 1.06 A"),
        ("dense", r"a cell of 0.125 A\^3 for 3 atoms; expected at least 0.2 A\^3 an atom"),
        ("flat", "opposite faces of the cell are 0.001 9 9 A apart; expected at least 0.1 A"),
        ("large", r"cell vectors of 1e\+06 1e\+06 1e\+06 A; expected lengths up to 10000 A"),
        ("cell of nan", "the cell is nan 0 0 .* A; expected finite numbers"),
        ("energy", r"energy of 1e\+300 eV; expected at most 3e\+07: take the frame out, or"),
        ("charge", "total charge of 11 e; expected at most 10: take the frame out"),
        ("stress", r"stress of 1e\+30 eV/A\^3; expected at most 1e\+06"),
        ("slab", "expected all periodic or all open"),
        ("cell", "no cell of three lattice vectors"),
        ("shape", "label 'BEC': expected born_effective_charges of shape"),
        ("element", "no known element"),
    ],
)
def test_a_broken_structure_is_refused_with_file_and_frame(tmp_path, name, message):
    path = tmp_path / ("data.traj" if name in ("cell", "cell of nan") else "data.xyz")
    write(path, [labelled(waters("triclinic", 1, 2)), broken(name)])
    with pytest.raises(ValueError, match=rf"data\.\w+, frame 1: .*{message}"):
        read_labelled(path)


def test_atoms_that_are_meant_to_be_near_may_be(tmp_path):
    """Hydrogen under pressure; what a repulsive wall is learned from, where that is asked for."""
    dense = Atoms("H2", [[0, 0, 0], [0, 0, 0.3]], cell=[1.4, 1.4, 1.4], pbc=True)
    wall = Atoms("Si2", [[0, 0, 0], [0, 0, 0.5]])
    write(tmp_path / "data.xyz", [labelled(dense), labelled(wall)])
    assert len(read_labelled(tmp_path / "data.xyz", min_distance=0.2)) == 2
    with pytest.raises(ValueError, match=r"frame 1: atom 0 \(Si\) and .* are 0.5 A apart"):
        read_labelled(tmp_path / "data.xyz")


def test_a_total_charge_may_be_rounded(tmp_path):
    proton = Atoms("H", info={"charge": 1.0000001})
    write(tmp_path / "data.xyz", labelled(proton))
    (found,) = read_labelled(tmp_path / "data.xyz")
    assert found.total_charge == pytest.approx(1.0)


def test_the_frame_that_is_named_is_that_of_the_file(tmp_path):
    path = tmp_path / "data.xyz"
    good = labelled(waters("triclinic", 1, 2))
    write(path, [good, good, good, good, broken("nan"), good])
    for frames in ("::2", "4:", ":5", "-3:", "::-1", "-2", "4"):
        with pytest.raises(ValueError, match=r"data\.xyz, frame 4: label 'energy': energy holds"):
            read_labelled(path, index=frames)
    found = {
        frames: [s.where.split()[-1] for s in read_labelled(path, index=frames)]
        for frames in ("1:4:2", "-1", "-1:", "3::-1")
    }
    assert found == {"1:4:2": ["1", "3"], "-1": ["5"], "-1:": ["5"], "3::-1": ["3", "2", "1", "0"]}


def test_labels_that_mean_nothing_under_the_boundaries_are_passed_over(tmp_path):
    structures = []
    for kind in ("triclinic", "open"):
        atoms = labelled(waters(kind, 1, 1))
        atoms.info |= {"stress": np.ones(6), "dipole": np.ones(3), "quadrupole": np.eye(3)}
        structures.append(atoms)
    write(tmp_path / "data.xyz", structures)
    periodic, open_one = (set(s.labels) for s in read_labelled(tmp_path / "data.xyz"))
    assert periodic == {"energy", "forces", "stress"}
    assert open_one == {"energy", "forces", "dipole", "quadrupole"}


def test_files_that_cannot_be_used_are_refused(tmp_path):
    with pytest.raises(ValueError, match="does not exist"):
        read_labelled(tmp_path / "none.xyz")
    (tmp_path / "text.xyz").write_text("hello")
    with pytest.raises(ValueError, match="cannot be read as structures"):
        read_labelled(tmp_path / "text.xyz")


def test_unknown_elements_are_refused_with_file_and_frame():
    structure = Labelled(waters("open", 1, 1), {}, 1.0, "x.xyz, frame 7")
    with pytest.raises(ValueError, match=r"x.xyz, frame 7: element H is not .* O Si"):
        check_species([structure], ["O", "Si"])


def test_parts_are_apart_and_repeat():
    parts = split_by_fraction(42, 8, 0.1, seed=1)
    assert [len(part) for part in parts] == [30, 8, 4]
    assert sorted(sum(parts, [])) == list(range(42))
    assert split_by_fraction(42, 8, 0.1, seed=1) == parts
    assert split_by_fraction(42, 8, 0.1, seed=2) != parts
    with pytest.raises(ValueError, match="at least one each"):
        split_by_fraction(2, 1, 1, 1)
    with pytest.raises(ValueError, match="index 3 stands in the split twice"):
        check_indices(5, ([0, 3], [3], []))
    with pytest.raises(ValueError, match="index 5, but there are 5"):
        check_indices(5, ([0], [5], []))


def test_atomic_energies_of_one_composition_have_least_norm():
    def structure(atoms: Atoms, energy: float) -> Labelled:
        return Labelled(atoms, {"energy": np.array(energy)}, 1.0, "test")

    two = [structure(waters("open", n, n), -10.0 * n) for n in (1, 2)]
    assert fit_atomic_energies(two, ["H", "O"]) == pytest.approx({"H": -4.0, "O": -2.0})
    left = fit_atomic_energies(two, ["H", "O"], [-5.0, -10.0])
    assert left == pytest.approx({"H": -2.0, "O": -1.0})
    single = [structure(Atoms("O"), -3.0), structure(Atoms("H"), -1.0)]
    apart = structure(Atoms("OO", [[0, 0, 0], [9, 0, 0]]), -7.0)
    found = isolated_atomic_energies([*two, *single, apart], ["H", "O"], 3.0)
    assert found == {"H": -1.0, "O": -3.0}
    with pytest.raises(ValueError, match="no structure .* is an isolated atom of O"):
        isolated_atomic_energies(single[1:], ["H", "O"], 3.0)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write(tmp_path / "a.xyz", [labelled(waters("triclinic", 1, s)) for s in range(6)])
    write(tmp_path / "b.xyz", [labelled(waters("open", 2, s)) for s in range(3)])
    return tmp_path


def test_files_have_their_weight_and_their_part(folder):
    config = RunConfig.model_validate(
        {
            "data": {
                "files": [
                    {"path": "a.xyz", "weight": 2.0},
                    {"path": "b.xyz", "part": "test"},
                    {"path": "b.xyz", "part": "training", "frames": ":1"},
                ],
                "split": {"validation": [1], "test": [0], "training": [2, 3, 4]},
            }
        }
    )
    parts = read_data(config, folder)
    frames = {name: [s.where.rsplit("/")[-1] for s in part] for name, part in parts.items()}
    assert frames == {
        "training": ["b.xyz, frame 0", "a.xyz, frame 2", "a.xyz, frame 3", "a.xyz, frame 4"],
        "validation": ["a.xyz, frame 1"],
        "test": ["b.xyz, frame 0", "b.xyz, frame 1", "b.xyz, frame 2", "a.xyz, frame 0"],
    }
    assert [s.weight for s in parts["training"]] == [1.0, 2.0, 2.0, 2.0]


def test_own_validation_file_leaves_the_rest_for_training(folder):
    files = [{"path": "a.xyz"}, {"path": "b.xyz", "part": "validation"}]
    for test, expected in ((0, [6, 3, 0]), (2, [4, 3, 2])):
        data = {"files": files, "split": {"test": test}}
        parts = read_data(RunConfig.model_validate({"data": data}), folder)
        assert [len(part) for part in parts.values()] == expected


def test_a_share_that_rounds_to_nothing_takes_nothing(folder):
    files = [{"path": "a.xyz", "frames": ":4"}, {"path": "b.xyz", "part": "validation"}]
    parts = read_data(RunConfig.model_validate({"data": {"files": files}}), folder)
    assert [len(part) for part in parts.values()] == [4, 3, 0]


def test_a_weight_without_labels_is_refused(folder):
    config = RunConfig.model_validate(
        {
            "data": {"files": [{"path": "a.xyz"}]},
            "loss": {"weights": {"born_effective_charges": 1.0}},
        }
    )
    with pytest.raises(ValueError, match="no structure for training has a label for it"):
        prepare(config, folder)

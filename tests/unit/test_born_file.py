"""BORN files as phonopy reads them: LO-TO splitting of rock salt, order of indices, symmetry."""

from pathlib import Path

import ase.io
import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from phonopy import Phonopy
from phonopy.file_IO import parse_BORN
from phonopy.structure.atoms import PhonopyAtoms
from scipy import constants
from test_cli import run

from lammps_les.analysis.born_file import born_file, independent_atoms
from lammps_les.calculators import LesCalculator

COULOMB = constants.e / (4.0 * np.pi * constants.epsilon_0) * 1e10  # eV A/e^2


def for_phonopy(atoms: Atoms) -> PhonopyAtoms:
    return PhonopyAtoms(
        symbols=list(atoms.symbols),
        cell=atoms.cell.array,
        scaled_positions=atoms.get_scaled_positions(),
    )


@pytest.mark.parametrize("cubic", [True, False])
def test_rock_salt_splits_as_the_charges_say(toy_model, tmp_path: Path, cubic: bool) -> None:
    """Ions of 1 e, epsilon_inf 2.25, Z = 1.5; without the file all three optical modes are one.

    omega^2 of LO less that of TO is 4 pi e^2 Z^2/(4 pi epsilon_0 epsilon_inf V mu).
    """
    atoms = bulk("NaCl", "rocksalt", a=5.64, cubic=cubic)
    ase.io.write(tmp_path / "POSCAR", atoms)
    code, text = run(
        "born", toy_model("ions"), tmp_path / "POSCAR", "-o", tmp_path / "BORN",
        "--epsilon-inf", "2.25",
    )  # fmt: skip
    assert code == 0, text
    assert "BORN: 2 of " in text
    matrix = np.eye(3) if not cubic else "F"
    phonon = Phonopy(for_phonopy(atoms), 2 * np.eye(3), primitive_matrix=matrix)
    phonon.generate_displacements(distance=0.01)
    calculator = LesCalculator(toy_model("ions"), epsilon_inf=2.25)
    forces = []
    for cell in phonon.supercells_with_displacements:
        moved = Atoms(cell.symbols, cell.positions, cell=cell.cell, pbc=True)
        forces.append(calculator.get_property("forces", moved))
    phonon.forces = forces
    phonon.produce_force_constants()
    phonon.symmetrize_force_constants()
    direction = [1, 0, 0]
    assert np.ptp(optical_modes(phonon, direction)) < 1e-6
    phonon.nac_params = parse_BORN(phonon.primitive, filename=str(tmp_path / "BORN"))
    assert phonon.nac_params["born"][0, 0, 0] == pytest.approx(1.5)
    optical = optical_modes(phonon, direction)
    masses = phonon.primitive.masses
    reduced = masses[0] * masses[1] / masses.sum()
    split = 4.0 * np.pi * COULOMB * 1.5**2 / (2.25 * phonon.primitive.volume * reduced)
    assert optical[2] - optical[1] == pytest.approx(split, rel=1e-4)
    assert optical[1] - optical[0] == pytest.approx(0.0, abs=1e-6)


def optical_modes(phonon: Phonopy, direction: list[float]) -> np.ndarray:
    """Squares of frequencies at q = 0 from a direction, eV/(A^2 u), ascending.

    The three that are nearly zero are left out; others may be negative, since ions without
    repulsion are not stable.
    """
    matrix = phonon.dynamical_matrix
    if phonon.nac_params is None:
        matrix.run([0, 0, 0])
    else:
        matrix.run([0, 0, 0], q_direction=direction)
    values = np.linalg.eigvalsh(matrix.dynamical_matrix)
    return np.sort(values[np.argsort(np.abs(values))[3:]])


def test_first_index_is_that_of_the_polarization(tmp_path: Path) -> None:
    """The term that phonopy adds at q = 0, for tensors without symmetry in a triclinic cell."""
    rng = np.random.default_rng(0)
    cell = np.array([[4.0, 0, 0], [0.7, 4.5, 0], [-0.4, 0.9, 5.0]])
    atoms = Atoms("OHH", rng.random((3, 3)) @ cell, cell=cell, pbc=True)
    charges = rng.normal(size=(3, 3, 3))
    charges -= charges.mean(axis=0)
    epsilon = np.array([[2.0, 0.1, 0.2], [0.1, 1.7, 0.0], [0.2, 0.0, 1.9]])
    (tmp_path / "BORN").write_text(born_file(atoms, charges, epsilon))
    phonon = Phonopy(for_phonopy(atoms), np.eye(3), primitive_matrix=np.eye(3))
    phonon.force_constants = np.zeros((3, 3, 3, 3))
    read = parse_BORN(phonon.primitive, filename=str(tmp_path / "BORN"))
    np.testing.assert_allclose(read["born"], charges, atol=1e-7)
    phonon.nac_params = {**read, "method": "wang"}
    fractional = np.array([1.0, 2.0, -1.0])
    phonon.dynamical_matrix.run([0, 0, 0], q_direction=fractional)
    q = np.linalg.inv(cell) @ fractional
    along = np.einsum("a,iab->ib", q, charges).ravel()
    masses = np.repeat(phonon.primitive.masses, 3)
    expected = 4.0 * np.pi * COULOMB / (atoms.get_volume() * (q @ epsilon @ q))
    expected *= np.outer(along, along) / np.sqrt(np.outer(masses, masses))
    found = phonon.dynamical_matrix.dynamical_matrix
    np.testing.assert_allclose(found, expected, atol=1e-6 * np.abs(expected).max())


@pytest.mark.parametrize(
    "atoms",
    [
        bulk("NaCl", "rocksalt", a=5.64),
        bulk("NaCl", "rocksalt", a=5.64, cubic=True),
        bulk("ZnS", "wurtzite", a=3.82, c=6.26),
        bulk("CsCl", "cesiumchloride", a=4.1).repeat((2, 1, 1)),
        Atoms("BaTiO3", [[0, 0, 0], [2, 2, 2], [2, 2, 0], [2, 0, 2], [0, 2, 2]],
              cell=[4, 4, 4], pbc=1),
        Atoms("PbTiO3", [[0, 0, 0], [2, 2, 2.2], [2, 2, 0.3], [2, 0, 2.4], [0, 2, 2.4]],
              cell=[4, 4, 4.2], pbc=1),
        Atoms("OH2OH2", np.random.default_rng(1).random((6, 3)) * 5, cell=[5, 6, 7], pbc=1),
    ],
    ids=["rocksalt", "conventional", "wurtzite", "repeated", "perovskite", "tetragonal", "none"],
)  # fmt: skip
def test_independent_atoms_are_those_of_phonopy(atoms: Atoms) -> None:
    """Also in a cell that is not reduced, left-handed, and turned."""
    phonon = Phonopy(for_phonopy(atoms), np.eye(3), primitive_matrix=np.eye(3))
    expected = phonon.symmetry.get_independent_atoms()
    assert independent_atoms(atoms).tolist() == list(expected)
    turned = atoms.copy()
    turned.rotate(37.0, (1, 2, 3), rotate_cell=True)
    longer = np.array([[1, 2, 0], [0, 1, 3], [0, 0, -1]]) @ turned.cell.array
    turned.set_cell(longer)
    turned.wrap()
    assert independent_atoms(turned).tolist() == list(expected)


def test_sum_and_structures_that_are_no_crystals(toy_model, tmp_path: Path) -> None:
    atoms = bulk("NaCl", "rocksalt", a=5.64)
    charges = np.array([1.1, -0.9])[:, None, None] * np.eye(3)
    rows = [line.split() for line in born_file(atoms, charges, 2.0).splitlines()]
    assert [float(rows[n][0]) for n in range(4)] == [14.399652, 2.0, 1.0, -1.0]
    assert born_file(atoms, charges, 2.0, keep_sum=True).splitlines()[2].startswith("1.1000")
    atoms.pbc = False
    with pytest.raises(ValueError, match="expected a crystal, periodic in all directions"):
        born_file(atoms, charges, 2.0)
    ase.io.write(tmp_path / "two.xyz", [bulk("NaCl", "rocksalt", a=5.64)] * 2)
    code, text = run("born", toy_model("ions"), tmp_path / "two.xyz")
    assert code == 1
    assert "two.xyz has 2 structures; expected one unit cell" in text

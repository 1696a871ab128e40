"""Dipoles, quadrupoles and total charges of molecules by `lammps-les evaluate`."""

import ase.io
import numpy as np
import pytest
from ase import Atoms
from test_evaluate import CELL, run, table

from lammps_les.analysis.comparison import compare
from lammps_les.analysis.moments import molecular_moments
from lammps_les.calculators import LesCalculator
from lammps_les.data.labels import label
from lammps_les.keys import DIPOLE, QUADRUPOLE


def test_moments_of_three_charges():
    """Masses 16, 1, 1: the center of mass lies at x = -0.5 + 1/18 (1 + 2)."""
    atoms = Atoms("OHH", [[-0.5, 0, 0], [0.5, 0, 0], [-0.5, 2.0, 0]])
    atoms.set_masses([16.0, 1.0, 1.0])
    center = np.array([-0.5 + 1 / 18, 2 / 18, 0.0])
    found = molecular_moments(atoms, np.array([-0.7, 0.4, 0.2]), 0.2)  # 0.1 e each are missing
    d = atoms.positions - center
    dipole = -0.6 * d[0] + 0.5 * d[1] + 0.3 * d[2]
    np.testing.assert_allclose(found.dipole, dipole, atol=1e-12)
    xx = -0.6 * d[0, 0] ** 2 + 0.5 * d[1, 0] ** 2 + 0.3 * d[2, 0] ** 2
    yy = -0.6 * d[0, 1] ** 2 + 0.5 * d[1, 1] ** 2 + 0.3 * d[2, 1] ** 2
    assert found.quadrupole[0, 0] == pytest.approx((2 * xx - yy) / 3, abs=1e-12)
    assert np.trace(found.quadrupole) == pytest.approx(0.0, abs=1e-12)
    # a neutral dipole of two charges does not depend on the origin
    pair = Atoms("OH", [[5, 5, 5], [5, 5, 6]])
    np.testing.assert_allclose(
        molecular_moments(pair, np.array([-0.5, 0.5])).dipole, [0, 0, 0.5], atol=1e-12
    )


@pytest.mark.parametrize(
    ("name", "label", "charge"),
    [("linear", 1.0, 1.0), ("linear", None, 0.0), ("total_charge", None, 1.0)],
)
def test_moments_are_those_of_the_total_charge_of_the_label_else_of_the_model(
    toy_model, name, label, charge
):
    atoms = Atoms("OHH", np.random.default_rng(0).random((3, 3)) * 3.0)
    calculator = LesCalculator(toy_model(name))
    charges = calculator.get_charges(atoms)
    expected = molecular_moments(atoms, charges, charge)
    other = molecular_moments(atoms, charges, charge - 1.0)
    assert np.abs(expected.dipole - other.dipole).max() > 0.1
    if label is not None:
        atoms.info["total_charge"] = label
    found = compare(calculator, [atoms]).predicted[0]
    np.testing.assert_allclose(found["dipole"], expected.dipole, atol=1e-10)
    np.testing.assert_allclose(found["quadrupole"], expected.quadrupole, atol=1e-10)


def test_moments_and_total_charge_put_in_come_out(tmp_path, toy_model):
    """Labels off by 0.25 e A, by 0.5 e A^2 (and any trace) and by 2 e; none where periodic."""
    calculator = LesCalculator(toy_model("total_charge"))
    structures = []
    for seed in range(3):
        atoms = Atoms("OHH", np.random.default_rng(seed).random((3, 3)) * 3.0, cell=CELL)
        charges = calculator.get_charges(atoms)
        moments = molecular_moments(atoms, charges, 1.0)
        atoms.info |= {
            "mu": moments.dipole + 0.25,
            "quadrupole": moments.quadrupole + 0.5 - 0.5 * np.eye(3) + 7.0 * np.eye(3),
            "charge": 1.0 if seed else -1.0,
        }
        structures.append(atoms)
    # the first has another charge: its moments are those of other charges
    for name in ("mu", "quadrupole"):
        del structures[0].info[name]
    structures.append(structures[2].copy())
    structures[3].pbc = True
    ase.io.write(tmp_path / "data.xyz", structures, format="extxyz")
    code, text = run(
        toy_model("total_charge"), tmp_path / "data.xyz", "-o", tmp_path / "a", "--dipole-key", "mu"
    )
    assert code == 0
    rows = table(text)
    assert list(rows) == ["dipole", "quadrupole", "total charge"]
    assert rows["dipole"][:3] == pytest.approx([6, 0.25, 0.25], abs=1e-6)
    assert rows["quadrupole"][:3] == pytest.approx([18, 0.5 * (2 / 3) ** 0.5, 1 / 3], abs=1e-4)
    assert rows["total charge"][:3] == pytest.approx([4, 1.0, 0.5], abs=1e-4)
    assert "for a total charge of 1 e; 1 structure(s) have another" in " ".join(text.split())
    predicted = ase.io.read(tmp_path / "a-predictions.xyz", ":")
    np.testing.assert_allclose(predicted[1].get_dipole_moment() + 0.25, structures[1].info["mu"])
    assert predicted[1].info["total_charge"] == pytest.approx(1.0)
    assert "quadrupole" not in predicted[3].info


def test_dipole_and_quadrupole_of_dipeptides_have_the_convention_of_the_labels(shared):
    """The partial charges of the data set give the labels, within what point charges can do.

    About the center of mass better than about the mean position, and in this sign and scale.
    """
    errors = {"here": [], "mean position": []}
    slope = []
    for atoms in ase.io.read(shared / "data" / "dipeptides_val_bec.xyz", ":"):
        reference = label(atoms, QUADRUPOLE)
        found = molecular_moments(atoms, atoms.arrays["mbi_charges"].ravel())
        slope.append([(found.quadrupole * reference).sum(), (reference**2).sum()])
        errors["here"].append(found.quadrupole - reference)
        atoms.set_masses(np.ones(len(atoms)))
        other = molecular_moments(atoms, atoms.arrays["mbi_charges"].ravel())
        errors["mean position"].append(other.quadrupole - reference)
        np.testing.assert_allclose(found.dipole, label(atoms, DIPOLE), atol=0.35)
    assert np.divide(*np.sum(slope, axis=0)) == pytest.approx(1.0, abs=0.1)
    assert np.abs(errors["here"]).mean() < np.abs(errors["mean position"]).mean()

"""Slabs in the ASE calculator: derivatives by finite differences."""

import numpy as np
import pytest
from ase import Atoms

from lammps_les.calculators import LesCalculator
from lammps_les.calculators.ase import CalculatorSetupError


def slab() -> Atoms:
    random = np.random.default_rng(5)
    positions = np.array([[x, y, z] for x in (0, 3) for y in (0, 3) for z in (0, 2.5, 5)], float)
    positions += random.uniform(-0.5, 0.5, positions.shape)
    cell = [[6.2, 0, 0], [0.7, 5.9, 0], [0, 0, 7.0]]
    return Atoms("HOH" * 4, positions, cell=cell, pbc=[True, True, False])


def polarization_along_normal(atoms: Atoms) -> float:
    charges = atoms.calc.get_property("charges", atoms)
    return float((charges - charges.mean()) @ atoms.positions[:, 2])


@pytest.mark.parametrize("name", ["linear", "two_layers", "deep"])
def test_forces_and_born_charges_along_the_normal(toy_model, name):
    """In the phase form, P along the normal is the sum of charges by heights, less their mean."""
    atoms = slab()
    atoms.calc = LesCalculator(toy_model(name), bec="phase")
    forces = atoms.get_forces()
    born = atoms.calc.get_property("born_effective_charges", atoms)
    factor = np.sqrt(float(atoms.calc.metadata.response.epsilon_inf))
    h = 1e-4
    for i, b in ((0, 2), (4, 0), (7, 1)):
        energies, polarizations = [], []
        for step in (h, -h):
            moved = atoms.copy()
            moved.calc = atoms.calc
            moved.positions[i, b] += step
            energies.append(moved.get_potential_energy())
            polarizations.append(polarization_along_normal(moved))
        assert forces[i, b] == pytest.approx((energies[1] - energies[0]) / (2 * h), abs=1e-6)
        slope = factor * (polarizations[0] - polarizations[1]) / (2 * h)
        assert born[i, 2, b] == pytest.approx(slope, abs=1e-6)


@pytest.mark.parametrize("form", ["local", "phase"])
@pytest.mark.parametrize("name", ["linear", "two_layers"])
def test_in_the_plane_it_is_as_in_a_periodic_cell(toy_model, name, form):
    atoms = slab()
    atoms.cell[2, 2] = 40.0
    calculator = LesCalculator(toy_model(name), bec=form)
    rows = []
    for pbc in (True, [True, True, False]):
        atoms.pbc = pbc
        rows.append(calculator.get_property("born_effective_charges", atoms)[:, :2])
    np.testing.assert_allclose(rows[1], rows[0], rtol=0, atol=1e-9)


def test_stress_is_that_of_the_strained_slab(toy_model):
    atoms = slab()
    atoms.calc = LesCalculator(toy_model("linear"), reference_cell=atoms.cell.array)
    stress = atoms.get_stress(voigt=False) * atoms.get_volume()
    h = 1e-5
    for a, b in ((0, 0), (0, 1), (2, 2)):
        energies = []
        for step in (h, -h):
            strain = np.eye(3)
            strain[a, b] += 0.5 * step
            strain[b, a] += 0.5 * step
            moved = atoms.copy()
            moved.calc = atoms.calc
            moved.set_cell(atoms.cell.array @ strain, scale_atoms=True)
            energies.append(moved.get_potential_energy())
        assert stress[a, b] == pytest.approx((energies[0] - energies[1]) / (2 * h), abs=1e-5)


def test_what_no_slab_is_is_refused(toy_model):
    atoms = slab()
    atoms.calc = LesCalculator(toy_model("linear"))
    atoms.cell[2, 2] = 3.0
    with pytest.raises(CalculatorSetupError, match="the atoms of a slab reach over"):
        atoms.get_forces()
    atoms.cell[2] = [1.0, 0.0, 8.0]
    with pytest.raises(Exception, match="must be normal to the other two"):
        atoms.get_forces()

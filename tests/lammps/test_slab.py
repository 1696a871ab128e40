"""Slabs, boundary p p f: forces and Born effective charges, on any number of ranks."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from ase import Atoms
from lmp import run

from lammps_les.calculators import LesCalculator

BORDER = "boundary p p f"


def slab(water: Callable[..., Atoms]) -> Atoms:
    """Waters under a free surface; atoms beyond the walls' reach of each other's images."""
    atoms = water(2)
    low, high = atoms.positions[:, 2].min(), atoms.positions[:, 2].max()
    cell = atoms.cell.array.copy()
    cell[2, 2] = high - low + 2.0
    atoms.set_cell(cell)
    atoms.positions[:, 2] += 1.0 - low
    atoms.pbc = [True, True, False]
    return atoms


@pytest.mark.parametrize("form", ["local", "phase"])
@pytest.mark.parametrize("name", ["linear", "two_layers", "wrapped"])
@pytest.mark.parametrize("ranks", [1, 2, 4])
def test_lammps_gives_what_the_calculator_gives(
    name: str,
    form: str,
    ranks: int,
    toy_model: Callable[..., Path],
    water: Callable[..., Atoms],
    tmp_path: Path,
) -> None:
    atoms = slab(water)
    model = toy_model(name)
    style = f"bec {form}" + (" kspace mesh accuracy 1e-7" if ranks == 4 else "")
    result = run(tmp_path, atoms, model, ranks=ranks, boundary="p p f", style=style)
    atoms.calc = LesCalculator(model, bec=form)
    tolerance = 1e-6 if ranks == 4 else 1e-9
    assert result.energy == pytest.approx(atoms.get_potential_energy(), rel=tolerance)
    for found, expected in (
        (result.forces, atoms.get_forces()),
        (result.stress, atoms.get_stress(voigt=False)),
        (result.bec, atoms.calc.get_property("born_effective_charges", atoms)),
    ):
        np.testing.assert_allclose(found, expected, rtol=0, atol=tolerance * np.abs(expected).max())


def test_the_height_of_the_box_does_not_matter(
    toy_model: Callable[..., Path], water: Callable[..., Atoms], tmp_path: Path
) -> None:
    """With walls further away, and atoms elsewhere between them; without the correction it does."""
    atoms = slab(water)
    found = {}
    for boundary in ("p p f", "p p p"):
        forces = []
        for height in (30.0, 90.0):
            atoms.cell[2, 2] = height
            atoms.positions[:, 2] += 3.0
            atoms.pbc = True if boundary == "p p p" else [True, True, False]
            folder = tmp_path / f"{boundary} {height}".replace(" ", "_")
            forces.append(run(folder, atoms, toy_model("linear"), boundary=boundary).forces)
        found[boundary] = np.abs(forces[1] - forces[0]).max()
    assert found["p p f"] < 1e-3
    assert found["p p p"] > 10.0 * found["p p f"]


@pytest.mark.parametrize("boundary", ["p p s", "p p m", "p f f", "f p p"])
def test_other_mixtures_are_refused(
    boundary: str, toy_model: Callable[..., Path], water: Callable[..., Atoms], tmp_path: Path
) -> None:
    result = run(tmp_path, slab(water), toy_model("linear"), boundary=boundary, check=False)
    assert result.returncode != 0
    expected = "a slab needs walls that stay" if boundary[:3] == "p p" else "boundaries must be"
    assert expected in result.log

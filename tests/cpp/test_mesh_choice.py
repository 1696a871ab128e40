"""What a run sets up reaches its accuracy: measured against the direct sum, in many systems."""

import re
from collections.abc import Callable
from pathlib import Path

import ase.io
import numpy as np
import pytest
import torch
from ase import Atoms
from ase.build import bulk, molecule

from lammps_les import _core

ACCURACIES = [1e-3, 1e-4, 1e-5, 1e-6]
MODELS = [(1.0, 2.0), (0.8, 2.0), (1.5, 2.0), (1.0, 1.5), (1.0, 3.0)]  # sigma, dl
TILTS = np.array([[1.0, 0.0, 0.0], [0.35, 0.94, 0.0], [-0.3, 0.25, 0.92]])
NORM = 90.4756

Case = tuple[np.ndarray, np.ndarray, np.ndarray]  # positions, charges [n, channels], cell
Charges = dict[str, float]


def charged(atoms: Atoms, rng: np.random.Generator, charges: Charges, noise: float = 0.05) -> Case:
    q = np.array([charges[s] for s in atoms.symbols]) + noise * rng.normal(size=len(atoms))
    return atoms.positions, (q - q.mean())[:, None], atoms.cell.array


def ions(rng: np.random.Generator, cell: np.ndarray, n: int = 60, channels: int = 1) -> Case:
    return rng.uniform(0, 1, (n, 3)) @ cell, rng.normal(size=(n, channels)), cell


def waters(rng: np.random.Generator, n: int = 3) -> Atoms:
    """n^3 water molecules in random directions on a lattice, at the density of the liquid."""
    spacing = 3.1
    box = Atoms(cell=np.eye(3) * n * spacing, pbc=True)
    for site in np.ndindex(n, n, n):
        one = molecule("H2O")
        one.rotate(rng.uniform(0, 360), rng.normal(size=3), center="COM")
        one.translate(spacing * np.array(site) + rng.normal(0.0, 0.2, 3))
        box += one
    return box


def in_vacuum(atoms: Atoms, height: float) -> Atoms:
    atoms.set_cell([*atoms.cell.lengths()[:2], height])
    return atoms


def salt(rng: np.random.Generator, noise: float, disorder: bool = False) -> Case:
    """Rock salt with its sites on planes of any mesh that divides the cell by a multiple of six."""
    crystal = bulk("NaCl", "rocksalt", a=4.8, cubic=True).repeat(3)
    crystal.positions += rng.normal(0.0, noise, crystal.positions.shape)
    positions, q, cell = charged(crystal, rng, {"Na": 0.8, "Cl": -0.8}, noise=0.0)
    return positions, rng.permutation(q) if disorder else q, cell


WATER = {"O": -0.8, "H": 0.4}
CASES: dict[str, Callable[[np.random.Generator], Case]] = {
    "water": lambda rng: charged(waters(rng), rng, WATER),
    "water, triclinic": lambda rng: ions(rng, 11.0 * TILTS, 120),
    "slab": lambda rng: charged(in_vacuum(waters(rng), 60.0), rng, WATER),
    "molecule": lambda rng: charged(Atoms(molecule("H2O"), cell=20.0 * np.eye(3)), rng, WATER),
    "ions": lambda rng: ions(rng, 12.0 * np.eye(3)),
    "ions, left-handed": lambda rng: ions(rng, 11.0 * TILTS[[1, 0, 2]]),
    "elongated": lambda rng: ions(rng, np.diag([6.0, 8.0, 55.0])),
    "two channels": lambda rng: ions(rng, 11.0 * TILTS, channels=2),
    "crystal, disordered": lambda rng: salt(rng, 0.0, disorder=True),
    "crystal": lambda rng: salt(rng, 0.1),
}


def error_of_run(case: Case, model: tuple[float, float], accuracy: float, **mesh: float) -> str:
    """Errors of forces and fields that exceed the accuracy, with the mesh; empty if none do."""
    positions, charges, cell = (torch.tensor(x) for x in case)
    constants = {"sigma": model[0], "dl": model[1], "norm": NORM, "remove_self": True}
    exact = _core.long_range(positions, charges, cell, **constants)
    total = _core.LongRangeSum(**constants, method="mesh", accuracy=accuracy, **mesh)
    total.choose([True] * 3, cell, len(positions))
    result = total.compute(positions, charges, cell)
    errors = [
        float((mine - theirs).norm() / theirs.norm())
        for mine, theirs in (
            (result["forces"], exact["forces"]),
            (result["potential"], exact["potential"]),
        )
    ]
    assert max(errors) > 0.0
    assert result["measured"][:2] == pytest.approx(errors, rel=1e-2)
    return "" if max(errors) < accuracy else f"{errors} with {total.description()}"


@pytest.mark.parametrize("accuracy", ACCURACIES)
@pytest.mark.parametrize("case", CASES)
def test_accuracy_is_reached(case: str, accuracy: float) -> None:
    missed = {}
    for seed in range(3):
        for model in MODELS[:: 1 if seed == 0 else 4]:
            rng = np.random.default_rng(seed)
            missed[seed, model] = error_of_run(CASES[case](rng), model, accuracy)
    assert {key: text for key, text in missed.items() if text} == {}


@pytest.mark.parametrize("accuracy", ACCURACIES)
def test_the_estimate_suffices_for_liquids(accuracy: float) -> None:
    """The mesh is right from the beginning, so what measures and refines it has nothing to do."""
    for seed in range(3):
        positions, charges, cell = map(torch.tensor, CASES["water"](np.random.default_rng(seed)))
        constants = {"sigma": 1.0, "dl": 2.0, "norm": NORM, "remove_self": True}
        total = _core.LongRangeSum(**constants, method="mesh", accuracy=accuracy)
        total.choose([True] * 3, cell, len(positions))
        result = total.compute(positions, charges, cell)
        assert result["measured"][2] == 0
        assert 0.02 * accuracy < result["measured"][0]  # nor is it much too fine


@pytest.mark.parametrize("accuracy", ACCURACIES)
@pytest.mark.parametrize("name", ["liquid-64", "superionic_2gcc_2000K_bec", "sio2_pbe_bec_alpha"])
def test_accuracy_is_reached_in_structures_of_simulations(
    name: str, accuracy: float, shared: Path
) -> None:
    atoms = ase.io.read(shared / "data" / f"{name}.xyz", index=0)
    charges = {"H": 0.4, "O": -0.8, "Si": 1.6}
    case = charged(atoms, np.random.default_rng(1), charges)
    assert error_of_run(case, (1.0, 2.0), accuracy) == ""


def test_order_and_spacing_share_the_work() -> None:
    """Much vacuum asks for a wide window on a coarse mesh, many atoms for a narrow one."""

    def mesh(n_atoms: int, **given: float) -> tuple[int, int]:
        constants = {"sigma": 1.0, "dl": 2.0, "norm": NORM, "remove_self": True}
        total = _core.LongRangeSum(**constants, method="mesh", mesh_error="no", **given)
        cell = 40.0 * torch.eye(3, dtype=torch.float64)
        total.choose([True] * 3, cell, n_atoms)
        few = torch.rand(3, 3, dtype=torch.float64)
        total.compute(few, few[:, :1], cell)
        points, order = re.findall(r"mesh (\d+) .* window of (\d+)", total.description())[0]
        return int(order), int(points)

    thin, dense = mesh(50), mesh(50000)
    assert thin[0] > dense[0]
    assert thin[1] < dense[1]
    orders = [mesh(6400, accuracy=accuracy)[0] for accuracy in ACCURACIES]
    assert orders == sorted(orders)
    assert orders[0] < orders[-1]
    assert mesh(6400, order=9)[0] == 9
    coarse, fine = mesh(6400, spacing=0.9), mesh(6400, spacing=0.5)
    assert coarse[0] > fine[0]  # the order that reaches the accuracy on this mesh
    assert (coarse[1], fine[1]) == (48, 80)

"""Dipoles, quadrupoles and response in the C++ evaluator, against `forward` of the model file."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from ase.build import bulk
from torch import Tensor

from lammps_les import _core
from lammps_les.calculators.system import SystemEvaluator
from lammps_les.data.neighbors import neighbor_list
from lammps_les.model_file import load_model

TOYS = ["dipoles", "multipoles", "responding", "softened"]
CELLS = {
    "triclinic": np.array([[7.1, 0.0, 0.0], [1.3, 6.6, 0.0], [-1.2, 0.9, 6.9]]),
    "left-handed": np.array([[1.3, 6.6, 0.2], [7.1, -0.3, 0.1], [-1.2, 0.9, 6.9]]),
    "open": np.zeros((3, 3)),
}


def atoms(cell: np.ndarray, n: int = 14, seed: int = 3) -> tuple[np.ndarray, np.ndarray]:
    """Positions, some outside the cell, and species."""
    rng = np.random.default_rng(seed)
    sites = np.stack(np.meshgrid(*[np.arange(3)] * 3), -1).reshape(-1, 3)[: 2 * n : 2] / 3.0
    box = cell if cell.any() else CELLS["triclinic"]
    shift = rng.integers(-1, 2, (len(sites), 3)) if cell.any() else 0
    return (sites + rng.uniform(-0.07, 0.07, sites.shape) + shift) @ box, np.arange(len(sites)) % 2


def forward(path: Path, r: np.ndarray, species: np.ndarray, cell: np.ndarray, form: str):
    module, about = load_model(path)
    pbc = torch.full((3,), bool(cell.any()))
    edges = neighbor_list(r, cell, bool(cell.any()), about.network.cutoff)
    out = module(
        torch.tensor(r), torch.tensor(species), torch.tensor(cell), pbc, *edges, True, form
    )
    unit = about.charges.unit * torch.tensor(about.charges.sign, dtype=torch.float64)
    return {name: value.detach() for name, value in out.items()}, unit


def in_sum(values: Tensor, unit: Tensor) -> Tensor:
    """Over channels, in e."""
    return torch.einsum("nc...,c->n...", values, unit)


@pytest.mark.parametrize("form", ["local", "phase"])
@pytest.mark.parametrize("shape", CELLS)
@pytest.mark.parametrize("name", TOYS)
def test_everything(name: str, shape: str, form: str, toy_model: Callable[..., Path]) -> None:
    cell = CELLS[shape]
    r, species = atoms(cell)
    expected, unit = forward(toy_model(name), r, species, cell, form)
    evaluator = SystemEvaluator(toy_model(name), bec=form)
    found = evaluator.evaluate(r, species, cell, [bool(cell.any())] * 3, want_bec=True)

    def same(mine: Tensor, theirs: Tensor) -> None:
        torch.testing.assert_close(mine, theirs, rtol=0, atol=1e-9 * float(theirs.abs().max()))

    same(found.energies.sum(), expected["energy"])
    same(found.forces, expected["forces"])
    if cell.any():
        volume = abs(np.linalg.det(cell))
        same(-found.virial / volume, expected["stress"])
    same(found.charges, in_sum(expected["charge"], unit))
    same(found.bec, expected["bec"])
    names = {"dipole": "dipole", "quadrupole": "quadrupole", "dq": "charge_induced"}
    names["du"] = "dipole_induced"
    for mine, theirs in names.items():
        assert (mine in found.latents) == (theirs in expected)
        if mine in found.latents:
            same(found.latents[mine], in_sum(expected[theirs], unit))
    if "alpha" in expected:
        same(found.latents["alpha"], in_sum(expected["alpha"], unit**2))
        same(found.polarizability, expected["polarizability"])


@pytest.mark.parametrize("name", TOYS)
def test_one_atom_and_none(name: str, toy_model: Callable[..., Path]) -> None:
    evaluator = SystemEvaluator(toy_model(name))
    for n in (0, 1):
        r, species = np.full((n, 3), 0.3), np.zeros(n, dtype=int)
        for cell in (8.0 * np.eye(3), np.zeros((3, 3))):
            found = evaluator.evaluate(r, species, cell, [bool(cell.any())] * 3, want_bec=True)
            assert found.forces.shape == (n, 3)
            assert torch.isfinite(found.energies).all()
            assert torch.isfinite(found.bec).all()
            assert float(found.forces.abs().sum()) < 1e-12


@pytest.mark.parametrize("shape", ["triclinic", "open"])
@pytest.mark.parametrize("name", ["multipoles", "responding"])
def test_forces_of_a_field(name: str, shape: str, toy_model: Callable[..., Path]) -> None:
    """Born charges, and half of what the polarizability changes by."""
    cell = CELLS[shape]
    pbc = [bool(cell.any())] * 3
    r, species = atoms(cell)
    field = np.array([0.3, -0.2, 0.5])
    evaluator = SystemEvaluator(toy_model(name))
    found = evaluator.evaluate(r, species, cell, pbc, want_bec=True, field=field)
    excess = found.field_forces.numpy() - np.einsum("a,iab->ib", field, found.bec.numpy())
    step, largest = 1e-3, np.abs(excess).max()
    assert largest > 1e-3
    for i, b in zip(*np.nonzero(np.abs(excess) > 0.3 * largest), strict=True):
        induced = []
        for sign in (1, -1):
            moved = r.copy()
            moved[i, b] += sign * step
            alpha = evaluator.evaluate(moved, species, cell, pbc).polarizability.numpy()
            induced.append(0.5 * field @ alpha @ field)
        slope = (induced[0] - induced[1]) / (2 * step)
        assert abs(excess[i, b] - slope) < 1e-5 * largest


def test_born_charges_are_the_same_in_every_supercell(toy_model: Callable[..., Path]) -> None:
    """With dipoles, quadrupoles and alpha; of 1, 2, 4 and 8 cells."""
    cell = CELLS["triclinic"]
    r, species = atoms(cell)
    evaluator = SystemEvaluator(toy_model("multipoles"))
    single = evaluator.evaluate(r, species, cell, [True] * 3, want_bec=True).bec
    assert single is not None
    size = float(single.abs().max())
    for repeats in ((2, 1, 1), (2, 2, 1), (2, 2, 2)):
        shifts = np.stack(np.meshgrid(*[np.arange(k) for k in repeats]), -1).reshape(-1, 3) @ cell
        many = (r[None] + shifts[:, None]).reshape(-1, 3)
        kinds, box = np.tile(species, len(shifts)), cell * np.array(repeats)[:, None]
        found = evaluator.evaluate(many, kinds, box, [True] * 3, want_bec=True).bec
        assert found is not None
        torch.testing.assert_close(
            found, single.repeat(len(shifts), 1, 1), rtol=0, atol=1e-10 * size
        )


def test_waves_of_charge_beyond_the_critical_length_gain_energy(
    toy_model: Callable[..., Path],
) -> None:
    """Curvature of the longest longitudinal wave of rock salt whose ions have kappa."""
    norm, kappa_per_volume = 90.475637892602, 0.004 * np.log(2.0) * 8 / 4.0**3
    critical = 2.0 * np.pi / np.sqrt(2.0 * norm * kappa_per_volume)
    assert 16.0 < critical < 32.0
    evaluator = SystemEvaluator(toy_model("soft_ions"))

    def curvature(cells: int) -> float:
        salt = bulk("NaCl", "rocksalt", 4.0, cubic=True).repeat((cells, 1, 1))
        ion = (salt.numbers == 17).astype(int)
        wave = (1.0 - 2.0 * ion) * np.cos(2.0 * np.pi * salt.positions[:, 0] / (4.0 * cells))

        def energy(step: float) -> float:
            moved = salt.positions + step * np.outer(wave, [1.0, 0.0, 0.0])
            found = evaluator.evaluate(moved, ion, salt.cell.array, [True] * 3)
            return float(found.energies.sum())

        return (energy(0.02) + energy(-0.02) - 2.0 * energy(0.0)) / 0.02**2

    assert curvature(4) > 0.0
    assert curvature(8) < 0.0


def test_float32(toy_model: Callable[..., Path]) -> None:
    cell = CELLS["triclinic"]
    r, species = atoms(cell)
    double, single = (
        SystemEvaluator(toy_model("multipoles", dtype)).evaluate(
            r, species, cell, [True] * 3, want_bec=True
        )
        for dtype in ("float64", "float32")
    )
    for name in ("forces", "bec", "polarizability"):
        a, b = getattr(double, name), getattr(single, name)
        assert float((a - b).abs().max()) < 1e-5 * float(a.abs().max())


def test_quantities_of_atoms(toy_model: Callable[..., Path]) -> None:
    evaluator = _core.Evaluator(str(toy_model("multipoles", "float32")))
    cell = CELLS["triclinic"]
    r, species = atoms(cell)
    edge_index, shifts = neighbor_list(r, cell, True, 3.2)
    x = torch.tensor(r)
    vectors = x[edge_index[1]] - x[edge_index[0]] + shifts @ torch.tensor(cell)
    out = evaluator.evaluate(
        x, len(r), torch.tensor(species), vectors, edge_index, torch.tensor(cell)
    )
    widths = {"q": 1, "phi": 1, "dipole": 3, "quadrupole": 6, "alpha": 6, "du": 3, "field": 3}
    assert {word: values.shape for word, values in out["atoms"].items()} == {
        word: (len(r), 2, width) for word, width in widths.items()
    }
    assert all(values.dtype == torch.float64 for values in out["atoms"].values())

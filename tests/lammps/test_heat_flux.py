"""Heat flux: `compute heat/flux` with `compute centroid/stress/atom` is d/dt of sum_i r_i e_i."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from ase import Atoms, units
from generate import toy_metadata, toy_models
from heat_flux import COMPUTES, cace, centroid_virial, flux, moving, opened, skewed
from lmp import Run, run

from lammps_les.calculators import LesCalculator
from lammps_les.data.neighbors import neighbor_list
from lammps_les_export import write_model

PS = 1000.0 * units.fs
NORM = 90.475637892602  # of the toys, eV A


def derivative_of_moment(atoms: Atoms, model: Path, step: float = 3e-5) -> np.ndarray:
    """d/dt sum_i r_i e_i, eV A/ps, of the calculator's energies, along the velocities.

    Positions go along the velocities for `step` ps either way; the work of the forces on each atom
    and its velocity give the part of the kinetic energies.
    """
    atoms.calc = LesCalculator(model)
    x, v = atoms.get_positions(), atoms.get_velocities() * PS
    kinetic = 0.5 * atoms.get_masses() * (atoms.get_velocities() ** 2).sum(axis=1)
    moments = []
    for sign in (1, -1, 2, -2):
        there = atoms.copy()
        there.calc = atoms.calc
        there.positions = x + sign * step * v
        moments.append(there.positions.T @ there.get_potential_energies())
    slope = (8 * (moments[0] - moments[1]) - (moments[2] - moments[3])) / (12 * step)
    power = (atoms.get_forces() * v).sum(axis=1)
    return slope + x.T @ power + v.T @ kinetic


@pytest.mark.parametrize(
    "name",
    [
        "harmonic",
        "linear",
        "two_channels",
        "total_charge",
        "two_layers",
        "three_layers",
        "total_charge_two_layers",
    ],
)
def test_open_cluster(
    name: str, water: Callable[..., Atoms], toy_model: Callable[..., Path], tmp_path: Path
) -> None:
    atoms = moving(opened(water(2)))
    model = toy_model(name)
    _, found = flux(tmp_path, atoms, model)
    expected = derivative_of_moment(atoms, model)
    assert np.abs(found[:3] - found[3:]).max() > 1.0  # the virial part counts
    np.testing.assert_allclose(found[:3], expected, rtol=0, atol=1e-6 * np.linalg.norm(expected))


@pytest.mark.parametrize(("layers", "separate"), [(1, True), (2, False), (2, True), (3, False)])
def test_open_cluster_of_a_trained_kind(
    layers: int, separate: bool, water: Callable[..., Atoms], tmp_path: Path
) -> None:
    atoms = moving(opened(water(2)))
    model = cace(tmp_path, layers, separate)
    _, found = flux(tmp_path, atoms, model)
    expected = derivative_of_moment(atoms, model)
    assert np.abs(found[:3] - found[3:]).max() > 1.0
    np.testing.assert_allclose(found[:3], expected, rtol=0, atol=1e-6 * np.linalg.norm(expected))


def test_trajectory(
    water: Callable[..., Atoms], shipped: Callable[..., Path], tmp_path: Path
) -> None:
    """The shipped model, LAMMPS alone: difference of sum r e over two steps of NVE."""
    atoms = moving(opened(water(2)))
    step = 2e-6
    energy = "(c_ke+c_pe)"
    commands = [
        *COMPUTES,
        "fix 1 all nve",
        f"timestep {step}",
        *(f"variable m{c} atom {energy}*{c}" for c in "xyz"),
        "compute m all reduce sum v_mx v_my v_mz",
        "thermo_style custom step pe c_m[*] c_hf[*]",
        "thermo_modify format float %.17g",
        "thermo 1",
        "run 4",
    ]
    result = run(tmp_path, atoms, shipped(), commands=commands, quantities="")
    lines = [line.split() for line in result.log.splitlines()]
    rows = np.array(
        [words for words in lines if len(words) == 11 and words[0].isdigit()], dtype=float
    )
    moments, found = rows[:, 2:5], rows[2, 5:8]
    expected = (8 * (moments[3] - moments[1]) - (moments[4] - moments[0])) / (12 * step)
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-5 * np.linalg.norm(expected))
    np.testing.assert_allclose(expected, derivative_of_moment(atoms, shipped()), rtol=0.02)


@pytest.mark.parametrize("name", ["two_channels", "two_layers"])
def test_tensors_of_atoms(
    name: str, water: Callable[..., Atoms], toy_model: Callable[..., Path], tmp_path: Path
) -> None:
    """C_iab = sum_k (r_k - r_i)_a de_k/dr_ib, every atom moved along every axis."""
    atoms = opened(water(2))[:12]
    model = toy_model(name)
    flux(tmp_path, moving(atoms), model)
    np.testing.assert_allclose(
        centroid_virial(tmp_path), moved_one_by_one(atoms, model, range(12)), rtol=0, atol=2e-8
    )


def moved_one_by_one(atoms: Atoms, model: Path, which: range, step: float = 1e-3) -> np.ndarray:
    """sum_k (r_k - r_i)_a de_k/dr_ib of some atoms i, eV; nearest images in a periodic cell."""
    calculator = LesCalculator(model, reference_cell=atoms.cell.array if atoms.pbc.any() else None)
    out = np.zeros((len(which), 3, 3))
    for row, i in enumerate(which):
        away = atoms.get_distances(i, range(len(atoms)), mic=bool(atoms.pbc.any()), vector=True)
        for b in range(3):
            energies = []
            for move in (step, -step, 2 * step, -2 * step):
                there = atoms.copy()
                there.positions[i, b] += move
                there.calc = calculator
                energies.append(there.get_potential_energies())
            slope = 8 * (energies[0] - energies[1]) - (energies[2] - energies[3])
            out[row, :, b] = away.T @ slope / (12 * step)
    return out


def turned(result: Run, tensors: np.ndarray) -> np.ndarray:
    """[n, 3, 3] in the frame of the ASE structure."""
    axes = result.prism.vector_to_ase(np.eye(3))
    return np.einsum("iab,ax,by->ixy", tensors, axes, axes)


def short_range(network: str, folder: Path) -> Path:
    """A toy whose long-range energy is nothing."""
    folder.mkdir(parents=True, exist_ok=True)
    toy, changes = toy_models()[network]
    path = folder / "model.pt"
    write_model(path, toy, toy_metadata(toy, "float64", **{**changes, "norm": 1e-14}))
    return path


@pytest.mark.parametrize("name", ["harmonic", "two_layers", "three_layers"])
def test_periodic_short_range(name: str, water: Callable[..., Atoms], tmp_path: Path) -> None:
    """As in a cluster, among nearest images: the cell is larger than twice the reach."""
    atoms = moving(skewed(water(5)))
    model = short_range(name, tmp_path)
    result, _ = flux(tmp_path, atoms, model)
    expected = moved_one_by_one(atoms, model, range(0, 375, 124))
    assert np.abs(expected).max() > 0.01
    found = turned(result, centroid_virial(tmp_path))[::124]
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-8)


@pytest.mark.parametrize("kspace", ["direct", "mesh"])
@pytest.mark.parametrize("name", ["two_channels", "two_layers"])
def test_repeated_cell(
    name: str,
    kspace: str,
    water: Callable[..., Atoms],
    toy_model: Callable[..., Path],
    tmp_path: Path,
) -> None:
    """A cell smaller than twice the cutoff, against twice as many atoms in the same order."""
    atoms = moving(skewed(water(2)))
    style = f"kspace {kspace} accuracy 1e-7 order 10"
    results = []
    for name_of, structure in (("one", atoms), ("two", atoms.repeat((1, 1, 2)))):
        _, j = flux(tmp_path / name_of, structure, toy_model(name), style=style)
        results.append((j, centroid_virial(tmp_path / name_of)))
    (one, of_one), (two, of_two) = results
    close = 1e-9 if kspace == "direct" else 1e-5
    np.testing.assert_allclose(two, 2 * one, rtol=0, atol=close * np.linalg.norm(one) * 10)
    np.testing.assert_allclose(of_two, np.concatenate([of_one, of_one]), rtol=0, atol=close)


@pytest.mark.parametrize("kspace", ["direct", "mesh"])
def test_periodic_long_range_as_documented(
    kspace: str, water: Callable[..., Atoms], toy_model: Callable[..., Path], tmp_path: Path
) -> None:
    """Toy "linear": q_c = base_c + 0.02 sum_j r w(r), w = (1 - r^2/16)^3, no short-range energy."""
    atoms = moving(skewed(water(2)))
    result, _ = flux(
        tmp_path, atoms, toy_model("linear"), style=f"kspace {kspace} accuracy 1e-7 order 10"
    )
    x, cell, n = atoms.positions, atoms.cell.array, len(atoms)
    (center, neighbor), shifts = neighbor_list(x, cell, True, 4.0)
    c, j = center.numpy(), neighbor.numpy()
    r = x[j] - x[c] + shifts.numpy() @ cell
    d = np.linalg.norm(r, axis=1)
    window = 1 - d**2 / 16
    q = np.where(atoms.numbers == 8, -0.8, 0.4)
    np.add.at(q, c, 0.02 * d * window**3)
    by_edge = (0.02 * (window**3 - 6 * d * d / 16 * window**2) / d)[:, None] * r  # dq_c/dr_cj

    triples = np.array(list(np.ndindex(13, 13, 13))) - 6
    k = 2 * np.pi * triples @ np.linalg.inv(cell).T
    k2 = (k**2).sum(axis=1)
    k, k2 = k[(k2 > 0) & (k2 <= np.pi**2)], k2[(k2 > 0) & (k2 <= np.pi**2)]  # dl 2 A
    f = NORM / atoms.get_volume() * np.exp(-0.5 * k2) / k2
    wave = np.exp(1j * x @ k.T)  # [i, k]
    conjugate = (q @ wave).conj() * wave
    # the self-interaction of this toy is kept
    phi = 2 * conjugate.real @ f
    psi = -4 * conjugate.imag @ ((f * (1 / k2 + 0.5))[:, None] * k)
    shape = np.eye(3) - 2 * (1 / k2 + 0.5)[:, None, None] * k[:, :, None] * k[:, None, :]
    expected = np.einsum("i,ik,kab->iab", q, conjugate.real, f[:, None, None] * shape)
    response = phi[c, None, None] * -r[:, :, None] * by_edge[:, None, :]
    beside = 0.5 * psi[c, :, None] * by_edge[:, None, :]
    np.add.at(expected, j, response + beside)
    np.add.at(expected, c, -beside)
    assert n == 24
    assert np.abs(beside).max() > 1e-3
    accuracy = 1e-5 if kspace == "mesh" else 1e-9
    found = turned(result, centroid_virial(tmp_path))
    np.testing.assert_allclose(found, expected, rtol=0, atol=accuracy)


def test_large_cells_are_like_none(
    water: Callable[..., Atoms], shipped: Callable[..., Path], tmp_path: Path
) -> None:
    """The figures of the page: 2.1 % of the virial part in a cube of 12 A, 0.7 % in one of 24 A."""
    atoms = moving(opened(water(2)))
    _, alone = flux(tmp_path / "alone", atoms, shipped())
    errors = []
    for edge in (12.0, 24.0):
        boxed = atoms.copy()
        boxed.cell, boxed.pbc = [edge] * 3, True
        boxed.positions += 0.5 * edge - boxed.positions.mean(axis=0)
        _, found = flux(tmp_path / f"{edge}", boxed, shipped(), style="kspace direct")
        virial = alone[:3] - alone[3:]
        errors.append(np.linalg.norm(found[:3] - found[3:] - virial) / np.linalg.norm(virial))
    assert errors[0] == pytest.approx(0.021, abs=0.001)
    assert errors[1] == pytest.approx(0.007, abs=0.001)

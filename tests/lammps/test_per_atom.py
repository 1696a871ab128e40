"""Energies and virials of single atoms: the shares that docs/pair_les.md names, on all ranks."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from ase import Atoms
from lmp import Run, read_dump, run
from scipy.special import erf

from lammps_les.data.neighbors import neighbor_list

BAR = 1602176.5  # per eV/A^3, LAMMPS's constant
NORM = 90.475637892602  # of the toys, eV A
TENSOR = [(0, 0), (1, 1), (2, 2), (0, 1), (0, 2), (1, 2)]  # xx yy zz xy xz yz


def skewed(atoms: Atoms, periodic: bool) -> Atoms:
    """In a triclinic box, or in none."""
    if periodic:
        strain = np.array([[0.02, 0.0, 0.0], [0.05, -0.01, 0.0], [-0.04, 0.06, 0.01]])
        atoms.set_cell(atoms.cell.array @ (np.eye(3) + strain), scale_atoms=True)
    else:
        atoms.pbc, atoms.cell = False, None
    return atoms


def shares(
    folder: Path, atoms: Atoms, model: Path, *, ranks: int = 1, channels: int = 1, style: str = ""
) -> tuple[Run, np.ndarray, np.ndarray]:
    """Run; energies [n], eV, and virials [n, 6], eV, xx yy zz xy xz yz, in the frame of LAMMPS."""
    commands = [
        "compute e all pe/atom pair",
        "compute w all stress/atom NULL pair",
        "thermo_style custom step pe c_stress[*] vol",
        "run 0",
        "write_dump all custom shares.dump id c_e c_w[*] modify sort id format float %.17g",
        'print "VALUE vol $(vol:%.17g)"',
    ]
    result = run(
        folder, atoms, model, ranks=ranks, channels=channels, style=style, commands=commands
    )
    table = read_dump(folder / "shares.dump")
    return result, table[:, 1], -table[:, 2:] / BAR


@pytest.mark.parametrize("periodic", [True, False])
@pytest.mark.parametrize("name", ["two_channels", "two_layers"])
def test_ranks_and_sums(
    name: str,
    periodic: bool,
    water: Callable[..., Atoms],
    toy_model: Callable[..., Path],
    tmp_path: Path,
) -> None:
    atoms = skewed(water(3), periodic)
    results = {
        ranks: shares(
            tmp_path / f"{ranks}",
            atoms,
            toy_model(name),
            ranks=ranks,
            channels=2 if name == "two_channels" else 1,
        )
        for ranks in ((1, 2, 4) if name == "two_layers" else (1, 2))
    }
    _, energies, virials = results[1]
    assert np.ptp(energies) > 1e-2
    assert np.ptp(virials, axis=0).min() > 1e-2
    for result, e, w in results.values():
        np.testing.assert_allclose(e, energies, rtol=0, atol=1e-10)
        np.testing.assert_allclose(w, virials, rtol=0, atol=1e-10)
        assert e.sum() == pytest.approx(result.energy, rel=1e-12)
        pressure = [result.values[p] for p in ("pxx", "pyy", "pzz", "pxy", "pxz", "pyz")]
        total = w.sum(axis=0) * BAR / result.values["vol"]
        np.testing.assert_allclose(total, pressure, rtol=1e-9, atol=1e-6)


@pytest.mark.parametrize("kspace", ["direct", "mesh", "open"])
def test_documented_shares(
    kspace: str, water: Callable[..., Atoms], toy_model: Callable[..., Path], tmp_path: Path
) -> None:
    """Toy "linear": q_c = base_c + 0.02 sum_j r w(r), w = (1 - r^2/16)^3, no short-range energy.

    Energy 1/2 q phi; virial: of an edge, with dE/dr_cj = phi_c dq_c/dr_cj, half to either atom,
    and of the charges the share in the structure factor, or half of each pair in an open system.
    """
    periodic = kspace != "open"
    atoms = skewed(water(2), periodic)
    style = f"kspace {kspace} accuracy 1e-7 order 10" if periodic else ""
    result, energies, virials = shares(tmp_path, atoms, toy_model("linear"), style=style)
    q, phi = result.columns["q0"], result.columns["phi0"]
    accuracy = 1e-5 if kspace == "mesh" else 1e-9
    np.testing.assert_allclose(energies, 0.5 * q * phi, rtol=0, atol=accuracy)

    expected = np.zeros((len(atoms), 3, 3))
    (center, neighbor), shifts = neighbor_list(atoms.positions, atoms.cell.array, periodic, 4.0)
    r = (atoms.positions[neighbor] - atoms.positions[center]) + shifts.numpy() @ atoms.cell.array
    d = np.linalg.norm(r, axis=1)
    window = 1 - d**2 / 16
    slope = 0.02 * (window**3 - 6 * d * d / 16 * window**2)
    gradient = (phi[center] * slope / d)[:, None] * r
    for atom in (center, neighbor):
        np.add.at(expected, atom.numpy(), -0.5 * r[:, :, None] * gradient[:, None, :])

    x = atoms.positions
    if periodic:
        triples = np.array(list(np.ndindex(13, 13, 13))) - 6
        k = 2 * np.pi * triples @ np.linalg.inv(atoms.cell.array).T
        k2 = (k**2).sum(axis=1)
        k, k2 = k[(k2 > 0) & (k2 <= np.pi**2)], k2[(k2 > 0) & (k2 <= np.pi**2)]  # dl 2 A
        f = np.exp(-0.5 * k2) / k2
        wave = q[:, None] * np.exp(1j * x @ k.T)  # [i, k]
        part = (wave * wave.sum(axis=0).conj()).real * f * NORM / atoms.get_volume()
        shape = np.eye(3) - 2 * (1 / k2 + 0.5)[:, None, None] * k[:, :, None] * k[:, None, :]
        expected += np.einsum("ik,kab->iab", part, shape)
    else:
        pair = x[:, None] - x[None]  # [i, j, a]
        d = np.linalg.norm(pair, axis=2) + np.eye(len(atoms))
        slope = np.sqrt(2 / np.pi) * np.exp(-0.5 * d**2) / d - erf(d / np.sqrt(2)) / d**2
        force = -NORM / (2 * np.pi) * np.outer(q, q) * slope / d
        np.fill_diagonal(force, 0.0)
        expected += 0.5 * np.einsum("ij,ija,ijb->iab", force, pair, pair)

    turned = result.prism.tensor2_to_ase
    found = np.array(
        [
            turned(np.array([[v[0], v[3], v[4]], [v[3], v[1], v[5]], [v[4], v[5], v[2]]]))
            for v in virials
        ]
    )
    assert np.abs(expected).max() > 0.1
    np.testing.assert_allclose(found, expected, rtol=0, atol=accuracy)

"""The particle mesh: as accurate as it says, the same on all ranks, true to its energy."""

import re
from collections.abc import Callable
from pathlib import Path

import ase.io
import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from lmp import STRAINS, Run, energies, run, strained_both_ways


def errors_said(log: str) -> tuple[float, float]:
    """Relative rms errors of forces and potentials that were measured."""
    said = r"pair les: against .*: relative rms error of forces (\S+), of potentials (\S+)"
    found = re.search(said, log)
    assert found, log[-2000:]
    return float(found[1]), float(found[2])


STRAIN = np.array([[0.02, 0.05, -0.04], [0.0, -0.01, 0.06], [0.03, 0.0, 0.01]])


def published_system(name: str, shared: Path) -> tuple[str, Atoms]:
    """Checkpoint and structure: 192 or 1,536 waters' atoms, 162 or 5,184 of superionic water."""
    if name.startswith("water"):
        atoms = ase.io.read(shared / "data" / "liquid-64.xyz")
        atoms.pbc = True
        checkpoint, repeat = "cace-lr_water_v2", (2, 2, 2)
    else:
        atoms = ase.io.read(shared / "data" / "superionic_2gcc_2000K_bec.xyz", index=0)
        checkpoint, repeat = "cace-lr_superionic_ef", (4, 4, 2)
    if "large" in name:
        atoms = atoms.repeat(repeat)
    if "triclinic" in name:
        atoms.set_cell(atoms.cell.array @ (np.eye(3) + STRAIN), scale_atoms=True)
    return checkpoint, Atoms(atoms.numbers, atoms.positions, cell=atoms.cell, pbc=True)


SYSTEMS = ["water", "water triclinic", "water large", "superionic", "superionic triclinic large"]


@pytest.mark.parametrize("accuracy", [1e-3, 1e-4, 1e-5, 1e-6])
@pytest.mark.parametrize("system", SYSTEMS)
def test_accuracy(
    system: str, accuracy: float, shared: Path, published: Callable[..., Path], tmp_path: Path
) -> None:
    checkpoint, atoms = published_system(system, shared)
    style = f"kspace mesh accuracy {accuracy} mesh_error yes"
    log = run(tmp_path, atoms, published(checkpoint), style=style, quantities="").log
    forces, potentials = errors_said(log)
    assert 0.0 < forces < accuracy
    assert 0.0 < potentials < accuracy


@pytest.mark.parametrize("system", ["water triclinic", "water large"])
def test_float32(system: str, shared: Path, published: Callable[..., Path], tmp_path: Path) -> None:
    checkpoint, atoms = published_system(system, shared)
    model = published(checkpoint, "float32")
    log = run(tmp_path, atoms, model, style="kspace mesh accuracy 1e-5 mesh_error yes").log
    assert max(errors_said(log)) < 2e-5


@pytest.mark.parametrize(("dtype", "accuracy"), [("float64", 1e-5), ("float32", 1e-4)])
def test_atoms_on_planes_of_the_mesh(
    dtype: str, accuracy: float, toy_model: Callable[..., Path], tmp_path: Path
) -> None:
    """Ions disordered over the sites of a crystal, all of which lie on points of the mesh."""
    crystal = bulk("NaCl", "rocksalt", a=4.8, cubic=True).repeat(3)
    crystal.set_chemical_symbols(np.random.default_rng(2).choice(["O", "H"], len(crystal)))
    model = toy_model("constant", dtype)
    exact = run(tmp_path / "d", crystal, model, style="kspace direct", quantities="").forces
    for ranks in (1, 2):
        style = f"kspace mesh accuracy {accuracy} spacing 0.8001"
        result = run(tmp_path / f"{ranks}", crystal, model, style=style, quantities="", ranks=ranks)
        assert "mesh 18 x 18 x 18" in result.log
        error = np.linalg.norm(result.forces - exact) / np.linalg.norm(exact)
        assert error < accuracy


def assert_same(result: Run, one: Run) -> None:
    assert abs(result.energy - one.energy) < 1e-10 * abs(one.energy)
    for name in ("forces", "stress", "bec"):
        value, reference = getattr(result, name), getattr(one, name)
        np.testing.assert_allclose(value, reference, rtol=0, atol=1e-10 * np.abs(reference).max())
    np.testing.assert_allclose(result.columns["phi0"], one.columns["phi0"], rtol=0, atol=1e-10)


@pytest.mark.parametrize("shape", ["triclinic", "slab with vacuum", "unwrapped"])
@pytest.mark.parametrize("name", ["linear", "two_layers"])
def test_ranks(
    name: str,
    shape: str,
    water: Callable[..., Atoms],
    toy_model: Callable[..., Path],
    tmp_path: Path,
) -> None:
    atoms, before = water(4), []
    if shape == "slab with vacuum":  # two of four ranks stay without atoms
        atoms.set_cell(atoms.cell.array * np.array([[1.0], [1.0], [3.0]]))
        before = ["processors 1 1 4"]
    else:
        atoms.set_cell(atoms.cell.array @ (np.eye(3) + STRAIN), scale_atoms=True)
    if shape == "unwrapped":
        atoms.positions += 1000.0
    style = "kspace mesh accuracy 1e-4"
    one = run(tmp_path / "1", atoms, toy_model(name), style=style)
    for ranks, options in ((2, []), (4, before), (4, ["comm_style tiled"])):
        commands = (
            ["run 0"] if options != ["comm_style tiled"] else ["run 0", "balance 1.0 rcb", "run 0"]
        )
        result = run(
            tmp_path / f"{ranks}",
            atoms,
            toy_model(name),
            style=style,
            ranks=ranks,
            before=options,
            commands=commands,
        )
        assert_same(result, one)


def test_more_ranks_than_planes(
    water: Callable[..., Atoms], toy_model: Callable[..., Path], tmp_path: Path
) -> None:
    """16 ranks on a mesh of 12 planes: the mesh is cut into pencils."""
    style = "kspace mesh accuracy 1e-3 spacing 0.8 order 6"
    atoms = water(3)
    one = run(tmp_path / "1", atoms, toy_model("linear"), style=style)
    assert "mesh 12 x 12 x 12" in one.log
    assert_same(run(tmp_path / "16", atoms, toy_model("linear"), style=style, ranks=16), one)


def test_two_channels(
    water: Callable[..., Atoms], toy_model: Callable[..., Path], tmp_path: Path
) -> None:
    style = "kspace mesh accuracy 1e-5 mesh_error yes"
    mesh = run(tmp_path / "m", water(4), toy_model("two_channels"), style=style, channels=2)
    assert max(errors_said(mesh.log)) < 1e-5
    direct = run(tmp_path / "d", water(4), toy_model("two_channels"), channels=2)
    assert mesh.energy == pytest.approx(direct.energy, rel=1e-6)


@pytest.mark.parametrize("name", ["linear", "two_layers"])
def test_differences(
    name: str, water: Callable[..., Atoms], toy_model: Callable[..., Path], tmp_path: Path
) -> None:
    """Forces and virial are derivatives of the mesh's own energy, however coarse the mesh.

    But for one vector, the same for all atoms, that is taken off the forces to keep the momentum.
    """
    style = "kspace mesh accuracy 1e-3"
    atoms = water(3, spacing=3.19)
    atoms.set_cell(atoms.cell.array @ (np.eye(3) + STRAIN), scale_atoms=True)
    one = run(tmp_path / "f", atoms, toy_model(name), style=style)
    step = 1e-4
    moved = []
    chosen = [(i, a) for a in range(3) for i in (0, 40, 80)]
    for i, a in chosen:
        for sign in (1, -1):
            copy = atoms.copy()
            copy.positions[i, a] += sign * step
            moved.append(copy)
    moved += strained_both_ways(atoms, step)
    e = energies(tmp_path / "e", moved, toy_model(name), style=style).reshape(-1, 2)
    slopes = (e[:, 0] - e[:, 1]) / (2 * step)
    forces = np.array([one.forces[i, a] for i, a in chosen])
    removed = (-slopes[:9] - forces).reshape(3, 3)  # [component, atom]
    assert np.abs(removed).max() < 1e-3 * np.abs(forces).max()
    np.testing.assert_allclose(removed - removed[:, :1], 0.0, rtol=0, atol=2e-6)
    stress = [one.stress[a, b] for a, b in STRAINS]
    np.testing.assert_allclose(slopes[9:] / atoms.get_volume(), stress, rtol=0, atol=1e-8)


def test_momentum_and_per_atom_virial(
    water: Callable[..., Atoms], toy_model: Callable[..., Path], tmp_path: Path
) -> None:
    commands = [
        "compute w all stress/atom NULL pair",
        "compute wsum all reduce sum c_w[*]",
        "thermo_style custom step pe c_wsum[*] c_stress[*] vol",
        "run 0",
        *(f'print "VALUE w{k} $(-c_wsum[{k}]/vol:%.17g)"' for k in range(1, 7)),
    ]
    style = "kspace mesh accuracy 1e-4"
    result = run(tmp_path, water(3), toy_model("linear"), ranks=2, style=style, commands=commands)
    assert np.abs(result.forces.sum(axis=0)).max() < 1e-11
    for k, component in enumerate(["pxx", "pyy", "pzz", "pxy", "pxz", "pyz"], 1):
        assert result.values[f"w{k}"] == pytest.approx(result.values[component], rel=1e-9, abs=1e-6)


def test_auto_says_what_it_takes_and_why(
    water: Callable[..., Atoms], toy_model: Callable[..., Path], tmp_path: Path
) -> None:
    small = run(tmp_path / "s", water(2), toy_model("linear")).log
    large = run(tmp_path / "l", water(10), toy_model("linear"), quantities="").log
    assert "kspace auto takes the direct sum (estimated ms a step on one core" in small
    assert "kspace auto takes the mesh (estimated ms a step on one core" in large
    assert re.search(r"pair les: mesh \d+ x \d+ x \d+, window of 8 points", large)


def test_check_is_about_the_mesh_only(
    water: Callable[..., Atoms], toy_model: Callable[..., Path], tmp_path: Path
) -> None:
    atoms = water(2)
    atoms.pbc, atoms.cell = False, None
    log = run(tmp_path, atoms, toy_model("linear"), style="mesh_error yes").log
    assert "against the direct sum" not in log

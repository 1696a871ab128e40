"""The accuracy asked of the mesh is measured at set-up: reached, or missed with a warning."""

import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from lmp import Run, run
from test_mesh import errors_said

MISSED = "WARNING: pair les: the mesh misses the accuracy"


def true_error(mesh: Run, folder: Path, atoms: Atoms, model: Path) -> float:
    """Relative rms error of the forces of a run, against a run with the direct sum."""
    exact = run(folder, atoms, model, style="kspace direct", quantities="").forces
    return np.linalg.norm(mesh.forces - exact) / np.linalg.norm(exact)


def salt(noise: float) -> Atoms:
    """Rock salt of O and H."""
    crystal = bulk("NaCl", "rocksalt", a=4.8, cubic=True).repeat(3)
    crystal.set_chemical_symbols(["O" if s == "Na" else "H" for s in crystal.symbols])
    crystal.positions += np.random.default_rng(3).normal(0.0, noise, crystal.positions.shape)
    return crystal


@pytest.mark.parametrize("accuracy", [1e-3, 1e-5])
@pytest.mark.parametrize("height", [60.0, 200.0])
@pytest.mark.parametrize("name", ["constant", "linear"])
def test_slabs_in_vacuum(
    name: str,
    height: float,
    accuracy: float,
    water: Callable[..., Atoms],
    toy_model: Callable[..., Path],
    tmp_path: Path,
) -> None:
    """Without and with a net charge."""
    atoms, model = water(3), toy_model(name)
    atoms.set_cell([*atoms.cell.lengths()[:2], height])
    style = f"kspace mesh accuracy {accuracy}"
    result = run(tmp_path / "m", atoms, model, style=style, quantities="")
    assert max(errors_said(result.log)) < accuracy
    assert true_error(result, tmp_path / "d", atoms, model) < accuracy
    assert "WARNING: pair les: the mesh" not in result.log


@pytest.mark.parametrize("order", ["", "order 7"])
def test_crystals_refine_the_mesh(
    order: str, toy_model: Callable[..., Path], tmp_path: Path
) -> None:
    """Forces on ions near their sites are small, so the same mesh has a larger relative error."""
    atoms, model = salt(0.02), toy_model("constant")
    result = run(
        tmp_path / "m", atoms, model, style=f"kspace mesh accuracy 1e-5 {order}", quantities=""
    )
    assert "mesh refined" in result.log
    assert max(errors_said(result.log)) < 1e-5
    assert true_error(result, tmp_path / "d", atoms, model) < 1e-5
    assert MISSED not in result.log


def test_forces_that_vanish_by_symmetry(toy_model: Callable[..., Path], tmp_path: Path) -> None:
    log = run(tmp_path, salt(0.0), toy_model("constant"), style="kspace mesh", quantities="").log
    assert max(errors_said(log)) < 1e-5
    assert MISSED not in log


@pytest.mark.parametrize(
    ("style", "way_out"),
    [
        ("spacing 0.9 order 5", "leave out 'spacing', or give a smaller one or a larger order"),
        ("spacing 0.9", "leave out 'spacing', or give a smaller one or a larger order"),
        ("order 5 accuracy 1e-4", "leave out 'order', or give a larger one"),
    ],
)
def test_too_coarse_by_hand(
    style: str, way_out: str, toy_model: Callable[..., Path], tmp_path: Path
) -> None:
    atoms, model = salt(0.02), toy_model("constant")
    result = run(tmp_path / "m", atoms, model, style=f"kspace mesh {style}", quantities="")
    found = re.search(MISSED + r" of (\S+) asked for: .* forces (\S+), of .*; (.*) \(", result.log)
    assert found
    assert found[3] == way_out
    error = true_error(result, tmp_path / "d", atoms, model)
    assert float(found[1]) < error
    assert float(found[2]) == pytest.approx(error, rel=0.05)


def test_a_finer_mesh_is_the_reference_where_the_direct_sum_is_too_long(
    water: Callable[..., Atoms], toy_model: Callable[..., Path], tmp_path: Path
) -> None:
    """3,000 atoms and 113,490 wave vectors; a coarse mesh, so that all digits said can be seen."""
    atoms, model = water(10), toy_model("constant")
    atoms.set_cell([60.0, 60.0, 60.0])
    result = run(tmp_path / "m", atoms, model, style="kspace mesh accuracy 1e-3", quantities="")
    assert "against a mesh of two points more and two thirds of the spacing" in result.log
    error = true_error(result, tmp_path / "d", atoms, model)
    assert error < 1e-3
    assert errors_said(result.log)[0] == pytest.approx(error, rel=0.05)


@pytest.mark.parametrize(("height", "style"), [(0.0, "order 7"), (60.0, "spacing 0.9 order 5")])
def test_ranks_decide_alike(
    height: float, style: str, toy_model: Callable[..., Path], tmp_path: Path
) -> None:
    """A mesh that is refined, and one that misses, with two of four ranks without atoms."""
    atoms = salt(0.02)
    if height > 0.0:
        atoms.set_cell([*atoms.cell.lengths()[:2], height])
    said = []
    for ranks in (1, 2, 4):
        log = run(
            tmp_path / f"{ranks}",
            atoms,
            toy_model("constant"),
            ranks=ranks,
            style=f"kspace mesh {style}",
            before=["processors 1 1 *"],
            quantities="",
        ).log
        said.append(re.findall(r"pair les: (?:mesh|against|the mesh) .*", log))
    assert len(said[0]) == 3
    assert said[0] == said[1] == said[2]


@pytest.mark.parametrize(
    ("name", "n_atoms", "channels"),
    [("harmonic_one_channel", 24, 1), ("constant", 1, 1), ("two_channels", 24, 2)],
)
def test_no_charges_one_atom_two_channels(
    name: str,
    n_atoms: int,
    channels: int,
    water: Callable[..., Atoms],
    toy_model: Callable[..., Path],
    tmp_path: Path,
) -> None:
    atoms = water(2, spacing=4.5)[:n_atoms]
    for ranks in (1, 2):
        log = run(
            tmp_path / f"{ranks}",
            atoms,
            toy_model(name),
            style="kspace mesh",
            quantities="",
            channels=channels,
            ranks=ranks,
        ).log
        assert 0.0 <= max(errors_said(log)) < 1e-5
        assert "WARNING: pair les: the mesh" not in log


def test_float32_says_what_it_cannot_reach(
    water: Callable[..., Atoms], toy_model: Callable[..., Path], tmp_path: Path
) -> None:
    model = toy_model("constant", "float32")
    style = "kspace mesh accuracy 1e-7"
    result = run(tmp_path / "m", water(3), model, style=style, quantities="")
    assert "float32 rounds more than the accuracy of 1e-07 asked for" in result.log
    assert MISSED not in result.log
    fine = run(tmp_path / "f", water(3), model, style="kspace mesh", quantities="").log
    assert max(errors_said(fine)) < 1e-5
    assert "WARNING: pair les: the mesh" not in fine


@pytest.mark.parametrize(("mesh_error", "times"), [("auto", 2), ("yes", 5), ("no", 0)])
def test_measured_once_while_the_cell_is_the_same(
    mesh_error: str,
    times: int,
    water: Callable[..., Atoms],
    toy_model: Callable[..., Path],
    tmp_path: Path,
) -> None:
    commands = [
        "run 0",
        "run 2 every 1 NULL",
        "change_box all x scale 1.001 remap",
        "run 0",
        "change_box all x scale 1.02 remap",
        "run 0",
    ]
    log = run(
        tmp_path,
        water(3),
        toy_model("constant"),
        style=f"kspace mesh accuracy 1e-4 mesh_error {mesh_error}",
        commands=commands,
        quantities="",
    ).log
    assert len(re.findall(r"^pair les: against the direct sum", log, re.M)) == times

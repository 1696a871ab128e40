"""pair_style hybrid/overlay: other styles add to les, and types may be left out of it."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from ase import Atoms
from lmp import run


@pytest.mark.parametrize("ranks", [1, 2])
@pytest.mark.parametrize("name", ["linear", "two_layers"])
def test_overlay_with_zbl(
    name: str,
    ranks: int,
    water: Callable[..., Atoms],
    toy_model: Callable[..., Path],
    tmp_path: Path,
) -> None:
    atoms, model = water(3), toy_model(name)
    les = run(tmp_path / "les", atoms, model, ranks=ranks)
    zbl = run(
        tmp_path / "zbl",
        atoms,
        model,
        quantities="",
        commands=[
            "pair_style zbl 2.0 3.0",
            "pair_coeff 1 1 1 1",
            "pair_coeff 1 2 1 8",
            "pair_coeff 2 2 8 8",
            "run 0",
        ],
    )
    both = run(
        tmp_path / "both",
        atoms,
        model,
        ranks=ranks,
        commands=[
            "uncompute les",
            "pair_style hybrid/overlay les zbl 2.0 3.0",
            f"pair_coeff * * les {model} H O",
            "pair_coeff 1 1 zbl 1 1",
            "pair_coeff 1 2 zbl 1 8",
            "pair_coeff 2 2 zbl 8 8",
            "compute les all les/atom q phi bec",
            *(f"compute {part} all pair les {part}" for part in ("epair", "evdwl", "ecoul")),
            "thermo_style custom step pe evdwl ecoul c_epair c_evdwl c_ecoul c_stress[*]",
            "run 0",
            *(f'print "VALUE les_{p} $(c_{p}:%.17g)"' for p in ("epair", "evdwl", "ecoul")),
        ],
    )
    assert abs(zbl.energy) > 1.0
    assert both.values["les_epair"] == pytest.approx(les.energy, rel=1e-12)
    for part in ("evdwl", "ecoul"):  # compute pair has those of les, thermo output those of all
        assert both.values[f"les_{part}"] == pytest.approx(les.values[part], rel=1e-12)
        assert both.values[part] == pytest.approx(les.values[part] + zbl.values[part], rel=1e-12)
    assert both.energy == pytest.approx(les.energy + zbl.energy, rel=1e-10)
    np.testing.assert_allclose(both.forces, les.forces + zbl.forces, rtol=0, atol=1e-9)
    np.testing.assert_allclose(both.stress, les.stress + zbl.stress, rtol=0, atol=1e-10)
    np.testing.assert_allclose(both.bec, les.bec, rtol=0, atol=1e-12)


@pytest.mark.parametrize("ranks", [1, 4])
@pytest.mark.parametrize("name", ["linear", "two_layers"])
def test_types_left_out(
    name: str,
    ranks: int,
    water: Callable[..., Atoms],
    toy_model: Callable[..., Path],
    tmp_path: Path,
) -> None:
    """Argon that is mapped to NULL is invisible to the model: as if it were not there."""
    atoms, model = water(3), toy_model(name)
    les = run(tmp_path / "les", atoms, model, ranks=ranks)
    rng = np.random.default_rng(1)
    argon = Atoms("Ar8", positions=rng.uniform(0, 9, (8, 3)), cell=atoms.cell, pbc=True)
    mixed = argon[:4] + atoms + argon[4:]
    with_argon = run(
        tmp_path / "mixed",
        mixed,
        toy_model("harmonic"),
        ranks=ranks,
        elements=["H", "O", "Ar"],
        channels=1,
        quantities="",
        commands=["run 0"],
        check=False,
    )
    assert (
        with_argon.returncode != 0
    )  # three types, two species: only hybrid/overlay may leave one out

    script = (tmp_path / "mixed" / "in.lmp").read_text()
    script = script.replace("pair_style les \n", "pair_style hybrid/overlay les zero 4.0\n")
    script = "\n".join(
        f"pair_coeff * * les {model} H O NULL\npair_coeff * 3 zero\n"
        "compute les all les/atom q phi bec\n"
        "compute pairs all pair les"
        if line.startswith("pair_coeff")
        else line
        for line in script.splitlines()
    )
    columns = " ".join(f"c_les[{k}]" for k in range(1, 12))
    script = script.replace("id x y z fx fy fz ", f"id x y z fx fy fz {columns} ")
    (tmp_path / "mixed" / "in.lmp").write_text(script + "\n")
    from lmp import launch

    returncode, log = launch(tmp_path / "mixed" / "in.lmp", ranks)
    assert returncode == 0, log
    table = np.loadtxt((tmp_path / "mixed" / "atoms.dump").read_text().splitlines()[9:])
    water_rows, argon_rows = table[4:-4], np.vstack([table[:4], table[-4:]])
    assert np.abs(argon_rows[:, 4:]).max() == 0.0
    forces = np.stack([les.columns[c] for c in ("fx", "fy", "fz")], axis=1)
    np.testing.assert_allclose(water_rows[:, 4:7], forces, rtol=0, atol=1e-10)
    np.testing.assert_allclose(water_rows[:, 7], les.columns["q0"], rtol=0, atol=1e-12)
    for k in range(9):
        np.testing.assert_allclose(water_rows[:, 9 + k], les.columns[f"bec{k}"], rtol=0, atol=1e-12)

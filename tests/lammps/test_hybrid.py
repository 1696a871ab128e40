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
        potential=[
            "pair_style zbl 2.0 3.0",
            "pair_coeff 1 1 1 1",
            "pair_coeff 1 2 1 8",
            "pair_coeff 2 2 8 8",
        ],
    )
    both = run(
        tmp_path / "both",
        atoms,
        model,
        ranks=ranks,
        potential=[
            "pair_style hybrid/overlay les zbl 2.0 3.0",
            f"pair_coeff * * les {model} H O",
            "pair_coeff 1 1 zbl 1 1",
            "pair_coeff 1 2 zbl 1 8",
            "pair_coeff 2 2 zbl 8 8",
        ],
        commands=[
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
    """Argon that is mapped to NULL is invisible to the model and to a field, `neutral` included."""
    atoms, model = water(3), toy_model(name)
    field = ["fix f all efield/bec 0.3 -0.2 0.5 neutral yes", "run 0"]
    les = run(tmp_path / "les", atoms, model, ranks=ranks, commands=field)
    rng = np.random.default_rng(1)
    argon = Atoms("Ar8", positions=rng.uniform(0, 9, (8, 3)), cell=atoms.cell, pbc=True)
    mixed = argon[:4] + atoms + argon[4:]
    coeff = f"{model} H O NULL"
    options = {"ranks": ranks, "elements": ["H", "O", "Ar"]}
    overlay = [
        "pair_style hybrid/overlay les zero 4.0",
        f"pair_coeff * * les {coeff}",
        "pair_coeff * 3 zero",
    ]
    with_argon = run(tmp_path / "mixed", mixed, model, potential=overlay, commands=field, **options)
    assert with_argon.energy == pytest.approx(les.energy, rel=1e-12)
    is_water = mixed.numbers != 18
    for name, column in with_argon.columns.items():
        if name not in ("id", "x", "y", "z"):
            reference = les.columns[name]
            np.testing.assert_allclose(column[is_water], reference, rtol=0, atol=1e-10)
            assert np.abs(column[~is_water]).max() == 0.0


def test_plain_hybrid_is_warned_about(
    water: Callable[..., Atoms], toy_model: Callable[..., Path], tmp_path: Path
) -> None:
    model = toy_model("linear")
    log = {
        style: run(
            tmp_path / style,
            water(2),
            model,
            potential=[f"pair_style {style} les", f"pair_coeff * * les {model} H O"],
        ).log
        for style in ("hybrid", "hybrid/overlay")
    }
    text = "WARNING: pair_style hybrid: a pair_coeff of another style for two types of the model"
    assert text in log["hybrid"]
    assert text not in log["hybrid/overlay"]

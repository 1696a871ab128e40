"""Trial moves: atoms that a fix takes out of the system are out of it in every respect."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from ase import Atoms
from lmp import run
from test_errors import error_of

from lammps_les.calculators import LesCalculator

Water = Callable[..., Atoms]
Toy = Callable[..., Path]

GONE = 5  # atom ID, a hydrogen
FIXES = {  # fix, and what it calls its group
    "gcmc": (
        "gcmc 1000 1 0 2 42 300 0.0 0.1 full_energy",
        "FixGCMC:gcmc_exclusion_group:mc",
    ),
    "widom": ("widom 1000 1 2 42 300 full_energy", "FixWidom:widom_exclusion_group:mc"),
}


def ghostly(fix: str, gone: int = GONE) -> list[str]:
    """Commands that exclude an atom in the manner of a trial deletion."""
    style, group = FIXES[fix]
    # the first run makes the group; later ones must not take offence at it
    return [f"fix mc all {style}", "run 0", f"group {group} id {gone}"]


@pytest.mark.parametrize(
    ("name", "style", "channels", "ranks"),
    [
        ("linear", "kspace direct", 1, 1),
        ("linear", "kspace mesh", 1, 2),
        ("linear", "kspace direct edges rebuild", 1, 2),
        ("two_channels", "born phase", 2, 1),
        ("two_layers", "", 1, 1),
        ("two_layers", "", 1, 4),
        ("total_charge", "", 1, 4),
        ("total_charge_two_layers", "edges rebuild", 1, 2),
    ],
)
def test_an_excluded_atom_is_not_there(
    name: str,
    style: str,
    channels: int,
    ranks: int,
    water: Water,
    toy_model: Toy,
    tmp_path: Path,
) -> None:
    """Everything is as without the atom, and the atom has nothing."""
    atoms, model = water(2), toy_model(name)
    commands = [*ghostly("gcmc"), "run 0", "run 0"]
    result = run(
        tmp_path, atoms, model, style=style, channels=channels, ranks=ranks, commands=commands
    )
    left = np.arange(1, len(atoms) + 1) != GONE
    judge = run(tmp_path / "without", atoms[left], model, style=style, channels=channels)
    scale = np.abs(judge.forces).max()
    assert abs(result.energy - judge.energy) < 1e-10 * abs(judge.energy)
    np.testing.assert_allclose(result.forces[left], judge.forces, atol=1e-9 * scale)
    np.testing.assert_allclose(result.stress, judge.stress, atol=1e-9 * np.abs(judge.stress).max())
    np.testing.assert_allclose(result.bec[left], judge.bec, atol=1e-9)
    for column in (c for c in judge.columns if c.startswith(("q", "phi"))):
        np.testing.assert_allclose(result.columns[column][left], judge.columns[column], atol=1e-9)
        assert result.columns[column][GONE - 1] == 0.0
    assert not result.bec[GONE - 1].any()
    assert not result.forces[GONE - 1].any()


@pytest.mark.parametrize("fix", FIXES)
@pytest.mark.parametrize("pbc", [True, False])
def test_against_the_calculator(
    fix: str, pbc: bool, water: Water, shipped: Callable[..., Path], tmp_path: Path
) -> None:
    atoms, model = water(2), shipped()
    atoms.pbc = pbc
    commands = [*ghostly(fix), "fix E all efield/bec 0.0 0.0 0.1", "run 0"]
    result = run(tmp_path, atoms, model, commands=commands, quantities="bec")
    left = np.arange(1, len(atoms) + 1) != GONE
    judge = atoms[left]
    judge.calc = LesCalculator(model, field=(0.0, 0.0, 0.1))
    np.testing.assert_allclose(result.forces[left], judge.get_forces(), atol=1e-8)
    assert not result.forces[GONE - 1].any()
    judge.calc = LesCalculator(model)
    assert abs(result.energy - judge.get_potential_energy()) < 1e-8


@pytest.mark.parametrize("ranks", [1, 2])
@pytest.mark.parametrize("potential", [2.0, -2000.0])
def test_deletions_of_gcmc(
    potential: float, ranks: int, water: Water, shipped: Callable[..., Path], tmp_path: Path
) -> None:
    """An atom that binds by eV stays where the reservoir is no better, and goes where it is."""
    atoms, model = water(2), shipped()
    commands = [
        "group gas type 1",
        f"fix mc gas gcmc 1 6 0 1 444 300 {potential} 0.1 full_energy tfac_insert 1.0",
        "run 1",
        'print "DELETED $(f_mc[6]) LEFT $(atoms) INSERTED $(f_mc[4])"',
        "run 0",
    ]
    result = run(tmp_path, atoms, model, commands=commands, ranks=ranks, quantities="")
    ids = result.columns["id"].astype(int)
    if potential > 0:
        assert "DELETED 0 " in result.log
    else:
        assert "DELETED 0 " not in result.log
        assert "INSERTED 0" in result.log
        assert len(ids) < len(atoms)
    left = atoms[[i - 1 for i in ids if i <= len(atoms)]]
    if len(left) == len(ids):
        left.calc = LesCalculator(model)
        assert abs(result.energy - left.get_potential_energy()) < 1e-8


@pytest.mark.parametrize(
    "commands",
    [
        ["group some id 5", "neigh_modify exclude group some all"],
        ["group some id 5", "neigh_modify exclude group some some"],
        [*ghostly("gcmc"), "neigh_modify exclude group {group} {group}"],
        # a group of that name without the fix
        ["group FixGCMC:gcmc_exclusion_group:x id 5", "neigh_modify exclude group {x} all"],
        [*ghostly("gcmc"), "neigh_modify exclude type 1 1"],
    ],
)
def test_other_exclusions_are_refused(
    commands: list[str], water: Water, toy_model: Toy, tmp_path: Path
) -> None:
    names = {"group": FIXES["gcmc"][1], "x": "FixGCMC:gcmc_exclusion_group:x"}
    commands = [*(c.format(**names) for c in commands), "run 0"]
    message = error_of(tmp_path, water(2), toy_model("linear"), commands=commands)
    assert "must see all neighbors; neigh_modify exclude and include would change" in message

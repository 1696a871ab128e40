"""Runs whose lists are made anew, whose atoms are sorted or change ranks: each is a fresh start.

The references know no lists of LAMMPS: the calculator at the positions of each step, and `forward`
of the model file at the last ones.
"""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from ase import Atoms
from lmp import Run, run
from test_computes import reference

from lammps_les.calculators import LesCalculator

FIELD = np.array([0.3, -0.2, 0.5])  # V/A
SORTED = ["atom_modify sort 1 0.0", "neighbor 0.3 bin", "neigh_modify every 1 delay 0 check no"]
OFTEN = ["atom_modify sort 1 2.0", "neighbor 0.5 bin", "neigh_modify every 1 delay 0 check yes"]
SELDOM = ["neighbor 4.0 bin", "neigh_modify every 100 delay 100 check no"]


@pytest.mark.parametrize(
    ("name", "style", "ranks", "lists"),
    [
        ("two_channels", "", 1, SORTED),
        ("two_channels", "edges rebuild", 2, OFTEN),
        ("two_layers", "exchange yes", 1, SORTED),
        ("two_layers", "exchange no", 2, SORTED),
        ("three_layers", "exchange yes", 2, OFTEN),
        ("three_layers", "exchange no", 1, SELDOM),
        ("three_layers", "exchange yes edges rebuild", 1, SORTED),
        ("wrapped", "", 1, SORTED),
        ("wrapped", "", 2, SELDOM),
    ],
)
def test_each_step_is_as_a_fresh_start(
    name: str,
    style: str,
    ranks: int,
    lists: list[str],
    water: Callable[..., Atoms],
    toy_model: Callable[..., Path],
    tmp_path: Path,
) -> None:
    atoms, model = water(2), toy_model(name)
    channels = 2 if name == "two_channels" else 1
    q = " ".join(f"c_les[{c + 1}]" for c in range(channels))
    commands = [
        "velocity all create 2000.0 5 loop all",
        "timestep 0.0005",
        "fix 1 all nve",
        "fix f all efield/bec {} {} {} neutral no".format(*FIELD),
        "compute pe all pe/atom pair",
        "compute sum all reduce sum c_pe",
        f"dump d all custom 1 steps.dump id x y z fx fy fz c_pe {q}",
        "dump_modify d sort id format float %.17g",
        "thermo_style custom step pe c_sum c_stress[*]",
        "run 40",
        'print "VALUE sum $(c_sum:%.17g)"',
    ]
    result = run(
        tmp_path,
        atoms,
        model,
        ranks=ranks,
        style=f"kspace direct kset 0.0 {style}",
        before=lists,
        channels=channels,
        commands=commands,
    )
    builds = int(result.log.split("Neighbor list builds = ")[1].split()[0])
    assert builds == {id(SORTED): 40, id(SELDOM): 0}.get(id(lists), builds)
    assert lists is not OFTEN or 2 <= builds < 40
    moved = atoms.copy()
    calculator = LesCalculator(model, FIELD, neutral=False, multichannel_bec=True)
    frames = (tmp_path / "steps.dump").read_text().split("ITEM: TIMESTEP\n")[1:]
    assert len(frames) == 41
    for frame in frames:
        table = np.loadtxt(frame.splitlines()[8:])
        moved.positions = table[:, 1:4]
        calculator.calculate(moved, ["forces"])
        right = calculator.results
        assert table[:, 7].sum() == pytest.approx(right["energy"], rel=1e-9)
        for value, name_of in ((table[:, 4:7], "forces"), (table[:, 8:].sum(axis=1), "charges")):
            np.testing.assert_allclose(value, right[name_of], rtol=0, atol=1e-8)
    expected = reference(model, moved)
    assert_right(result, expected, FIELD)
    assert result.values["sum"] == pytest.approx(float(expected["energy"]), rel=1e-9)


def assert_right(result: Run, expected: dict[str, np.ndarray], field: np.ndarray) -> None:
    """Forces are with those of the field."""
    channels = expected["q"].shape[1]
    columns = {
        word: np.stack([result.columns[f"{word}{c}"] for c in range(channels)], axis=1)
        for word in ("q", "phi")
    }
    push = np.einsum("a,iab->ib", field, expected["bec"])
    for value, right in (
        (result.energy, expected["energy"]),
        (result.forces, expected["forces"] + push),
        (columns["q"], expected["q"]),
        (columns["phi"], expected["phi"]),
        (result.bec, expected["bec"]),
        *([(result.stress, expected["stress"])] if expected["stress"].any() else []),
    ):
        np.testing.assert_allclose(value, right, rtol=0, atol=1e-9 * np.abs(right).max())


@pytest.mark.parametrize("style", ["exchange no", "exchange yes"])
def test_a_list_holds_until_atoms_have_moved_by_half_the_skin(
    style: str, water: Callable[..., Atoms], toy_model: Callable[..., Path], tmp_path: Path
) -> None:
    """A rod in two halves, a rank each, of which one comes near by half the skin."""
    cells = np.repeat(list(np.ndindex(6, 6, 6)), 3, axis=0)
    rod = ((cells[:, 1:] == 2) | (cells[:, 1:] == 3)).all(axis=1)
    atoms, comes = water(6, 2.3)[rod], cells[rod, 0] >= 3  # dense: three bonds reach 7 A
    atoms.pbc, atoms.cell = False, None
    whole = atoms.copy()
    atoms.positions[comes, 0] += 1.99
    x = atoms.positions[:, 0]
    edge, low, high = x[~comes].max() + 0.01, x.min() - 1.0, x.max() + 1.0
    commands = [
        f"balance 1.0 x {(edge - low) / (high - low)}",
        f"variable v atom -1.99e6*(x>{edge})",
        "velocity all set v_v 0.0 0.0",
        "timestep 1e-6",
        "fix 1 all nve",
        "run 1",
    ]
    before, model = ["processors 2 1 1", *SELDOM], toy_model("three_layers")
    result = run(tmp_path, atoms, model, ranks=2, style=style, before=before, commands=commands)
    np.testing.assert_allclose(result.vectors(""), whole.positions, rtol=0, atol=1e-6)
    whole.positions = result.vectors("")
    assert_right(result, reference(model, whole), np.zeros(3))

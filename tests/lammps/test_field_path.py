"""What fix efield/bec adds up along the path of the atoms: work, polarization; and the current."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from ase import Atoms
from lmp import read_dump, run
from test_dynamics import printed

Water = Callable[..., Atoms]
Toy = Callable[..., Path]

UNWRAPPED = "id type xu yu zu vx vy vz modify sort id format float %.17g"
MOVING = [
    "velocity all create 300.0 5 loop all",
    "timestep 0.0005",
    "thermo 20",
    "fix 1 all nve",
]


def coupling(is_oxygen: np.ndarray) -> np.ndarray:
    """Charges of the toy "constant" that couple to a field, e."""
    return np.where(is_oxygen, -0.8, 0.4) * np.sqrt(1.8)


def test_work_and_polarization_of_fixed_charges(
    water: Water, toy_model: Toy, tmp_path: Path
) -> None:
    """In a constant field: scalar -E.(change of dipole), vector that change, while it runs.

    What displace_atoms does between two runs is not the field's work.
    """
    atoms = water(3)
    state = 'print "STATE $(f_f:%.17g) $(f_f[4]:%.17g) $(f_f[5]:%.17g) $(f_f[6]:%.17g)"'
    commands = [
        *MOVING,
        "group oxygen type 2",
        "fix f all efield/bec 0.0 0.3 0.1 neutral no",
        "run 20",
        state,
        f"write_dump all custom before.dump {UNWRAPPED}",
        "displace_atoms oxygen move 0.4 -0.3 0.2 units box",
        f"write_dump all custom after.dump {UNWRAPPED}",
        "run 0",
        state,
        "run 20",
        state,
        f"write_dump all custom end.dump {UNWRAPPED}",
    ]
    result = run(tmp_path, atoms, toy_model("constant"), ranks=2, commands=commands)
    before, after, end = (
        read_dump(tmp_path / f"{name}.dump")[:, 2:5] for name in ("before", "after", "end")
    )
    q = coupling(atoms.numbers == 8)
    first, second = q @ (before - atoms.positions), q @ (end - after)
    assert min(np.abs(first).max(), np.abs(second).max()) > 1e-2
    rows = printed(result.log, "STATE")
    for row, dipole in zip(rows, (first, first, first + second), strict=True):
        np.testing.assert_allclose(row[1:], dipole, rtol=0, atol=1e-9)
        assert row[0] == pytest.approx(-0.3 * dipole[1] - 0.1 * dipole[2], abs=1e-9)


@pytest.mark.parametrize("ranks", [1, 2])
@pytest.mark.parametrize("name", ["constant", "two_layers"])
def test_polarization_and_current_of_a_group(
    name: str, ranks: int, water: Water, toy_model: Toy, tmp_path: Path
) -> None:
    """They are those of the group; field, `region` and `neutral` do not enter."""
    atoms = water(3)
    names = [f"f_{fix}[{k}]" for fix in "fg" for k in range(4, 10)] + [
        f"c_J[{a}]" for a in (1, 2, 3)
    ]
    commands = [
        *MOVING,
        "group oxygen type 2",
        "region left block 0 4.0 INF INF INF INF",
        "fix f oxygen efield/bec 0.3 -0.2 0.5 region left neutral yes",
        "fix g oxygen efield/bec 0.0 0.0 0.0 neutral no",
        "compute J oxygen les/current",
        "thermo_style custom step pe c_J[*]",
        "run 20",
        *(f'print "VALUE {n} $({n}:%.17g)"' for n in names),
        f"write_dump all custom end.dump {UNWRAPPED}",
    ]
    result = run(tmp_path, atoms, toy_model(name), ranks=ranks, quantities="", commands=commands)
    values = np.array([result.values[n] for n in names])
    found, without_field, current = values[:6], values[6:12], values[12:]
    assert np.abs(found[:3]).min() > 1e-3
    assert np.abs(found[3:]).min() > 1e-1
    np.testing.assert_allclose(found, without_field, rtol=0, atol=1e-12)
    np.testing.assert_allclose(found[3:], current, rtol=0, atol=1e-9)
    if name == "constant":
        oxygen = atoms.numbers == 8
        end = read_dump(tmp_path / "end.dump")[oxygen]
        q = coupling(oxygen)[oxygen]
        moved = q @ (end[:, 2:5] - atoms.positions[oxygen])
        np.testing.assert_allclose(found[:3], moved, rtol=0, atol=1e-9)
        np.testing.assert_allclose(found[3:], q @ end[:, 5:8], rtol=0, atol=1e-9)


@pytest.mark.parametrize("ranks", [1, 2])
def test_atoms_created_in_mid_run(ranks: int, water: Water, toy_model: Toy, tmp_path: Path) -> None:
    """A new atom has a path from where it was put; the mean charge follows the number of atoms."""
    atoms = water(3)
    commands = [
        *MOVING,
        "region slot block 3 6 3 6 3 6",
        "fix d all deposit 2 2 7 4711 region slot near 0.5 attempt 1000 vz -9.0 -8.0",
        "fix f all efield/bec 0.0 0.3 0.1 neutral no",
        "dump d all custom 1 path.dump id type xu yu zu",
        "dump_modify d sort id format float %.17g",
        "run 15",
        'print "STATE $(f_f:%.17g) $(f_f[4]:%.17g) $(f_f[5]:%.17g) $(f_f[6]:%.17g)"',
    ]
    result = run(
        tmp_path, atoms, toy_model("constant"), ranks=ranks, quantities="", commands=commands
    )
    frames = [
        np.array([line.split() for line in text.splitlines()[8:]], dtype=float)
        for text in (tmp_path / "path.dump").read_text().split("ITEM: TIMESTEP\n")[1:]
    ]
    counts = [len(frame) for frame in frames]
    assert len(frames) == 16
    assert sorted(set(counts)) == [81, 82, 83]
    dipole, of_new = np.zeros(3), np.zeros(3)
    for last, now in zip(frames, frames[1:], strict=False):
        n = len(last)
        q = [coupling(frame[:, 1] == 2) for frame in (last, now)]
        mean = 0.5 * ((q[0] - q[0].mean()) + (q[1] - q[1].mean())[:n])
        moved = now[:n, 2:] - last[:, 2:]
        dipole += mean @ moved
        of_new += mean[81:] @ moved[81:]
    assert np.abs(of_new).max() > 1e-2
    row = printed(result.log, "STATE")[0]
    np.testing.assert_allclose(row[1:], dipole, rtol=0, atol=1e-9)
    assert row[0] == pytest.approx(-0.3 * dipole[1] - 0.1 * dipole[2], abs=1e-9)


@pytest.mark.parametrize(("kspace", "growth"), [("direct", 1.0), ("direct", 1.1), ("mesh", 1.1)])
def test_rerun(kspace: str, growth: float, water: Water, toy_model: Toy, tmp_path: Path) -> None:
    """Each snapshot gives what `run 0` gives on it, also where the cell has changed in between."""
    names = ["pe", "evdwl", "ecoul", "c_stress[1]", "c_stress[6]", "f_f"]
    names += [f"f_f[{k}]" for k in range(1, 10)]
    columns = "x y z vx vy vz box yes"
    commands = [
        *MOVING,
        f"fix 2 all deform 1 x scale {growth} y scale {growth} remap x",
        "dump d all custom 4 frames.dump id type x y z vx vy vz",
        "dump_modify d sort id format float %.17g",
        "run 12",
        "undump d",
        "unfix 1",
        "unfix 2",
        "fix f all efield/bec 0.1 -0.2 0.3",
        "thermo 1",
        f"thermo_style custom step {' '.join(names)}",
        "thermo_modify format float %.16g norm no",
        'print "RERUN"',
        f"rerun frames.dump dump {columns}",
    ]
    for step in (0, 4, 8, 12):
        commands += [
            f"read_dump frames.dump {step} {columns}",
            "run 0",
            f'print "FRAME {" ".join(f"$({n}:%.17g)" for n in names)}"',
        ]
    model = toy_model("two_layers")
    log = run(tmp_path, water(3), model, ranks=2, style=f"kspace {kspace}", commands=commands).log
    table = log.split("\nRERUN\n")[1].split("Step ")[1].split("Loop time")[0]
    again = np.array([line.split() for line in table.splitlines()[1:] if "." in line], dtype=float)
    expected = printed(log, "FRAME")
    assert expected.shape == (4, len(names))
    assert np.ptp(expected[:, 2]) > 0.1
    np.testing.assert_allclose(again[:, 0], [0, 4, 8, 12])
    np.testing.assert_allclose(again[:, 1:], expected, rtol=1e-9, atol=1e-8)
    np.testing.assert_array_equal(again[:, [6, 10, 11, 12]], 0.0)  # work and polarization
    assert np.abs(again[:, [7, 8, 9, 13, 14, 15]]).min() > 1e-6  # net force and current

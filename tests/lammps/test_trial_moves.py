"""Work and polarization of a field belong to motion in it, not to moves of Monte Carlo."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from ase import Atoms
from lmp import read_dump, run
from test_dynamics import printed
from test_field_path import UNWRAPPED, coupling

Water = Callable[..., Atoms]
Model = Callable[..., Path]

OUTPUTS = ["f_f", *(f"f_f[{k}]" for k in range(1, 7))]
STATE = 'print "STATE ' + " ".join(f"$({name}:%.17g)" for name in OUTPUTS) + '"'
FIELD = np.array([0.1, -0.3, 0.2])
FIX = "fix f all efield/bec {} {} {}".format(*FIELD)
STRESS = "compute stress all pressure NULL virial"  # printed at the end by `run`
MOVING = ["velocity all create 300.0 5 loop all", "timestep 0.0005", "fix 1 all nve"]


@pytest.mark.parametrize(
    ("ranks", "moves", "tried", "done"),
    [
        (1, "gcmc 1 0 3 1 29494 1.0 -10.0 4.0 full_energy", 1, 2),
        (2, "gcmc 2 0 2 2 29494 1.0 -10.0 4.0 full_energy", 1, 2),
        (1, "atom/swap 1 2 29494 1.0 types 1 2", 1, 2),
        (2, "atom/swap 2 1 29494 1.0 types 1 2", 1, 2),
        (1, "widom 2 2 1 29494 300.0", 3, None),
        (2, "widom 3 1 2 29494 300.0", 3, None),
    ],
)
def test_rejected_moves(
    ranks: int,
    moves: str,
    tried: int,
    done: int | None,
    water: Water,
    shipped: Model,
    tmp_path: Path,
) -> None:
    """If every move is rejected, this is the run without moves; so is one that goes on from it."""
    atoms, model = water(2), shipped("float64")
    results = {}
    for name, before, after in (
        ("none", [], []),
        ("after the field", [], [f"fix mc all {moves}"]),
        ("before it", [f"fix mc all {moves}"], []),
    ):
        commands = [*MOVING, *before, FIX, *after, "restart 3 kept.*", "run 6", STATE]
        if before or after:
            commands.append(f'print "MOVES $(f_mc[{tried}]) $(f_mc[{done or tried}])"')
        if after:
            commands += ["clear", "read_restart kept.3", "pair_style les"]
            commands += [f"pair_coeff * * {model} H O", *MOVING[1:], FIX, STRESS, "run 3", STATE]
        options = {"ranks": ranks, "quantities": "", "commands": commands}
        results[name] = run(tmp_path / name, atoms, model, **options).log
        if name != "none":
            moves_tried, moves_done = printed(results[name], "MOVES")[0]
            assert moves_tried > 0
            assert done is None or moves_done == 0
    (expected,) = printed(results["none"], "STATE")
    assert np.abs(expected).min() > 1e-3
    for name in ("after the field", "before it"):
        for state in printed(results[name], "STATE"):
            np.testing.assert_allclose(state, expected, rtol=0, atol=1e-10)


@pytest.mark.parametrize("ranks", [1, 2])
def test_accepted_moves(ranks: int, water: Water, toy_model: Model, tmp_path: Path) -> None:
    """An accepted move is not motion in the field: only what is integrated counts."""
    atoms = water(2)
    commands = [
        "group oxygen type 2",
        "velocity oxygen create 300.0 5 loop all",
        "timestep 0.0005",
        "fix 1 oxygen nve",
        f"{FIX} neutral no",
        "group hydrogen type 1",
        "fix mc hydrogen gcmc 2 0 3 1 29494 1e9 -10.0 4.0 full_energy",
        "run 8",
        STATE,
        'print "MOVES $(f_mc[2])"',
        f"write_dump all custom end.dump {UNWRAPPED}",
    ]
    options = {"ranks": ranks, "quantities": "", "commands": commands}
    log = run(tmp_path, atoms, toy_model("constant"), **options).log
    oxygen = atoms.numbers == 8
    end = read_dump(tmp_path / "end.dump")[:, 2:5]
    assert printed(log, "MOVES")[0, 0] > 3
    assert np.abs((end - atoms.positions)[~oxygen]).max() > 1.0
    dipole = coupling(oxygen)[oxygen] @ (end - atoms.positions)[oxygen]
    (state,) = printed(log, "STATE")
    np.testing.assert_allclose(state[4:], dipole, rtol=0, atol=1e-9)
    assert state[0] == pytest.approx(-FIELD @ dipole, abs=1e-9)


@pytest.mark.parametrize("ranks", [1, 2])
@pytest.mark.parametrize("temperature", [1e-4, 1000.0])
def test_hybrid_monte_carlo(
    temperature: float, ranks: int, water: Water, toy_model: Model, tmp_path: Path
) -> None:
    """What a rejected trajectory has added is taken back with the positions, also for restarts.

    The model's charges are fixed, so work and polarization are a function of the positions.
    """
    atoms, model = water(2), toy_model("constant")
    commands = [
        "timestep 0.001",
        "fix 1 all nve",
        f"{FIX} neutral no",
        f"fix mc all hmc 3 4711 {temperature}",
        *(
            line
            for k in range(8)
            for line in ("run 3", STATE, f"write_dump all custom {k}.dump {UNWRAPPED}")
        ),
        'print "MOVES $(f_mc[1]) $(f_mc[2])"',
        "write_restart kept",
        "clear",
        "read_restart kept",
        "pair_style les",
        f"pair_coeff * * {model} H O",
        FIX,
        STRESS,
        "run 0",
        STATE,
    ]
    options = {"ranks": ranks, "quantities": "", "commands": commands}
    log = run(tmp_path, atoms, model, **options).log
    accepted, tried = printed(log, "MOVES")[0]
    assert tried == 8
    assert accepted == 0 if temperature < 1.0 else 2 <= accepted <= 6, (accepted, tried)
    states = printed(log, "STATE")
    q = coupling(atoms.numbers == 8)
    for k in range(8):
        dipole = q @ (read_dump(tmp_path / f"{k}.dump")[:, 2:5] - atoms.positions)
        np.testing.assert_allclose(states[k, 4:], dipole, rtol=0, atol=1e-9)
        assert states[k, 0] == pytest.approx(-FIELD @ dipole, abs=1e-9)
    np.testing.assert_allclose(states[8, [0, 4, 5, 6]], states[7, [0, 4, 5, 6]], rtol=0, atol=1e-12)


def test_time_stamped_force_bias(water: Water, toy_model: Model, tmp_path: Path) -> None:
    """Every step of fix tfmc is accepted, and counts."""
    atoms = water(2)
    commands = [
        f"{FIX} neutral no",
        "fix 1 all tfmc 0.1 1000.0 4711",
        "run 10",
        STATE,
        f"write_dump all custom end.dump {UNWRAPPED}",
    ]
    log = run(tmp_path, atoms, toy_model("constant"), quantities="", commands=commands).log
    moved = read_dump(tmp_path / "end.dump")[:, 2:5] - atoms.positions
    dipole = coupling(atoms.numbers == 8) @ moved
    assert np.abs(dipole).min() > 1e-3
    (state,) = printed(log, "STATE")
    np.testing.assert_allclose(state[4:], dipole, rtol=0, atol=1e-9)
    assert state[0] == pytest.approx(-FIELD @ dipole, abs=1e-9)


@pytest.mark.parametrize("ranks", [1, 2])
def test_atoms_that_go(ranks: int, water: Water, toy_model: Model, tmp_path: Path) -> None:
    """What the field has done to atoms that are gone stays; the mean charge follows the number."""
    atoms = water(2)
    commands = [
        *MOVING,
        f"{FIX} neutral no",
        "region all block INF INF INF INF INF INF",
        "fix gone all evaporate 4 2 all 4711",
        "dump d all custom 1 path.dump id type xu yu zu",
        "dump_modify d sort id format float %.17g",
        "run 12",
        STATE,
        "unfix gone",
        "group some id 1:6",
        "delete_atoms group some compress no",
        STATE,
        "run 0",
        STATE,
    ]
    options = {"ranks": ranks, "quantities": "", "commands": commands}
    log = run(tmp_path, atoms, toy_model("constant"), **options).log
    frames = [
        np.array([line.split() for line in text.splitlines()[8:]], dtype=float)
        for text in (tmp_path / "path.dump").read_text().split("ITEM: TIMESTEP\n")[1:14]
    ]
    assert len(frames[0]) > len(frames[-1])
    dipole = np.zeros(3)
    for last, now in zip(frames, frames[1:], strict=False):
        stayed = np.isin(last[:, 0], now[:, 0])
        before, after = (coupling(frame[:, 1] == 2) for frame in (last, now))
        q = 0.5 * ((before - before.mean())[stayed] + after - after.mean())
        dipole += q @ (now[:, 2:] - last[stayed, 2:])
    states = printed(log, "STATE")
    assert len(states) == 3
    for state in states:
        np.testing.assert_allclose(state[4:], dipole, rtol=0, atol=1e-9)
        assert state[0] == pytest.approx(-FIELD @ dipole, abs=1e-9)
    np.testing.assert_allclose(states[1], states[0], rtol=0, atol=1e-12)


@pytest.mark.parametrize("ranks", [1, 2])
@pytest.mark.parametrize("style", ["cg", "fire"])
def test_minimizers(style: str, ranks: int, water: Water, toy_model: Model, tmp_path: Path) -> None:
    """The path goes through all that a line search tries, and what it takes back is taken back."""
    atoms = water(2)
    commands = [
        f"{FIX} neutral no",
        "fix_modify f energy yes",
        f"min_style {style}",
        "min_modify dmax 3.0",
        "minimize 0.0 0.0 6 40",
        STATE,
        f"write_dump all custom end.dump {UNWRAPPED}",
    ]
    options = {"ranks": ranks, "quantities": "", "commands": commands}
    log = run(tmp_path, atoms, toy_model("constant"), **options).log
    iterations, evaluations = map(
        int, log.split("Iterations, force evaluations =")[1].split("\n")[0].split()
    )
    assert evaluations > iterations or style == "fire"
    moved = read_dump(tmp_path / "end.dump")[:, 2:5] - atoms.positions
    dipole = coupling(atoms.numbers == 8) @ moved
    assert np.abs(dipole).min() > 1e-3
    (state,) = printed(log, "STATE")
    np.testing.assert_allclose(state[4:], dipole, rtol=0, atol=1e-9)
    assert state[0] == pytest.approx(-FIELD @ dipole, abs=1e-9)

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
        ("two_channels", "bec phase", 2, 1),
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
    reference = run(tmp_path / "without", atoms[left], model, style=style, channels=channels)
    scale = np.abs(reference.forces).max()
    assert abs(result.energy - reference.energy) < 1e-10 * abs(reference.energy)
    np.testing.assert_allclose(result.forces[left], reference.forces, atol=1e-9 * scale)
    np.testing.assert_allclose(
        result.stress, reference.stress, atol=1e-9 * np.abs(reference.stress).max()
    )
    np.testing.assert_allclose(result.bec[left], reference.bec, atol=1e-9)
    for column in (c for c in reference.columns if c.startswith(("q", "phi"))):
        np.testing.assert_allclose(
            result.columns[column][left], reference.columns[column], atol=1e-9
        )
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
    reference = atoms[left]
    reference.calc = LesCalculator(model, field=(0.0, 0.0, 0.1))
    np.testing.assert_allclose(result.forces[left], reference.get_forces(), atol=1e-8)
    assert not result.forces[GONE - 1].any()
    reference.calc = LesCalculator(model)
    assert abs(result.energy - reference.get_potential_energy()) < 1e-8


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


HMC = [  # a force without an energy, by which atoms gain so much that no trajectory is accepted
    "timestep 0.003",
    "fix push all addforce 0.5 1.0 2.0",
    "fix 1 all nve",
    "fix mc all hmc 5 123 1 mom no",
]


@pytest.mark.parametrize(
    ("name", "pbc", "ranks", "before"),
    [
        ("linear", False, 1, []),
        ("linear", False, 2, []),
        ("linear", True, 2, ["neigh_modify every 1 delay 0 check no", "atom_modify sort 1 2.0"]),
        ("two_layers", True, 1, ["neigh_modify every 1 delay 0 check no"]),
        ("two_layers", True, 4, ["neigh_modify every 1 delay 0 check no"]),
        ("total_charge", True, 1, ["atom_modify sort 1 2.0"]),
    ],
)
@pytest.mark.parametrize("form", ["local", "phase"])
def test_charges_after_a_rejected_trajectory(
    name: str,
    pbc: bool,
    ranks: int,
    before: list[str],
    form: str,
    water: Water,
    toy_model: Toy,
    tmp_path: Path,
) -> None:
    """They are those of the positions that were restored, whatever became of LAMMPS's lists."""
    atoms = water(2)
    atoms.pbc = pbc
    atoms.positions += 0.3  # some are outside of the box that follows
    style = f"bec {form}"
    commands = [
        *HMC,
        "compute J all les/current",
        "dump d all custom 5 rejected.dump id x y z vx vy vz c_les[*]",
        "dump_modify d sort id format float %.15g",
        "thermo_style custom step pe f_mc c_J[*]",
        "thermo 5",
        "run 10",
        "undump d",
        'print "ACCEPTED $(f_mc)"',
        'print "CURRENT $(c_J[1]:%.15g) $(c_J[2]:%.15g) $(c_J[3]:%.15g)"',
        "thermo_style custom step temp pe evdwl ecoul etotal c_stress[*]",
        "unfix mc",
        "unfix push",
        "run 0",
    ]
    model = toy_model(name)
    result = run(tmp_path, atoms, model, style=style, ranks=ranks, before=before, commands=commands)
    reference = run(tmp_path / "reference", atoms, model, style=style)
    assert "ACCEPTED 0\n" in result.log
    expected = np.stack(
        [reference.columns[c] for c in ("q0", "phi0", *(f"bec{k}" for k in range(9)))], axis=1
    )
    frames = (tmp_path / "rejected.dump").read_text().split("ITEM: TIMESTEP\n")[1:]
    assert len(frames) == 3
    for frame in frames:
        rows = np.loadtxt(frame.splitlines()[8:])
        np.testing.assert_allclose(rows[:, 7:], expected, rtol=0, atol=1e-9)
    z = expected[:, 2:].reshape(-1, 3, 3)
    current = np.einsum("iab,ib->a", z, rows[:, 4:7])
    said = [float(x) for x in result.log.split("CURRENT ")[-1].split()[:3]]
    np.testing.assert_allclose(said, current, atol=1e-6)


@pytest.mark.parametrize("ranks", [1, 2])
@pytest.mark.parametrize(
    "fix",
    [
        "numdiff 1 1e-4",
        "deform 1 x scale 1.02 xy delta 0.4 xz delta 0.5 yz delta -0.6 remap x",
        "press/berendsen iso 1e4 1e4 0.01 modulus 1e6",
    ],
)
def test_charges_where_a_fix_moves_atoms_last(
    fix: str, ranks: int, water: Water, toy_model: Toy, tmp_path: Path
) -> None:
    """What is written are the charges at the positions that are written with them."""
    atoms, model = water(2), toy_model("two_layers")
    tilted = "change_box all xy final 2.3 xz final 2.3 yz final -2.3 remap units box"
    commands = [
        *(["change_box all triclinic", tilted] if "xy" in fix else []),
        "velocity all create 300 5",
        "fix 1 all nve",
        "timestep 0.0002",
        "thermo 1",
        f"fix 2 all {fix}",
        "dump d all custom 10 last.dump id x y z c_les[*]",
        "dump_modify d sort id format float %.17g",
        "run 10",
        "undump d",
        "unfix 2",
        "run 0",
    ]
    before, style = ["atom_modify map array"], "kset 0"
    result = run(tmp_path, atoms, model, ranks=ranks, before=before, style=style, commands=commands)
    rows = np.loadtxt(
        (tmp_path / "last.dump").read_text().split("ITEM: TIMESTEP\n")[-1].splitlines()[8:]
    )
    # that is where the final run 0 was
    np.testing.assert_allclose(rows[:, 4], result.columns["q0"], atol=1e-10)
    np.testing.assert_allclose(rows[:, 5], result.columns["phi0"], atol=1e-8)
    bec = np.stack([result.columns[f"bec{k}"] for k in range(9)], axis=1)
    np.testing.assert_allclose(rows[:, 6:], bec, atol=1e-8)


@pytest.mark.parametrize("ranks", [1, 2])
@pytest.mark.parametrize(
    "command",
    [
        "displace_atoms all move 0.0 0.0 0.001",
        "displace_atoms one move 0.0 0.0 0.001",
        "set atom 4 type 1",
        "set atom 4 x 0.5",
        "change_box all x scale 1.01 remap",
        "change_box all x final 0.0 9.0",
        "delete_atoms group one",
        "create_atoms 1 single 0.1 0.1 0.1",
    ],
)
def test_atoms_changed_between_runs(
    command: str, ranks: int, water: Water, toy_model: Toy, tmp_path: Path
) -> None:
    commands = ["group one id 4", "run 0", command, "write_dump all custom x.dump id c_les"]
    message = error_of(
        tmp_path,
        water(2),
        toy_model("linear"),
        commands=commands,
        ranks=ranks,
        quantities="q",
        environment={"MPIEXEC_TIMEOUT": "60"},
    )
    assert "charges were asked for at step 0, but forces were not computed there" in message
    assert "use 'run 0' first" in message


def test_nothing_changed_between_runs(water: Water, toy_model: Toy, tmp_path: Path) -> None:
    """Results are still those of the atoms, whatever the number of the step."""
    commands = ["run 3", "reset_timestep 7", "group one id 4", "velocity all set 1 0 0"]
    commands += ["write_dump all custom x.dump id c_les[1] modify sort id format float %.17g"]
    result = run(tmp_path, water(2), toy_model("linear"), commands=[*commands, "run 0"], ranks=2)
    rows = np.loadtxt((tmp_path / "x.dump").read_text().splitlines()[9:])
    np.testing.assert_allclose(rows[:, 1], result.columns["q0"], atol=1e-12)

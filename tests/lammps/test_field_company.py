"""Commands and fixes with which fix efield/bec does not go together: refused, or warned about."""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
from ase import Atoms
from ase.calculators.lammps import Prism
from lmp import launch, run, write_data

Water = Callable[..., Atoms]
Toy = Callable[..., Path]

FIELD = "fix f all efield/bec 0.0 0.0 0.1"
ENERGY = "fix_modify f energy yes"
REPLICAS = """\
units metal
atom_style atomic
atom_modify map array sort 0 0.0
read_data data.lmp
pair_style les
pair_coeff * * {model} H O
timestep 0.0005
{commands}
"""


def replicas(folder: Path, atoms: Atoms, model: Path, commands: Sequence[str]) -> tuple[int, str]:
    """Status and output of two replicas on a rank each."""
    folder.mkdir()
    write_data(folder / "data.lmp", atoms, ["H", "O"], Prism(atoms.cell))
    x, y, z = atoms.positions[1] + 0.1
    (folder / "final").write_text(f"1\n2 {x} {y} {z}\n")
    script = REPLICAS.format(model=model, commands="\n".join(commands))
    (folder / "in.lmp").write_text(script)
    status, text = launch(folder / "in.lmp", 2, options=["-partition", "2x1"])
    return status, text + "".join(path.read_text() for path in sorted(folder.glob("screen.*")))


NEB = ["fix n all neb 1.0", "min_style quickmin", "thermo 1", "neb 0.0 0.0 1 0 1 final final"]
TEMPER = [
    "variable t world 300.0 310.0",
    "velocity all create $t 5",
    "fix bath all nvt temp $t $t 0.1",
    "temper 4 2 $t bath 1 2",
]


@pytest.mark.parametrize(
    ("command", "words"), [("neb", NEB), ("temper", TEMPER)], ids=["neb", "temper"]
)
def test_energies_of_replicas(
    command: str, words: list[str], water: Water, toy_model: Toy, tmp_path: Path
) -> None:
    """The energy of a field has no value that replicas could compare; a field of zero has none."""
    atoms, model = water(2), toy_model("two_layers")
    status, text = replicas(tmp_path / "field", atoms, model, [FIELD, *words])
    assert status != 0
    assert f"'{command}' compares the energies of replicas, and the energy of the field" in text
    status, text = replicas(tmp_path / "energy", atoms, model, [FIELD, ENERGY, *words])
    assert status != 0
    assert "'fix_modify f energy yes' in a run of several partitions" in text
    zero = "fix f all efield/bec 0.0 0.0 0.0"
    status, text = replicas(tmp_path / "zero", atoms, model, [zero, *words])
    assert status == 0, text


def test_energy_in_partitions(water: Water, toy_model: Toy, tmp_path: Path) -> None:
    """Independent runs in partitions take a field, but the energy is not added."""
    atoms, model = water(2), toy_model("two_layers")
    status, text = replicas(tmp_path / "field", atoms, model, [FIELD, "fix 1 all nve", "run 1"])
    assert status == 0, text
    status, text = replicas(tmp_path / "energy", atoms, model, [FIELD, ENERGY, "run 1"])
    assert status != 0
    assert "'fix_modify f energy yes' in a run of several partitions" in text
    assert "leave it out, and read f_f" in text


@pytest.mark.parametrize("ranks", [1, 2])
def test_order_of_fixes(ranks: int, water: Water, toy_model: Toy, tmp_path: Path) -> None:
    """Fixes that act on the forces that are there come after the field; others may come before."""
    others = [
        "fix setforce oxygen setforce 0.0 NULL NULL",
        "fix aveforce all aveforce NULL NULL 0.0",
        "fix lineforce all lineforce 1 0 0",
        "fix pimd all pimd/langevin ensemble nve temp 300 fmmode physical",
    ]
    head = [
        "group oxygen type 2",
        "group hydrogen type 1",
        "fix other all addforce 0.1 0.0 0.0",
        "fix 1 all nve",
    ]
    names = [f"fix {other.split()[1]} {other.split()[3]}" for other in others]
    text = "is defined before fix f efield/bec: it acts without the forces of the field"
    for name, fixes, warned in (
        ("wrong", [*others, FIELD], names),
        ("right", [FIELD, *others], []),
        ("hydrogen", [*others, FIELD.replace("all", "hydrogen")], names[1:]),
        ("zero", [*others, "fix f all efield/bec 0.0 0.0 0.0"], []),
    ):
        options = {
            "ranks": ranks,
            "quantities": "",
            "before": ["atom_modify map yes"],
            "commands": [*head, *fixes, "run 0"],
        }
        log = run(tmp_path / name, water(2), toy_model("two_layers"), **options).log
        assert log.count(text) == len(warned)
        for other in warned:
            assert f"WARNING: {other} {text}" in log


def test_moves_of_monte_carlo_are_warned_about(
    water: Water, toy_model: Toy, tmp_path: Path
) -> None:
    atoms, model = water(2), toy_model("two_layers")
    widom = "fix m all widom 1 1 1 4711 300.0"
    hmc = ["fix 1 all nve", "fix m all hmc 1 4711 300.0"]
    for name, fixes, expected in (
        ("widom", [FIELD, ENERGY, widom], "fix m widom accepts moves by energies without that of"),
        (
            "hmc",
            [FIELD, *hmc],
            "fix m hmc accepts moves by energies without that of the field; use",
        ),
        ("hmc_energy", [FIELD, ENERGY, *hmc], None),
        ("zero", ["fix f all efield/bec 0 0 0", widom, *hmc[:1]], None),
    ):
        log = run(tmp_path / name, atoms, model, quantities="", commands=[*fixes, "run 1"]).log
        assert log.count("accepts moves by energies") == (expected is not None), name
        assert expected is None or expected in log


@pytest.mark.parametrize("ranks", [1, 2])
def test_flow_of_a_sheared_box(ranks: int, water: Water, toy_model: Toy, tmp_path: Path) -> None:
    """With `remap v` the polarization is the integral of the current, flow of the box included."""
    atoms = water(2)
    dt, steps = 1e-4, 100
    currents = " ".join(f"v_j{a}" for a in "xyz")
    commands = [
        "change_box all triclinic",
        "neigh_modify every 1 delay 0 check no",
        "velocity all create 600.0 5 loop all",
        f"timestep {dt}",
        "fix d all deform 1 xy erate 8.0 remap v flip yes",
        "fix 1 all nvt/sllod temp 600.0 600.0 0.1",
        "fix f all efield/bec 0.0 0.0 0.0",
        *(f"variable j{a} equal f_f[{k}]" for a, k in zip("xyz", (7, 8, 9), strict=True)),
        "thermo 1",
        f"thermo_style custom step {currents} f_f[4] f_f[5] f_f[6] pe c_stress[1]",
        "thermo_modify format float %.16g",
        f"run {steps}",
    ]
    options = {"ranks": ranks, "quantities": "", "commands": commands}
    log = run(tmp_path, atoms, toy_model("constant"), **options).log
    assert log.count("velocities contain the flow of the box, and so do work, polarization") == 1
    table = log.split("c_stress[1]")[-1].split("Loop time")[0].splitlines()[1:]
    rows = np.array([line.split() for line in table if "WARN" not in line], dtype=float)
    assert len(rows) == steps + 1
    current, polarization = rows[:, 1:4], rows[:, 4:7]
    integral = dt * np.cumsum(0.5 * (current[1:] + current[:-1]), axis=0)
    flow = 8.0 * atoms.cell[1, 1]  # of the upper against the lower face, A/ps
    assert np.abs(current).max() > 1.0
    assert flow * dt * steps > 0.3
    np.testing.assert_allclose(polarization[1:], integral, rtol=0, atol=1e-3)

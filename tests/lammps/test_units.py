"""`units real` beside `units metal`, and charges in units of their own: every number of the output.

And integrals along a path, whose ends count half.
"""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from ase import Atoms
from lmp import KCAL_PER_MOL, read_dump, run
from test_dynamics import printed

ATM = 1.01325  # bar
STEPS = 6


def listed(*entries: tuple[str, int, float]) -> dict[str, float]:
    """By name what divides a number in `units real` to make it one in `units metal`.

    Entries: name, how many there are (NAME[1], NAME[2], ...; 0: one, under the name alone), factor.
    """
    found = {}
    for name, n, factor in entries:
        found |= {f"{name}[{k}]" if n else name: factor for k in range(1, max(n, 1) + 1)}
    return found


NUMBERS = listed(
    ("pe", 0, KCAL_PER_MOL),
    ("evdwl", 0, KCAL_PER_MOL),
    ("ecoul", 0, KCAL_PER_MOL),
    ("c_stress", 6, 1 / ATM),
    ("c_push", 6, 1 / ATM),
    ("c_hf", 6, KCAL_PER_MOL / 1000),  # eV A/ps
    ("c_j", 3, 1 / 1000),  # e A/ps
    ("f_f", 0, KCAL_PER_MOL),
    ("f_f", 3, KCAL_PER_MOL),  # eV/A
)
OF_TENSORS = {f"f_f[{k}]": 1.0 if k < 7 else 1 / 1000 for k in range(4, 10)}  # e A, e A/ps
COLUMNS = listed(
    ("fx", 0, KCAL_PER_MOL),
    ("fy", 0, KCAL_PER_MOL),
    ("fz", 0, KCAL_PER_MOL),
    ("c_pe", 0, KCAL_PER_MOL),
    ("c_w", 6, 1 / ATM),
    ("c_cw", 9, 1 / ATM),
    ("c_fw", 6, 1 / ATM),
    ("c_les", 13, 1.0),
)


@pytest.mark.parametrize("response", ["full", "field"])
def test_every_number_in_units_real(
    response: str, water: Callable[..., Atoms], toy_model: Callable[..., Path], tmp_path: Path
) -> None:
    """Some steps in a field: the same path, but for LAMMPS's constants, which agree to 1e-5."""
    atoms = water(2)
    velocities = np.random.default_rng(3).normal(0.0, 8.0, (len(atoms), 3))  # A/ps
    numbers = NUMBERS | (OF_TENSORS if response == "full" else {})
    found, per_atom = {}, {}
    for units, time in (("metal", 1.0), ("real", 1000.0)):
        commands = [
            *(
                f"set atom {n} "
                + " ".join(f"v{a} {v / time:.16g}" for a, v in zip("xyz", row, strict=True))
                for n, row in enumerate(velocities, 1)
            ),
            f"timestep {0.0005 * time}",
            "fix 1 all nve",
            f"fix f all efield/bec 0.3 -0.2 0.5 response {response}",
            "fix_modify f energy yes virial yes",
            "compute push all pressure NULL fix",
            "compute j all les/current",
            "compute ke all ke/atom",
            "compute pe all pe/atom pair",
            "compute w all stress/atom NULL pair",
            "compute cw all centroid/stress/atom NULL pair",
            "compute fw all stress/atom NULL fix",
            "compute hf all heat/flux ke pe cw",
            "thermo_style custom step temp pe etotal "
            "c_stress[*] c_push[*] c_hf[*] f_f f_f[1] c_j[*]",
            f"run {STEPS}",
            f'print "STATE {" ".join(f"$({name}:%.17g)" for name in numbers)}"',
            f"write_dump all custom all.dump id {' '.join(COLUMNS)} modify sort id format "
            "float %.17g",
        ]
        result = run(
            tmp_path / units,
            atoms,
            toy_model("two_channels"),
            channels=2,
            units=units,
            commands=commands,
        )
        found[units] = printed(result.log, "STATE")[0]
        per_atom[units] = read_dump(tmp_path / units / "all.dump")[:, 1:]
    for n, (name, factor) in enumerate(numbers.items()):
        _same(found["real"][n] / factor, found["metal"][n], name)
    for n, (name, factor) in enumerate(COLUMNS.items()):
        _same(per_atom["real"][:, n] / factor, per_atom["metal"][:, n], name)


def _same(real: np.ndarray, metal: np.ndarray, what: str) -> None:
    """One number, or one column; neither is zero."""
    assert np.abs(metal).max() > 1e-6, what
    np.testing.assert_allclose(
        real, metal, rtol=1e-4, atol=1e-4 * np.abs(metal).max(), err_msg=what
    )


@pytest.mark.parametrize("ranks", [1, 2])
def test_work_and_polarization_are_integrals_by_the_trapezoidal_rule(
    ranks: int, water: Callable[..., Atoms], toy_model: Callable[..., Path], tmp_path: Path
) -> None:
    """Of Born charges that change on the way, in a field that does; ends count half."""
    commands = [
        "velocity all create 3000.0 5 loop all",
        "timestep 0.001",
        "fix 1 all nve",
        "variable e equal 0.5*cos(0.9*step)",
        "fix f all efield/bec 0.3 -0.2 v_e neutral no",
        "dump d all custom 1 path.dump id xu yu zu c_les[*]",
        "dump_modify d sort id format float %.17g",
        "thermo_style custom step pe c_stress[*] f_f",
        f"run {STEPS}",
        'print "VALUE work $(f_f:%.17g)"',
        *(f'print "VALUE p{a} $(f_f[{4 + a}]:%.17g)"' for a in range(3)),
    ]
    result = run(
        tmp_path,
        water(2),
        toy_model("two_layers"),
        ranks=ranks,
        quantities="bec",
        commands=commands,
    )
    frames = np.stack(
        [
            np.loadtxt(text.splitlines()[8:])
            for text in (tmp_path / "path.dump").read_text().split("ITEM: TIMESTEP\n")[1:]
        ]
    )
    assert len(frames) == STEPS + 1
    x, z = frames[:, :, 1:4], frames[:, :, 4:].reshape(STEPS + 1, -1, 3, 3)
    field = np.array([[0.3, -0.2, 0.5 * np.cos(0.9 * step)] for step in range(STEPS + 1)])
    moved, mean = np.diff(x, axis=0), 0.5 * (z[1:] + z[:-1])
    force = np.einsum("ta,tiab->tib", field, z)
    work = np.einsum("tib,tib->", 0.5 * (force[1:] + force[:-1]), moved)
    polarization = np.einsum("tiab,tib->a", mean, moved)
    assert abs(np.einsum("tib,tib->", force[1:], moved) - work) > 1e-4
    assert np.abs(np.einsum("tiab,tib->a", z[1:], moved) - polarization).min() > 1e-5
    assert result.values["work"] == pytest.approx(-work, abs=1e-10)
    found = [result.values[f"p{a}"] for a in range(3)]
    np.testing.assert_allclose(found, polarization, rtol=0, atol=1e-10)

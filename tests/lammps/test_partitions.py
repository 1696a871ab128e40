"""Several simulations in one `mpiexec` (-partition): each is what it would be alone."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from ase import Atoms
from ase.calculators.lammps import Prism
from lmp import launch, write_data

INPUT = """\
variable world world 0 1
variable model world {models}
variable field world 0.1 -0.3
variable kspace world direct mesh
units metal
atom_style atomic
read_data data.${{world}}
pair_style les kspace ${{kspace}}
pair_coeff * * ${{model}} H O
velocity all create 300.0 11
fix 1 all nve
fix f all efield/bec 0.0 0.0 ${{field}}
timestep 0.0005
compute J all les/current
compute les all les/atom q phi bec
thermo_style custom step pe f_f c_J[3]
run 10
print "VALUES $(pe:%.17g) $(f_f:%.17g) $(f_f[6]:%.17g) $(c_J[3]:%.17g)" file values.${{world}}
write_dump all custom atoms.${{world}} id x y z fx fy fz c_les[1] c_les[2] c_les[11] &
    modify sort id format float %.17g
"""


@pytest.mark.parametrize("ranks", [1, 2])
def test_partitions(
    ranks: int, water: Callable[..., Atoms], toy_model: Callable[..., Path], tmp_path: Path
) -> None:
    """Two worlds with models, sizes, fields and sums of their own."""
    models = [toy_model("linear"), toy_model("two_layers")]
    results = {}
    for kind in ("together", "alone"):
        folder = tmp_path / kind
        folder.mkdir()
        for world, n in enumerate((2, 3)):
            atoms = water(n)
            write_data(folder / f"data.{world}", atoms, ["H", "O"], Prism(atoms.cell))
        script = INPUT.format(models=f"{models[0]} {models[1]}")
        if kind == "together":
            (folder / "in.lmp").write_text(script)
            options = ["-partition", f"2x{ranks}", "-pscreen", "none", "-plog", "none"]
            returncode, log = launch(folder / "in.lmp", 2 * ranks, options=options)
            assert returncode == 0, log
        else:
            for world in (0, 1):
                lines = script.splitlines()
                for k, line in enumerate(lines):
                    if " world " in line:  # variable name world first second
                        _, name, _, *values = line.split()
                        lines[k] = f"variable {name} index {values[world]}"
                (folder / f"in.{world}").write_text("\n".join(lines) + "\n")
                returncode, log = launch(folder / f"in.{world}")
                assert returncode == 0, log
        results[kind] = [
            (
                np.array((folder / f"values.{world}").read_text().split()[1:], float),
                np.loadtxt((folder / f"atoms.{world}").read_text().splitlines()[9:]),
            )
            for world in (0, 1)
        ]
    for (values, atoms), (values_alone, atoms_alone) in zip(*results.values(), strict=True):
        assert np.abs(values_alone).min() > 1e-4
        np.testing.assert_allclose(values, values_alone, rtol=1e-8)
        np.testing.assert_allclose(atoms, atoms_alone, rtol=0, atol=1e-8)


def test_a_failure_in_one_partition_ends_both(
    water: Callable[..., Atoms], toy_model: Callable[..., Path], tmp_path: Path
) -> None:
    """With its message: LAMMPS ends all worlds where one meets an error."""
    for world in (0, 1):
        atoms = water(2)
        write_data(tmp_path / f"data.{world}", atoms, ["H", "O"], Prism(atoms.cell))
    models = f"{toy_model('linear')} {toy_model('non_finite')}"
    (tmp_path / "in.lmp").write_text(INPUT.format(models=models))
    returncode, log = launch(tmp_path / "in.lmp", 2, options=["-partition", "2x1"])
    assert returncode != 0
    assert "a force or an energy is not finite" in log + "".join(
        path.read_text() for path in tmp_path.glob("screen.*")
    )

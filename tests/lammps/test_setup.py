"""What is found, and what is said, when a run is set up."""

import re
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from ase import Atoms
from ase.calculators.lammps import Prism
from lmp import launch, run

from lammps_les.calculators import LesCalculator

Water = Callable[..., Atoms]
Toy = Callable[..., Path]


@pytest.mark.parametrize("ranks", [1, 2])
def test_models_are_looked_for_where_potentials_are(
    ranks: int, water: Water, toy_model: Toy, tmp_path: Path
) -> None:
    folder = tmp_path / "potentials"
    folder.mkdir()
    shutil.copy(toy_model("linear"), folder / "only_there.pt")
    environment = {"LAMMPS_POTENTIALS": f"{tmp_path}/empty:{folder}"}
    options = {"ranks": ranks, "environment": environment}
    found = run(tmp_path / "a", water(2), Path("only_there.pt"), **options)
    reference = run(tmp_path / "b", water(2), toy_model("linear"))
    assert found.energy == pytest.approx(reference.energy, rel=1e-12)
    # what is in the folder of the run comes first
    shutil.copy(toy_model("two_layers"), tmp_path / "a" / "only_there.pt")
    here = run(tmp_path / "a", water(2), Path("only_there.pt"), **options)
    assert here.energy != pytest.approx(reference.energy, rel=1e-6)
    options["environment"] = {"LAMMPS_POTENTIALS": None}
    missing = run(tmp_path / "c", water(2), Path("only_there.pt"), check=False, **options)
    assert "model file only_there.pt does not exist" in missing.log


WRONG = "moves atoms in a box that stays as it is"


@pytest.mark.parametrize(
    ("command", "name"),
    [
        ("fix nv all numdiff/virial 1 1e-5", "fix nv numdiff/virial"),
        ("compute b all born/matrix numdiff 1e-5 v", "compute b born/matrix numdiff"),
    ],
)
def test_strains_in_a_box_that_stays(
    command: str, name: str, water: Water, toy_model: Toy, tmp_path: Path
) -> None:
    """The warning is right, once a session, and not given where the derivatives are right."""
    if "born/matrix" in command:
        commands = ["compute v all pressure NULL virial", command]
        commands += ["thermo_style custom pe c_b[1]", "run 0", "run 0"]
    else:
        commands = ["fix 1 all nve", command]
        commands += ["thermo_style custom pe c_stress[1] f_nv[1]", "run 0", "run 0"]
        commands += ['print "VIRIAL $(c_stress[1]:%.10g) $(f_nv[1]:%.10g)"']
    atoms = water(2)
    before = ["atom_modify map array"]
    options = {"before": before, "commands": commands, "quantities": ""}
    result = run(tmp_path / "periodic", atoms, toy_model("constant"), **options)
    text = f"WARNING: pair les: {name} {WRONG}"
    assert result.log.count(text) == 1
    assert "Strain the box instead, with change_box and run 0" in result.log
    without = run(tmp_path / "short", atoms, toy_model("harmonic"), **options)
    atoms.pbc = False
    free = run(tmp_path / "open", atoms, toy_model("constant"), **options)
    assert WRONG not in without.log
    assert WRONG not in free.log
    if "numdiff/virial" in command:
        right, wrong = (float(x) for x in result.log.split("VIRIAL ")[-1].split()[:2])
        assert abs(right - wrong) > 0.05 * abs(right)
        for log in (without.log, free.log):
            right, also = (float(x) for x in log.split("VIRIAL ")[-1].split()[:2])
            assert also == pytest.approx(right, rel=1e-5)


VACUUM = r"WARNING: pair les: the charges add up to (\S+) e in a cell with vacuum \((.*?)\)"


@pytest.mark.parametrize("ranks", [1, 2])
def test_net_charge_in_vacuum(
    ranks: int, water: Water, shipped: Callable[..., Path], toy_model: Toy, tmp_path: Path
) -> None:
    slab = water(2)
    slab.set_cell([6.2, 6.2, 30.0])
    slab.positions[:, 2] -= 3.0  # it lies across the boundary
    result = run(tmp_path, slab, shipped(), ranks=ranks, commands=["run 0", "run 0"])
    (said, gaps) = re.findall(VACUUM, result.log)[0]  # once
    assert len(re.findall(VACUUM, result.log)) == 1
    assert float(said) == pytest.approx(result.columns["q0"].sum(), rel=1e-2)
    (height,) = re.fullmatch(r"(\d+) A along c", gaps).groups()
    covered = np.sort((slab.positions[:, 2] + 15.0) % 30.0)
    assert abs(float(height) - (30.0 - np.ptp(covered))) < 3.0
    assert not re.search(VACUUM, run(tmp_path / "full", water(2), shipped(), ranks=ranks).log)
    neutral = run(tmp_path / "neutral", slab, toy_model("total_charge_two_layers"), ranks=ranks)
    assert not re.search(VACUUM, neutral.log)
    cluster = water(2)
    cluster.pbc = False
    assert not re.search(VACUUM, run(tmp_path / "open", cluster, shipped(), ranks=ranks).log)


def test_general_triclinic_boxes(
    water: Water, shipped: Callable[..., Path], tmp_path: Path
) -> None:
    """Field, BEC and current are along LAMMPS's own axes, whatever a dump turns; and it says so."""
    atoms, model = water(2), shipped()
    turned = np.array([[0.8, 0.6, 0.0], [-0.36, 0.48, 0.8], [0.48, -0.64, 0.6]])
    strain = np.eye(3) + np.array([[0.0, 0.05, 0.0], [0.0, 0.0, 0.03], [-0.02, 0.0, 0.0]])
    atoms.set_cell(atoms.cell.array @ strain @ turned, scale_atoms=True)
    prism = Prism(atoms.cell, pbc=True)
    rows = [
        f"{n} {1 if s == 'H' else 2} " + " ".join(f"{x:.15g}" for x in r)
        for n, (s, r) in enumerate(zip(atoms.symbols, atoms.positions, strict=True), 1)
    ]
    vectors = [
        " ".join(f"{x:.15g}" for x in v) + f" {n}vec"
        for n, v in zip("abc", atoms.cell.array, strict=True)
    ]
    (tmp_path / "data.general").write_text(
        "\n".join(["general", "", f"{len(atoms)} atoms", "2 atom types", "", *vectors])
        + "\n0 0 0 abc origin\n\nMasses\n\n1 1.008\n2 15.999\n\nAtoms # atomic\n\n"
        + "\n".join(rows)
        + "\n"
    )
    script = tmp_path / "in.lmp"
    script.write_text(
        "units metal\natom_style atomic\nread_data data.general\n"
        f"pair_style les\npair_coeff * * {model} H O\n"
        "compute z all les/atom bec\nfix f all efield/bec 0 0 0.1 neutral no\nfix 1 all nve\n"
        "dump 1 all custom 1 general.dump id type x y z fx fy fz c_z[*]\n"
        "dump_modify 1 sort id triclinic/general yes format float %.12g\n"
        "dump 2 all custom 1 restricted.dump id type x y z fx fy fz c_z[*]\n"
        "dump_modify 2 sort id format float %.12g\nrun 0\nrun 0\n"
    )
    returncode, log = launch(script, 2)
    assert returncode == 0, log
    assert log.count("WARNING: pair les: in a general triclinic box the field, the current") == 1

    axis = prism.vector_to_ase(np.array([[0.0, 0.0, 0.1]]))[0]
    assert abs(axis[2]) < 0.09  # another axis than that of the file
    atoms.calc = LesCalculator(model, field=tuple(axis), neutral=False)
    z = np.array(atoms.calc.get_property("born_effective_charges", atoms)).reshape(-1, 3, 3)
    turn = prism.vector_to_ase(np.eye(3))
    tables = {
        name: np.loadtxt(
            (tmp_path / f"{name}.dump").read_text().split("ITEM: TIMESTEP\n")[-1].splitlines()[8:]
        )
        for name in ("general", "restricted")
    }
    np.testing.assert_allclose(tables["general"][:, 5:8], atoms.get_forces(), atol=1e-7)
    for table in tables.values():  # a dump turns positions and forces only
        columns = table[:, 8:].reshape(-1, 3, 3)
        np.testing.assert_allclose(np.einsum("iab,ax,by->ixy", columns, turn, turn), z, atol=1e-7)
    forces = prism.vector_to_ase(tables["restricted"][:, 5:8])
    np.testing.assert_allclose(forces, atoms.get_forces(), atol=1e-7)

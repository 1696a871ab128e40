"""Cells that another program hands over, in one run: wave vectors that follow, and that do not."""

import os
import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from ase import Atoms
from ase.calculators.lammps import Prism
from ase.calculators.socketio import SocketIOCalculator
from lmp import BIN, run, write_data
from test_errors import error_of

from lammps_les.calculators import LesCalculator

Water = Callable[..., Atoms]

STRAINS = [
    np.diag([0.0, 0.0, 0.0]),
    np.diag([0.03, 0.03, 0.03]),
    np.diag([0.10, 0.10, 0.10]),
    np.array([[0.0, 0.0, 0.0], [0.12, 0.05, 0.0], [0.0, 0.1, -0.05]]),
    np.diag([0.0, 0.0, 0.0]),
]


def errors_of_a_client(folder: Path, atoms: Atoms, model: Path, style: str) -> tuple[list, str]:
    """Errors of energies (eV) and forces (eV/A) of fix ipi over STRAINS, and what was printed."""
    elements = ["H", "O"]
    atoms = atoms[np.argsort(atoms.numbers, kind="stable")]
    tilted = atoms.copy()  # a tilt that is not zero makes the box of LAMMPS a triclinic one
    tilted.set_cell(atoms.cell.array + np.array([[0, 0, 0], [1e-9, 0, 0], [0, 0, 0]]))
    data = folder / "data.lmp"
    write_data(data, tilted, elements, Prism(tilted.cell, pbc=True))
    text = data.read_text()
    if "xy xz yz" not in text:
        text = text.replace("zlo zhi\n", "zlo zhi\n0.0 0.0 0.0 xy xz yz\n")
    data.write_text(text)
    name = f"les_test_{os.getpid()}_{folder.name}"
    (folder / "in.lmp").write_text(
        "units metal\natom_style atomic\natom_modify map array sort 0 0\nread_data data.lmp\n"
        f"pair_style les {style}\npair_coeff * * {model} H O\n"
        f"fix 1 all ipi {name} 32345 unix\nthermo 1000\nrun 100000\n"
    )
    environment = os.environ | {"PATH": f"{BIN}:{os.environ['PATH']}", "OMP_NUM_THREADS": "1"}
    errors = []
    with SocketIOCalculator(unixsocket=name, timeout=120) as server:
        client = subprocess.Popen(
            ["lmp", "-in", "in.lmp", "-log", "none"],
            cwd=folder,
            env=environment,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        for strain in STRAINS:
            one = atoms.copy()
            one.set_cell(atoms.cell.array @ (np.eye(3) + strain), scale_atoms=True)
            reference = one.copy()
            one.calc, reference.calc = server, LesCalculator(model)
            difference = one.get_potential_energy() - reference.get_potential_energy()
            forces = one.get_forces() - reference.get_forces()
            errors.append((abs(difference), np.abs(forces).max()))
    return errors, client.communicate(timeout=120)[0]


@pytest.mark.parametrize("kspace", ["direct", "mesh"])
def test_cells_of_an_ipi_server(
    kspace: str, water: Water, shipped: Callable[..., Path], tmp_path: Path
) -> None:
    style = f"kspace {kspace} kset cell" + (" accuracy 1e-7" if kspace == "mesh" else "")
    errors, log = errors_of_a_client(tmp_path, water(2), shipped(), style)
    # i-PI's lengths go through bohr and back; the mesh has its accuracy
    energy, force = (1e-5, 1e-6) if kspace == "direct" else (1e-5, 1e-4)
    for of_energy, of_forces in errors:
        assert of_energy < energy
        assert of_forces < force
    assert "WARNING: pair les: the cell has changed" not in log


def test_a_run_keeps_its_wave_vectors(
    water: Water, shipped: Callable[..., Path], tmp_path: Path
) -> None:
    errors, log = errors_of_a_client(tmp_path, water(2), shipped(), "kspace direct")
    assert errors[0][0] < 1e-5
    assert max(e for e, _ in errors) > 1e-3
    assert errors[-1][0] < 1e-5  # back in the first cell
    assert log.count("WARNING: pair les: the cell has changed by more than 5 %") == 1
    assert "or use 'pair_style les kset cell' where another program hands over the cells" in log


@pytest.mark.parametrize("ranks", [1, 2])
@pytest.mark.parametrize("kset", ["0.0", "0.005", "run"])
def test_strain_at_which_wave_vectors_are_chosen_anew(
    kset: str, ranks: int, water: Water, shipped: Callable[..., Path], tmp_path: Path
) -> None:
    """A box that grows by 0.4 % a step: energies are those of each cell with its own vectors.

    On its way through |n|^2 = 10, at 2 A sqrt(10).
    """
    atoms, model = water(2), shipped()
    steps, rate = 8, 0.004
    commands = [
        "velocity all set 0 0 0",
        f"fix d all deform 1 x scale {1 + steps * rate} y scale {1 + steps * rate} "
        f"z scale {1 + steps * rate} remap x",
        'fix p all print 1 "STEP $(lx:%.16g) $(pe:%.16g)" screen yes',
        "thermo 1",
        f"run {steps}",
    ]
    style = f"kspace direct kset {kset}"
    result = run(tmp_path, atoms, model, style=style, commands=commands, ranks=ranks, quantities="")
    rows = np.array(
        [[float(x) for x in m] for m in re.findall(r"^STEP (\S+) (\S+)$", result.log, re.M)]
    )
    lengths, energies = rows[:-1, 0], rows[1:, 1]  # fix deform moves the box after the energy
    assert lengths[0] < 2.0 * 10**0.5 < lengths[-1]
    errors = []
    for length, energy in zip(lengths, energies, strict=True):
        reference = atoms.copy()
        reference.set_cell(atoms.cell * length / atoms.cell[0, 0], scale_atoms=True)
        reference.calc = LesCalculator(model)
        errors.append(abs(energy - reference.get_potential_energy()))
    chosen = {"0.0": errors, "0.005": errors[::2], "run": errors[:1]}[kset]  # when they were
    assert max(chosen) < 1e-8
    assert max(errors) < 1e-2
    assert kset != "run" or errors[-1] > 1e-3


@pytest.mark.parametrize("value", ["step", "S", "-0.1", "nan"])
def test_wrong_value(value: str, water: Water, toy_model: Callable, tmp_path: Path) -> None:
    message = error_of(tmp_path, water(2), toy_model("linear"), style=f"kset {value}")
    expected = "run, cell, or a strain from 0 to 1"
    assert f"keyword 'kset' expects {expected}, not '{value}'" in message

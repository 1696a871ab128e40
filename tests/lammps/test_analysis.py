"""What LAMMPS writes is what the analyses read: log, fix ave/time, fix print, dump."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from ase import Atoms
from lmp import run

from lammps_les.analysis import polarization, raman, transport
from lammps_les.analysis.dumps import read_frames_of_dump
from lammps_les.analysis.lammps_output import read_series
from lammps_les.analysis.runs import Given, load_run
from lammps_les.calculators import LesCalculator
from lammps_les.units import COULOMB

BEC = " ".join(f"c_z[{n}]" for n in range(1, 10))
COMMANDS = [
    "log run.log",
    "compute J all les/current",
    "compute z all les/atom bec",
    "velocity all create 300.0 4",
    "fix field all efield/bec 0.02 0 0.05",
    "fix integrate all nve",
    "variable time equal time",
    "variable volume equal vol",
    "fix series all ave/time 1 1 1 v_time c_thermo_temp v_volume c_J[1] c_J[2] c_J[3] f_field[4] "
    'f_field[5] f_field[6] file series.dat format " %.12g"',
    'fix print all print 1 "$(step) $(time) $(f_field[6]:%.12g)" title "# step time P" '
    "file print.dat screen no",
    f"dump path all custom 1 path.dump type id xu yu zu {BEC}",
    "dump_modify path format float %.14g",
    "thermo 1",
    "thermo_style custom step temp vol f_field[6] c_J[3] pe evdwl ecoul c_stress[1] c_stress[2] "
    "c_stress[3] c_stress[4] c_stress[5] c_stress[6]",  # those that run() prints
    "thermo_modify format float %.12g",
    "run 12",
    "thermo_modify line yaml format float %.12g",
    "run 12",
]


@pytest.fixture(params=["metal", "real"])
def folder(
    request: pytest.FixtureRequest,
    water: Callable[..., Atoms],
    toy_model: Callable[..., Path],
    tmp_path: Path,
) -> Path:
    """Where 24 steps of a toy of water in a field were run."""
    place = tmp_path / request.param
    timestep = "timestep 0.0005" if request.param == "metal" else "timestep 0.5"
    commands = [timestep, *COMMANDS]
    run(place, water(2), toy_model("linear"), quantities="", commands=commands, units=request.param)
    return place


def test_the_three_ways_to_write_numbers_agree(folder: Path) -> None:
    log, series, printed = (
        read_series(folder / name) for name in ("run.log", "series.dat", "print.dat")
    )
    for one in (log, series, printed):
        assert len(one) == 25
    np.testing.assert_allclose(log.columns["f_field[6]"], series.columns["f_field[6]"], rtol=1e-9)
    np.testing.assert_allclose(printed.columns["P"], series.columns["f_field[6]"], rtol=1e-9)
    np.testing.assert_allclose(log.columns["c_J[3]"], series.columns["c_J[3]"], rtol=1e-9)


def test_polarization_is_the_integral_of_the_current(folder: Path) -> None:
    """And has the units that it should, in units metal and real."""
    units = "real" if "real" in folder.name else "metal"
    one = load_run(folder / "series.dat", Given(units=units, skip=0.0))
    assert one.step == pytest.approx(0.0005)
    moved = one.polarization(None)
    assert moved is not None
    found = transport.integrated(one.current(None), one.step)
    np.testing.assert_allclose(found, moved - moved[0], atol=2e-3 * np.abs(moved).max())
    log = load_run(
        folder / "run.log", Given(units=units, timestep=0.5 if units == "real" else 5e-4)
    )
    assert log.step == pytest.approx(0.0005)
    assert log.volume == pytest.approx(one.volume)


def test_path_of_the_dump_has_the_polarization_of_the_fix(folder: Path) -> None:
    """The analysis takes the mean of Z off, the fix does not."""
    frames = read_frames_of_dump(folder / "path.dump")
    path = np.array([frame.fractional() for frame in frames])
    cells = np.array([frame.cell for frame in frames])
    z = np.array([frame.tensors("c_z[1*9]") for frame in frames])
    dipoles, _ = polarization.atomic_dipoles(path, cells, z)
    means = 0.5 * (z[1:] + z[:-1]).mean(axis=1)
    places = np.array([frame.positions().sum(axis=0) for frame in frames])
    drift = np.einsum("nab,nb->a", means, np.diff(places, axis=0))
    series = read_series(folder / "series.dat").take("f_field[4*6]", 3)
    np.testing.assert_allclose(
        dipoles.sum(axis=0) + drift,
        series[-1] - series[0],
        atol=1e-7 * np.abs(series).max(),
    )


@pytest.mark.parametrize("units", ["metal", "real"])
def test_raman_reads_the_polarizability_of_the_cell(
    units: str, water: Callable[..., Atoms], toy_model: Callable[..., Path], tmp_path: Path
) -> None:
    """In A^3 and the order of the analysis; a restarted run goes on in the same file."""
    model, atoms = toy_model("multipoles"), water(2)
    atoms.set_cell(1.1 * atoms.cell.array, scale_atoms=True)  # chi stays below 1
    step = 0.5 if units == "real" else 0.0005
    series = (
        "fix series all ave/time 2 1 2 v_time c_thermo_temp v_volume c_alpha[1] c_alpha[2] "
        'c_alpha[3] c_alpha[4] c_alpha[5] c_alpha[6] {} series.dat format " %.12g"'
    )
    commands = [
        "velocity all create 300.0 4",
        "fix integrate all nve",
        f"timestep {step}",
        "compute alpha all les/polarizability",
        "variable time equal time",
        "variable volume equal vol",
        series.format("file"),
        "thermo_style custom step temp pe c_stress[*]",
        "run 30",
        "unfix series",
        series.format("append"),
        "run 30",
    ]
    run(tmp_path, atoms, model, channels=2, quantities="", commands=commands, units=units)
    one = load_run(tmp_path / "series.dat", Given(units=units, skip=0.0))
    found = one.take("c_alpha[1*6]", 6)
    assert len(found) == 31
    assert one.step == pytest.approx(0.001)

    expected = LesCalculator(model, multichannel_bec=True)
    atoms.calc = expected
    alpha = COULOMB * expected.get_property("polarizability", atoms)  # e A^2/V to A^3
    sequence = ([0, 1, 2, 0, 0, 1], [0, 1, 2, 1, 2, 2])
    assert np.abs(alpha[sequence][3:]).min() > 1e-3
    np.testing.assert_allclose(found[0], alpha[sequence], rtol=1e-8)

    wavenumber = np.arange(100.0, 4500.0, 100.0)
    spectrum = raman.raman(found, one.step, one.temperature, wavenumber, width=4000.0, blocks=2)
    assert np.all(spectrum.spectra > 0.0)

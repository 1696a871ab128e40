"""Changing cells: conserved quantities, and polarization that knows no origin."""

import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from ase import Atoms
from lmp import run
from test_dynamics import printed, ran, script


@pytest.mark.parametrize("kspace", ["direct", "mesh"])
def test_npt(kspace: str, shipped: Callable[..., Path], tmp_path: Path) -> None:
    """500 steps of anisotropic fix npt: the conserved quantity drifts by < 5e-5 eV/atom/ps."""
    commands = [
        "timestep 0.00025",
        "velocity all create 300.0 11 mom yes dist gaussian",
        "fix 1 all npt temp 300.0 300.0 0.05 aniso 1.0 1.0 0.5",
        "run 300",
        'fix out all print 5 "CONSERVED $(step) $(econserve) $(vol)" screen yes',
        "thermo_style custom step temp pe etotal econserve press vol",
        "run 500",
    ]
    path = script(tmp_path, shipped("float64"), *commands)
    path.write_text(path.read_text().replace("pair_style les", f"pair_style les kspace {kspace}"))
    steps, conserved, volume = printed(ran(path, ranks=2), "CONSERVED").T
    assert np.ptp(volume) / volume[0] > 1e-3  # the cell did change
    drift = np.polyfit(steps * 0.00025, conserved, 1)[0] / 192
    assert abs(drift) < 5e-5
    assert np.abs(np.diff(conserved)).max() / 192 < 2e-5  # and there is no jump


@pytest.mark.parametrize("kspace", ["direct", "mesh"])
def test_wave_vectors_stay_within_a_run(
    kspace: str, water: Callable[..., Atoms], toy_model: Callable[..., Path], tmp_path: Path
) -> None:
    """A cell that grows through shells of wave vectors: no jump, pressure is the slope."""
    commands = [
        "velocity all set 0.0 0.0 0.0",
        "fix d all deform 1 x scale 1.06 y scale 1.06 z scale 1.06 remap x",
        "variable e equal pe",
        "variable p equal (c_stress[1]+c_stress[2]+c_stress[3])/3",
        'fix out all print 1 "CELL $(vol:%.15g) $(v_e:%.15g) $(v_p:%.15g)" screen yes',
        "thermo_style custom step pe vol c_stress[*]",
        "thermo 1",
        "run 120",
    ]
    model, style = toy_model("constant"), f"kspace {kspace}"
    result = run(tmp_path, water(3), model, style=style, commands=commands, quantities="")
    after, energy, pressure = printed(result.log, "CELL").T
    # fix deform changes the box at the end of a step: energy and virial are those of the box before
    volume, energy, virial = after[:-1], energy[1:], (pressure * after)[1:]
    pressure = virial / volume
    assert volume[-1] / volume[0] > 1.15
    assert "WARNING: pair les: the cell has changed by more than 5 %" in result.log
    # trapezoid of -p dV against the change of energy; bar A^3 to eV
    work = -np.concatenate(
        [[0.0], np.cumsum(0.5 * (pressure[1:] + pressure[:-1]) * np.diff(volume))]
    )
    change = energy - energy[0]
    assert np.ptp(change) > 0.5
    np.testing.assert_allclose(work / 1602176.5, change, rtol=0, atol=2e-4 * np.ptp(change))


@pytest.mark.parametrize("tilt", ["xy", "xz", "yz"])
@pytest.mark.parametrize("style", ["kspace direct bec phase", "kspace mesh accuracy 1e-6"])
def test_flipped_tilt(
    style: str,
    tilt: str,
    water: Callable[..., Atoms],
    toy_model: Callable[..., Path],
    tmp_path: Path,
) -> None:
    """Where LAMMPS flips the tilt, the lattice stays the same, and so do the wave vectors.

    A tilt flips by the side of its first axis; y is three times as long as x.
    """
    start = {"xy": 0.4, "xz": -0.3, "yz": 0.2} | {tilt: 0.48}
    side = f"l{tilt[0]}"
    rows = {}
    for flip in ("yes", "no"):
        commands = [
            "neigh_modify every 1 delay 0 check no",
            "change_box all triclinic",
            *(f"change_box all {t} final $({x}*l{t[0]}) units box" for t, x in start.items()),
            "velocity all create 300.0 5 loop all",
            "timestep 0.0002",
            f"fix d all deform 1 {tilt} delta $(0.04*{side}) flip {flip}",
            "fix 1 all nve",
            "fix f all efield/bec 0.0 0.1 0.0",
            f'fix out all print 1 "TILT $({tilt}) $(v_e:%.15g) $(c_stress[1]:%.15g) '
            '$(c_stress[4]:%.15g) $(f_f:%.15g) $(f_f[4]:%.15g)" screen yes',
            "thermo_style custom step pe c_stress[*] f_f f_f[*]",
            "thermo 1",
            "variable e equal pe",
            "run 40",
        ]
        result = run(
            tmp_path / flip,
            water(2).repeat((1, 3, 1)),
            toy_model("linear"),
            style=style,
            commands=commands,
            ranks=2,
            quantities="",
        )
        rows[flip] = printed(result.log, "TILT")
    assert np.abs(np.diff(rows["yes"][:, 0])).max() > 3.0
    assert np.abs(np.diff(rows["no"][:, 0])).max() < 0.1
    tolerance = 1e-5 if "mesh" in style else 1e-9
    size = np.abs(rows["no"][:, 1:]).max(axis=0)
    np.testing.assert_array_less(np.abs(rows["yes"] - rows["no"])[:, 1:] / size, tolerance)


@pytest.mark.parametrize("motion", ["nph", "triclinic nph", "deform"])
def test_polarization_knows_no_origin(
    motion: str, water: Callable[..., Atoms], toy_model: Callable[..., Path], tmp_path: Path
) -> None:
    """The polarization is the integral of the current, wherever the origin lies."""
    fixes = {
        "nph": ["fix 1 all nph aniso 1.0 1.0 0.2"],
        "triclinic nph": ["change_box all triclinic", "fix 1 all nph tri 1.0 1.0 0.2"],
        "deform": ["fix 1 all nve", "fix 2 all deform 1 x scale 1.05 y scale 0.97 remap x"],
    }[motion]
    results = []
    for shift in (0.0, 5.0):
        atoms = water(3)
        atoms.positions += shift
        atoms.wrap()
        commands = [
            "timestep 0.0002",
            "velocity all create 300.0 5 loop all",
            *fixes,
            "fix f all efield/bec 0.0 0.0 0.1",
            'fix out all print 1 "FIX $(f_f) $(f_f[4]) $(f_f[5]) $(f_f[6]) '
            '$(f_f[7]) $(f_f[8]) $(f_f[9])" screen yes',
            "thermo 1",
            "thermo_style custom step pe f_f f_f[*]",
            "run 100",
        ]
        model = toy_model("linear")
        rows = printed(
            run(tmp_path / f"{shift}", atoms, model, commands=commands, ranks=2).log, "FIX"
        )
        current = rows[:, 4:]
        integral = 0.0002 * 0.5 * (current[1:] + current[:-1]).sum(axis=0)
        assert np.abs(integral).max() > 5e-3
        np.testing.assert_allclose(rows[-1, 1:4] - rows[0, 1:4], integral, rtol=0, atol=1e-3)
        results.append(rows)
    np.testing.assert_allclose(results[1][:, :4], results[0][:, :4], rtol=0, atol=1e-6)


def test_box_relax_in_a_field(
    water: Callable[..., Atoms], shipped: Callable[..., Path], tmp_path: Path
) -> None:
    """The box ends at the pressures that were asked for, without those of the field."""
    target = {"x": 2000.0, "y": 0.0, "z": -1000.0}  # bar
    wanted = " ".join(f"{axis} {value}" for axis, value in target.items())
    commands = [
        f"fix r all box/relax {wanted} vmax 0.005 nreset 100",
        "fix f all efield/bec 0.0 0.02 0.05",
        "fix_modify f energy yes",
        "compute p all pressure NULL pair",
        "thermo_style custom step pe press c_stress[*] c_p[*]",
        "minimize 0.0 1e-3 1000 10000",
        'print "VALUE work $(f_f:%.17g)"',
        *(f'print "VALUE {axis} $(c_p[{k}]:%.17g)"' for k, axis in enumerate(target, 1)),
    ]
    result = run(tmp_path, water(2), shipped(), commands=commands, quantities="")
    energies = r"Energy initial, next-to-last, final =\s+(\S+)\s+\S+\s+(\S+)"
    start, end = re.search(energies, result.log).groups()
    assert float(end) < float(start) - 1.0
    assert result.values["work"] < -0.02
    found = [result.values[axis] for axis in target]
    np.testing.assert_allclose(found, list(target.values()), rtol=0, atol=200.0)

"""Trajectories: conserved energies, restarts, units, minimisation, memory."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from ase import Atoms
from lmp import launch, read_dump, run

EXAMPLE = Path(__file__).parents[2] / "lammps_examples" / "water_field"


def script(
    folder: Path, model: Path, *lines: str, units: str = "metal", data: Path | None = None
) -> Path:
    """Write an input on the 64 equilibrated waters of the example (types H, O)."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "in.lmp"
    head = [
        f"units {units}",
        "atom_style atomic",
        f"read_data {data or EXAMPLE / 'data.water'}",
        "pair_style les",
        f"pair_coeff * * {model} H O",
    ]
    path.write_text("\n".join([*head, *lines]) + "\n")
    return path


def printed(log: str, name: str) -> np.ndarray:
    """Numbers of all lines `NAME a b c ...`, one row each."""
    rows = [m[1].split() for m in re.finditer(rf"^{name} (.*)$", log, re.MULTILINE)]
    return np.array(rows, dtype=float)


def ran(path: Path, ranks: int = 1) -> str:
    returncode, log = launch(path, ranks)
    assert returncode == 0, log[-3000:]
    return log


FIELDS = {
    "none": [],
    "constant": ["fix f all efield/bec 0.0 0.0 0.1"],
    "30 THz": ["variable ez equal 0.1*sin(2*PI*30.0*time)", "fix f all efield/bec 0.0 0.0 v_ez"],
    "atom-style": ["variable ez atom 0.1*cos(2*PI*x/lx)", "fix f all efield/bec 0.0 0.0 v_ez"],
}


@dataclass
class Conserved:
    """What an NVE run of 2,000 steps of 0.25 fs at 300 K conserves: etotal, plus f_fix."""

    drift: float  # slope of a linear fit times the length, eV/atom
    resolution: float  # its standard error
    fluctuation: float  # rms about the fit, eV/atom
    without_fix: float  # range of etotal alone, eV/atom
    polarization: float


def nve(folder: Path, model: Path, field: str, kspace: str = "auto") -> Conserved:
    commands = [
        "timestep 0.00025",
        "velocity all create 300.0 11 mom yes dist gaussian",
        "fix t all nvt temp 300.0 300.0 0.05",
        *FIELDS[field],
        "run 400",
        "unfix t",
        "velocity all zero linear",
        "fix 1 all nve",
        "variable e equal etotal" + ("+f_f" if FIELDS[field] else ""),
        "variable p equal sqrt(vcm(all,x)^2+vcm(all,y)^2+vcm(all,z)^2)",
        'fix out all print 10 "DRIFT $(step) ${e} ${p} $(temp) $(etotal)" screen yes',
        "run 2000",
    ]
    if FIELDS[field]:
        commands.append('print "POLARIZATION $(f_f[6])"')
    path = script(folder, model, *commands)
    path.write_text(path.read_text().replace("pair_style les", f"pair_style les kspace {kspace}"))
    log = ran(path, ranks=2)
    steps, energy, momentum, temperature, alone = printed(log, "DRIFT").T
    assert len(steps) > 200
    assert 200.0 < temperature.mean() < 400.0
    assert momentum.max() < 1e-9  # A/ps
    line, covariance = np.polyfit(steps, energy / 192, 1, cov=True)
    result = Conserved(
        drift=line[0] * 2000,
        resolution=np.sqrt(covariance[0, 0]) * 2000,
        fluctuation=float(np.std(energy / 192 - np.polyval(line, steps))),
        without_fix=np.ptp(alone / 192),
        polarization=printed(log, "POLARIZATION")[0, 0] if FIELDS[field] else 0.0,
    )
    print(
        f"field {field}, kspace {kspace}: drift {result.drift:.1e} +- {result.resolution:.1e}, "
        f"fluctuation {result.fluctuation:.1e} eV/atom, without f_fix {result.without_fix:.1e}, "
        f"momentum {momentum.max():.0e} A/ps"
    )
    return result


@pytest.mark.parametrize("field", FIELDS)
def test_nve_drift(field: str, shipped: Callable[..., Path], tmp_path: Path) -> None:
    """The sum of etotal and f_fix drifts by less than 2e-5 eV/atom."""
    result = nve(tmp_path, shipped("float64"), field)
    assert abs(result.drift) < 2e-5
    if FIELDS[field]:  # which did something that had to be accounted for
        assert result.without_fix > 2.5e-4
        assert result.fluctuation < 0.05 * result.without_fix
        assert abs(result.polarization) > 1e-3


def test_the_mesh_conserves_energy_as_the_direct_sum(
    shipped: Callable[..., Path], tmp_path: Path
) -> None:
    direct, mesh = (
        nve(tmp_path / kspace, shipped("float64"), "none", kspace) for kspace in ("direct", "mesh")
    )
    assert mesh.fluctuation < 1.5 * direct.fluctuation
    noise = 2.0 * (mesh.resolution + direct.resolution)
    assert abs(mesh.drift) < 1.5 * abs(direct.drift) + noise


@pytest.mark.parametrize(("ranks", "ranks_after"), [(1, 1), (2, 2), (1, 2), (2, 1)])
def test_restart(
    ranks: int, ranks_after: int, shipped: Callable[..., Path], tmp_path: Path
) -> None:
    model = shipped("float64")
    fixes = [
        "timestep 0.0005",
        "fix 1 all nve",
        "variable ez equal 0.1*cos(2*PI*15.0*time)",  # period 133 steps
        "fix f all efield/bec 0.0 0.05 v_ez",
        "fix_modify f energy yes",
        "thermo 10",
    ]
    report = [
        'print "STATE $(pe:%.17g) $(ke:%.17g) $(f_f:%.17g) '
        '$(f_f[4]:%.17g) $(f_f[5]:%.17g) $(f_f[6]:%.17g) $(f_f[7]:%.17g)"',
        "write_dump all custom atoms.dump id x y z vx vy vz modify sort id format float %.17g",
    ]
    whole = script(
        tmp_path / "whole",
        model,
        "velocity all create 300.0 11",
        *fixes,
        "run 40",
        "write_restart half.restart",
        "run 40",
        *report,
    )
    log = ran(whole, ranks)
    second = tmp_path / "second" / "in.lmp"
    second.parent.mkdir()
    second.write_text(
        "\n".join(
            [
                "units metal",
                f"read_restart {whole.parent / 'half.restart'}",
                "pair_style les",
                f"pair_coeff * * {model} H O",
                *fixes,
                "run 40",
                *report,
            ]
        )
        + "\n"
    )
    log_second = ran(second, ranks_after)
    one, two = printed(log, "STATE")[0], printed(log_second, "STATE")[0]
    assert abs(one[2]) > 1e-3
    assert abs(one[5]) > 1e-3
    np.testing.assert_allclose(two, one, rtol=1e-9, atol=1e-9)
    table = [read_dump(p / "atoms.dump") for p in (whole.parent, second.parent)]
    np.testing.assert_allclose(table[1], table[0], rtol=0, atol=1e-9)


def test_units_real_exactly(
    water: Callable[..., Atoms], toy_model: Callable[..., Path], tmp_path: Path
) -> None:
    """Without dynamics the two unit systems differ by constant factors only."""
    commands = ["fix f all efield/bec 0.1 -0.2 0.3", "run 0"]
    runs = [
        run(tmp_path / u, water(3), toy_model("linear"), units=u, commands=commands)
        for u in ("metal", "real")
    ]
    assert runs[1].energy == pytest.approx(runs[0].energy, rel=1e-12)
    np.testing.assert_allclose(runs[1].forces, runs[0].forces, rtol=0, atol=1e-10)
    np.testing.assert_allclose(
        runs[1].stress, runs[0].stress, rtol=1e-5, atol=1e-7
    )  # LAMMPS's nktv2p constants
    for column in ("q0", "phi0", "bec0", "bec5"):
        np.testing.assert_allclose(
            runs[1].columns[column], runs[0].columns[column], rtol=0, atol=1e-12
        )


def test_respa_with_the_pair_style_as_a_whole(
    water: Callable[..., Atoms], toy_model: Callable[..., Path], tmp_path: Path
) -> None:
    """Nothing but drift on the inner level: the same path as without levels."""
    runs = [
        run(
            tmp_path / style.replace(" ", "_"),
            water(2),
            toy_model("linear"),
            quantities="",
            commands=[
                "velocity all create 300.0 5",
                "fix 1 all nve",
                "timestep 0.0005",
                f"run_style {style}",
                "run 10",
            ],
        )
        for style in ("verlet", "respa 2 2 pair 2")
    ]
    assert np.abs(runs[0].vectors("") - water(2).positions).max() > 0.05
    for name in ("", "f"):
        np.testing.assert_allclose(runs[1].vectors(name), runs[0].vectors(name), rtol=0, atol=1e-9)


@pytest.mark.parametrize("field", [0.0, 0.02])
def test_minimize(field: float, shipped: Callable[..., Path], tmp_path: Path) -> None:
    fixes = [f"fix f all efield/bec 0.0 0.0 {field}", "fix_modify f energy yes"] if field else []
    log = ran(
        script(
            tmp_path,
            shipped("float64"),
            *fixes,
            "minimize 0.0 5.0e-2 1000 10000",
            'print "FMAX $(fmax) $(pe)"',
        )
    )
    assert "Stopping criterion = force tolerance" in log, log[-2500:]
    start, end = re.search(
        r"Energy initial, next-to-last, final =\s+(\S+)\s+\S+\s+(\S+)", log
    ).groups()
    assert float(end) < float(start) - 1.0
    if field:
        assert "WARNING: fix efield/bec" not in log


def test_minimize_without_energy_is_warned_about(
    shipped: Callable[..., Path], tmp_path: Path
) -> None:
    log = ran(
        script(
            tmp_path, shipped("float32"), "fix f all efield/bec 0 0 0.02", "minimize 0.0 1.0 2 20"
        )
    )
    assert (
        "without 'fix_modify f energy yes' the minimizer does not see the energy of the field"
        in log
    )


def test_memory_is_flat(shipped: Callable[..., Path], tmp_path: Path) -> None:
    """The number of edges changes nearly every step; after step 500 memory grows no more."""
    usage = ["info memory"]
    log = ran(
        script(
            tmp_path,
            shipped("float32"),
            "velocity all create 600.0 11",
            "timestep 0.0005",
            "fix 1 all nve",
            "fix f all efield/bec 0 0 0.1",
            "thermo 100",
            "run 500",
            *usage,
            "run 500",
            *usage,
        )
    )
    peak = [float(m) for m in re.findall(r"Maximum resident set size: (\S+) Mbyte", log)]
    assert len(peak) == 2
    assert peak[1] < peak[0] + 2.0

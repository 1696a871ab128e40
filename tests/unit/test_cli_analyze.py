"""``lammps-les analyze`` from files to tables, CSV and PNG."""

import csv
from pathlib import Path

import ase
import ase.io
import numpy as np
import pytest
from scipy import signal
from test_cli import run

from lammps_les.analysis.lammps_output import read_series

KEEP = np.exp(-0.2)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def current(seed: int, samples: int = 9000) -> np.ndarray:
    noise = np.random.default_rng(seed).normal(size=(samples, 3)) * np.sqrt(40 * (1 - KEEP**2))
    return signal.lfilter([1.0], [1.0, -KEEP], noise, axis=0)


def write_run(path: Path, series: np.ndarray, field: np.ndarray | None = None) -> None:
    """As fix ave/time does, every 2 fs."""
    samples = len(series)
    rows = np.column_stack(
        [
            np.arange(samples),
            0.002 * np.arange(samples),
            np.full(samples, 300.0),
            np.full(samples, 1000.0),
            np.zeros(samples) if field is None else field,
            series,
            0.5 * series,
        ]
    )
    names = "TimeStep v_time c_thermo_temp v_volume v_E c_J[1] c_J[2] c_J[3] c_n[1] c_n[2] c_n[3]"
    np.savetxt(path, rows, "%.9g", header=f"Time-averaged data for fix series\n{names}")


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open() as file:
        return list(csv.DictReader(file))


def test_ir_of_two_runs(folder: Path) -> None:
    for n in range(2):
        write_run(folder / f"run{n}.dat", current(n))
    (folder / "measured.csv").write_text("k,height\n100,5\n200,7\n300,6\n")
    code, text = run(
        "analyze", "ir", "run0.dat", "run1.dat", "-o", "out/x", "--width", "40", "--band",
        "low=100-400", "--nominal", "c_n[*]", "--reference", "measured.csv", "--epsilon-inf", "1.8",
    )  # fmt: skip
    assert code == 0, text
    bands = rows_of(folder / "out" / "x-ir-bands.csv")
    assert [(b["run"], b["charges"]) for b in bands] == [
        ("run0", "BEC"), ("run0", "nominal"), ("run1", "BEC"), ("run1", "nominal"),
    ]  # fmt: skip
    areas = [float(b["integral of n alpha [1e6/cm^2]"]) for b in bands]
    assert areas[0] == pytest.approx(4.0 * areas[1])
    spectrum = read_series(folder / "out" / "x-ir.csv").columns
    k, height = spectrum["wavenumber [1/cm]"], spectrum["run0: n alpha [1/cm]"]
    whole = np.trapezoid(spectrum["run0: n alpha normalized [cm]"], k)
    assert whole == pytest.approx(1.0)
    # n alpha from the permittivity: the two transforms are one
    np.testing.assert_allclose(
        (spectrum["run0: n"] * spectrum["run0: alpha [1/cm]"])[20:], height[20:], rtol=0.02
    )
    assert (folder / "out" / "x-ir.png").stat().st_size > 5000
    assert "run0.dat: " in text


def test_conductivity_table(folder: Path) -> None:
    write_run(folder / "bulk.dat", current(1))
    drift = 0.3 * np.arange(3.0)
    write_run(folder / "driven.dat", current(2) + drift)
    code, text = run(
        "analyze", "conductivity", "bulk.dat", "--field-run", "driven.dat", "--field", "0,0.1,0.2",
        "--nominal", "c_n[*]",
    )  # fmt: skip
    assert code == 0, text
    rows = rows_of(folder / "bulk-conductivity.csv")
    assert [r["method"] for r in rows if r["charges"] == "BEC"] == [
        "Green-Kubo", "Helfand-Einstein", "cepstral",
        "field, mean current", "field, slope of displacement",
    ]  # fmt: skip
    for row in rows:
        value, error = float(row["sigma [S/m]"]), float(row["sigma [S/m] error"])
        square = 1.0 if row["run"] == "driven" else 0.5
        truth = 4.8066 if row["run"] == "driven" else 24.86
        truth *= square if row["charges"] == "nominal" else 1.0
        if row["charges"] == "nominal":
            truth *= 0.5
        assert abs(value - truth) < 4.0 * error, row
        assert error < 0.5 * truth or row["run"] == "driven"
    curves = rows_of(folder / "bulk-conductivity-running.csv")
    assert {c["curve"] for c in curves} == {"bulk (BEC) Green-Kubo", "bulk (nominal) Green-Kubo"}


def test_conductivity_in_a_field_that_oscillates(folder: Path) -> None:
    field = 0.1 * np.sin(2.0 * np.pi * 5.0 * 0.002 * np.arange(9000))
    series = 0.1 * current(1)
    series[:, 2] += 12.0 * field
    write_run(folder / "ac.dat", series, field)
    options = ["analyze", "conductivity", "--field-run", "ac.dat", "--field", "0,0,v_E"]
    code, text = run(*options, "--frequency", "5")
    assert code == 0, text
    row = rows_of(folder / "ac-conductivity.csv")[0]
    value, error = float(row["sigma [S/m]"]), float(row["sigma [S/m] error"])
    assert abs(value - 12.0 * 1.602177) < 4.0 * error < 8.0
    code, text = run(*options)
    assert code == 1
    assert text.startswith("note: ac.dat: ")
    assert "error: ac.dat: the field changes by 0.2 V/A; give its --frequency" in text


def write_dipoles(path: Path, seed: int, shift: float) -> None:
    """A dipole that relaxes, as f_field[4*6], and a polarizability, every 2 fs."""
    noise = np.random.default_rng(seed).normal(size=(9000, 3)) * np.sqrt(3 * (1 - KEEP**2))
    dipole = signal.lfilter([1.0], [1.0, -KEEP], noise, axis=0)
    alpha = 100.0 + dipole
    rows = np.column_stack([np.arange(9000), 0.002 * np.arange(9000), dipole, alpha, dipole])
    rows[:, 4] += shift
    names = "TimeStep v_time f_field[4] f_field[5] f_field[6]"
    names += "".join(f" c_alpha[{n}]" for n in range(1, 7))
    np.savetxt(path, rows, "%.9g", header=f"Time-averaged data for fix series\n{names}")


def test_dielectric_table(folder: Path) -> None:
    """Variance 3 e^2 A^2, 1900 A^3, 300 K: epsilon = epsilon_inf + 11.05."""
    write_dipoles(folder / "rest.dat", 1, 0.0)
    write_dipoles(folder / "up.dat", 2, 2.3209)  # 3/(kB T) 0.02 V/A
    code, text = run(
        "analyze", "dielectric", "rest.dat", "--field-run", "up.dat", "--field", "0,0,0.02",
        "--temperature", "300", "--volume", "1900", "--polarizability", "c_alpha[*]", "--skip", "0",
    )  # fmt: skip
    assert code == 0, text
    rows = rows_of(folder / "rest-dielectric.csv")
    infinite = 1.0 + 4.0 * np.pi * 100.0 / 1900.0
    expected = [infinite, infinite + 11.05, infinite + 11.05]
    assert [row["method"] for row in rows] == [
        "epsilon_inf, polarizability", "fluctuations", "fields",
    ]  # fmt: skip
    for row, truth in zip(rows, expected, strict=True):
        error = float(row["epsilon error"])
        assert abs(float(row["epsilon"]) - truth) < 3.0 * error < 0.3 * truth
    assert (folder / "rest-dielectric.png").stat().st_size > 5000


def test_raman_of_a_file(folder: Path) -> None:
    write_dipoles(folder / "alpha.dat", 1, 0.0)
    code, text = run(
        "analyze", "raman", "alpha.dat", "--temperature", "300", "--width", "60", "--skip", "0",
        "--band", "low=100-400",
    )  # fmt: skip
    assert code == 0, text
    band = rows_of(folder / "alpha-raman-bands.csv")[0]
    value, error = float(band["ratio VH/VV"]), float(band["ratio VH/VV error"])
    # three components on the diagonal and three beside it, each of one variance: <a^2> = 1/3,
    # <beta:beta>/10 = (2 + 6)/10
    assert abs(value - 0.8 / (1.0 / 3.0 + 0.8 * 4.0 / 3.0)) < 4.0 * error < 0.2
    spectrum = read_series(folder / "alpha-raman.csv").columns
    assert (spectrum["alpha: isotropic [A^2 cm/sr]"] > 0.0).all()


def write_dump(path: Path, heights: list[float], charge: float = 7.0) -> None:
    """Two cells of Ti and O, 4 A each along x; Ti moved along z, Z = +-charge."""
    lines = []
    for step, height in enumerate(heights):
        lines += ["ITEM: TIMESTEP", str(step), "ITEM: NUMBER OF ATOMS", "4"]
        lines += ["ITEM: BOX BOUNDS pp pp pp", "0 8", "0 4", "0 4"]
        names = " ".join(f"c_z[{n}]" for n in range(1, 10))
        lines += [f"ITEM: ATOMS id element x y z {names}"]
        for n, (x, z) in enumerate(((0, height), (2, 2), (4, height), (6, 2)), start=1):
            tensor = " ".join(map(str, (np.eye(3) * charge * (-1) ** (n + 1)).ravel()))
            lines += [f"{n} {'Ti' if n % 2 else 'O'} {x} 0 {z % 4} {tensor}"]
    path.write_text("\n".join(lines) + "\n")


def test_polarization_of_a_dump(folder: Path) -> None:
    heights = 0.2 + 0.05 * np.random.default_rng(0).normal(size=60)
    write_dump(folder / "run.dump", list(heights))
    write_dump(folder / "flat.dump", [0.0])
    code, text = run(
        "analyze", "polarization", "run.dump", "--reference", "flat.dump", "--center", "Ti",
        "--around", "O=4:0.25",
    )  # fmt: skip
    assert code == 0, text
    row = rows_of(folder / "run-polarization.csv")[0]
    value, error = float(row["Pz"]), float(row["Pz error"])
    assert abs(value - 16.02177 * 7.0 * 0.2 / 64.0) < 3.0 * error < 0.05
    assert "branch of the nearest images" in text
    assert "(1.001 0 0) C/m^2" in text  # e 8/128
    local = ase.io.read(folder / "run-polarization-map.xyz")
    assert list(local.symbols) == ["Ti", "Ti"]
    np.testing.assert_allclose(local.get_array("local_polarization")[:, 2], value, rtol=1e-6)
    dipoles = ase.io.read(folder / "run-polarization.xyz").get_array("atomic_dipole")
    assert dipoles.sum(axis=0)[2] * 16.02177 / 128.0 == pytest.approx(value, rel=1e-5)
    assert (folder / "run-polarization-map.png").stat().st_size > 5000


def test_polarization_along_a_path(folder: Path) -> None:
    """Moved by 2.4 A in steps of 0.8: more than half a lattice vector, so the branch is another."""
    write_dump(folder / "path.dump", [0.8, 1.6, 2.4])
    write_dump(folder / "flat.dump", [0.0])
    options = ["analyze", "polarization", "path.dump", "--reference", "flat.dump"]
    for path, height in ((["--path"], 2.4), ([], (0.8 + 1.6 - 1.6) / 3.0)):
        code, text = run(*options, *path)
        assert code == 0, text
        row = rows_of(folder / "path-polarization.csv")[0]
        assert float(row["Pz"]) == pytest.approx(16.02177 * 7.0 * height / 64.0, rel=1e-5)


def test_hysteresis_of_two_files(folder: Path) -> None:
    phase = 2.0 * np.pi * np.arange(1600) / 400.0
    field = 0.05 * np.sin(phase)
    rng = np.random.default_rng(0)
    for name in ("a", "b"):
        loop = 0.2 * np.tanh((field - 0.02 * np.sign(np.cos(phase))) / 0.01)
        rows = np.column_stack([0.01 * np.arange(1600), field, loop + 0.01 * rng.normal(size=1600)])
        np.savetxt(folder / f"{name}.dat", rows, header="v_time v_E v_P")
    code, text = run(
        "analyze", "hysteresis", "a.dat", "b.dat", "--period", "4", "--polarization", "v_P",
    )  # fmt: skip
    assert code == 0, text
    assert "hysteresis, 6 cycles" in text
    rows = {row["quantity"]: row for row in rows_of(folder / "a-hysteresis.csv")}
    for name, truth in (("coercive field [V/A]", 0.02), ("remanence [C/m^2]", 0.1928)):
        error = float(rows[name]["value error"])
        assert abs(float(rows[name]["value"]) - truth) < 4.0 * error < 0.2 * truth
    assert (folder / "a-hysteresis.png").stat().st_size > 5000
    code, text = run("analyze", "hysteresis", "a.dat", "--period", "3", "--polarization", "v_P")
    assert "expected one field in all cycles; they differ by" in text


def test_bec_beside_labels(folder: Path) -> None:
    write_dump(folder / "run.dump", [0.1] * 10)
    write_dump(folder / "labels.dump", [0.1] * 10, 7.7)
    labeled = []
    for _ in range(10):
        atoms = ase.Atoms("TiOTiO", 2.0 * np.eye(4, 3), cell=[8, 4, 4], pbc=True)
        signs = np.array([1, -1, 1, -1])[:, None, None]
        atoms.set_array("bec", (7.7 * signs * np.eye(3)).reshape(4, 9))
        labeled.append(atoms)
    ase.io.write(folder / "labels.xyz", labeled, format="extxyz")
    for reference in ("labels.dump", "labels.xyz"):
        code, text = run("analyze", "bec", "run.dump", "--reference", reference)
        assert code == 0, text
        rows = {r["quantity"]: float(r["value [e]"]) for r in rows_of(folder / "run-bec.csv")}
        assert rows["mean Z of O (trace / 3)"] == pytest.approx(-7.0)
        assert rows["RMSE, diagonal"] == pytest.approx(0.7)
        assert rows["RMSE, off-diagonal"] == 0.0
        assert rows["best scale (no unit)"] == pytest.approx(1.1)
    code, text = run("analyze", "bec", "run.dump")
    assert code == 0, text
    assert ase.io.read(folder / "run-bec.xyz").get_array("BEC").shape == (4, 9)
    write_dump(folder / "short.dump", [0.1])
    code, text = run("analyze", "bec", "run.dump", "--reference", "short.dump")
    assert "error: short.dump has 1 structures, the dump 10; expected the same" in text


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["ir", "run.dat", "--band", "bend"], "--band must look like bend=1400-1900"),
        (["ir", "none.dat"], "none.dat does not exist"),
        (["ir", "run.dat", "--current", "c_X[*]"], "run.dat: expected a column c_X[*], found Time"),
        (["ir", "run.dat", "--volume", "-1"], "--volume must be a number above 0, got -1"),
        (["ir", "run.dat", "--width", "0"], "--width must be a number from 0.1 to 10000, got 0"),
        (["dielectric", "run.dat"], "run.dat: expected a column f_field[4*6], found TimeStep"),
        (["dielectric", "run.dat", "--field", "0,0,1"], "expected a --field for each --field-run"),
        (["raman", "run.dat"], "run.dat: expected a column c_alpha[1*6], found TimeStep"),
        (["raman", "run.dat", "--laser", "1"], "--laser must be a number from 10 to 1e+06, got 1"),
        (["hysteresis", "run.dat", "--period", "1"], "run.dat: expected a column f_field[6], fou"),
        (["bec", "run.dat"], "run.dat: expected frames of dump custom"),
        (["polarization", "run.dat", "--reference", "run.dat"], "run.dat: expected frames of dump"),
        (["conductivity"], "expected a file of a run, or --field-run FILE"),
        (["conductivity", "--field-run", "run.dat"], "--field-run needs --field x,y,z in V/A"),
        (["conductivity", "--field-run", "run.dat", "--field", "1"], "--field must be three parts"),
    ],
)
def test_errors_are_one_line(folder: Path, arguments: list[str], message: str) -> None:
    write_run(folder / "run.dat", current(1, 500))
    code, text = run("analyze", *arguments)
    assert code == 1
    assert f"error: {message}" in text

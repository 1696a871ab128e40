"""``lammps-les analyze ir``."""

import enum
from typing import TYPE_CHECKING, Annotated

import typer

from lammps_les.cli.analyze import common
from lammps_les.cli.arguments import number
from lammps_les.cli.console import short_errors

if TYPE_CHECKING:
    pass


class Quantum(str, enum.Enum):
    """Corrections of classical nuclei."""

    none = "none"
    harmonic = "harmonic"
    schofield = "schofield"


def bands_of(texts: list[str]) -> dict[str, tuple[float, float]]:
    """Read NAME=LOW-HIGH.

    Raises:
        ValueError: it looks otherwise.
    """
    found = {}
    for text in texts:
        name, _, limits = text.partition("=")
        low, _, high = limits.partition("-")
        try:
            found[name] = (float(low), float(high))
        except ValueError:
            found[name] = (0.0, 0.0)
        if not name or not 0.0 <= found[name][0] < found[name][1]:
            raise ValueError(f"--band must look like bend=1400-1900, in 1/cm, got '{text}'")
    return found


@short_errors
def ir(
    files: common.Files,
    prefix: common.Prefix = None,
    current: common.CurrentColumns = None,
    nominal: Annotated[
        str | None,
        typer.Option(help="Columns of the current of nominal charges, to draw beside."),
    ] = None,
    width: Annotated[
        float, typer.Option(help="Standard deviation of the Gaussian filter, 1/cm.")
    ] = 20.0,
    highest: Annotated[float, typer.Option(help="Highest wavenumber, 1/cm.")] = 4500.0,
    quantum: Annotated[
        Quantum, typer.Option(help="Quantum correction of the classical correlation function.")
    ] = Quantum.harmonic,
    band: Annotated[
        list[str] | None,
        typer.Option(help="NAME=LOW-HIGH in 1/cm; centroid and integral, repeatable."),
    ] = None,
    epsilon_inf: Annotated[
        float, typer.Option(help="High-frequency permittivity, for permittivity, n, k and alpha.")
    ] = 1.0,
    normalized: Annotated[
        bool, typer.Option("--normalized", help="Draw spectra of integral 1.")
    ] = False,
    units: common.UnitsOption = None,
    timestep: common.Timestep = None,
    temperature: common.Temperature = None,
    volume: common.Volume = None,
    skip: common.Skip = None,
    blocks: common.Blocks = 12,
    reference: common.Reference = None,
) -> None:
    """Infrared absorption n(omega) alpha(omega), permittivity and refractive index.

    From the current of compute les/current or fix efield/bec. Writes PREFIX-ir.csv (spectra of all
    runs), PREFIX-ir-bands.csv and PREFIX-ir.png.

    Example: [bold]lammps-les analyze ir current.dat --band bend=1400-1900 --epsilon-inf 1.83[/]
    """
    import numpy as np
    from scipy.integrate import trapezoid

    from lammps_les.analysis import infrared
    from lammps_les.analysis.report import Curve, Table, plot, reference_curve, write_columns

    number("--width", width, 0.1, 10_000.0)
    number("--highest", highest, width, 1e6)
    number("--epsilon-inf", epsilon_inf, 1.0, 1000.0)
    wanted = bands_of(band or []) or {"all": (0.0, highest)}
    paths = common.outputs(prefix, files, "ir", ".csv", "-bands.csv", ".png")
    drawn = [reference_curve(reference)] if reference else []
    runs = common.load(files, common.given(units, timestep, temperature, volume, skip))
    spacing = min(5.0, width / 4.0)
    wavenumber = spacing * np.arange(1, int(highest / spacing) + 1)
    columns: dict[str, np.ndarray] = {"wavenumber [1/cm]": wavenumber}
    table = Table(
        f"infrared bands, Gaussian filter of {width:g} 1/cm, quantum correction {quantum.value}",
        ["run", "charges", "band", "centroid [1/cm]", "integral of n alpha [1e6/cm^2]"],
    )
    curves = []
    for run in runs:
        sources = {"BEC": run.current(current)}
        if nominal is not None:
            sources["nominal"] = run.take(nominal, 3) * run.per_ps
        for charges, series in sources.items():
            where = (run.step, run.volume, run.temperature, wavenumber)
            found = infrared.infrared(series, *where, width, quantum.value, blocks)
            for name, limits in wanted.items():
                centroid, area = found.band(*limits)
                scaled = type(area)(area.value / 1e6, area.error / 1e6)
                table.rows.append([run.name, charges, name, centroid, scaled])
            lags = infrared.lags_of(width, run.step)
            window = infrared.gaussian(lags, run.step, width)
            correlation = infrared.correlations(series, lags, blocks).mean(axis=0) * window
            epsilon = infrared.permittivity(correlation, *where, epsilon_inf)
            n, k, alpha = infrared.optical(epsilon, wavenumber)
            label = run.name if charges == "BEC" else f"{run.name} (nominal charges)"
            whole = trapezoid(found.absorption, wavenumber) if normalized else 1.0
            curves.append(Curve(label, wavenumber, found.absorption / whole, found.error / whole))
            for heading, values in {
                "n alpha [1/cm]": found.absorption,
                "n alpha error [1/cm]": found.error,
                "n alpha normalized [cm]": found.absorption
                / trapezoid(found.absorption, wavenumber),
                "Re epsilon": epsilon.real,
                "Im epsilon": epsilon.imag,
                "n": n,
                "k": k,
                "alpha [1/cm]": alpha,
            }.items():
                columns[f"{label}: {heading}"] = values
    common.show(table)
    write_columns(paths[0], columns)
    table.write(paths[1])
    y_label = "n alpha, normalized [cm]" if normalized else "n alpha [1/cm]"
    plot(paths[2], [("wavenumber [1/cm]", y_label, [*curves, *drawn])])
    common.wrote(*paths)

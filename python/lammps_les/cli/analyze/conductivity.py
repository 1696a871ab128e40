"""``lammps-les analyze conductivity``."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lammps_les.cli.analyze import common
from lammps_les.cli.console import note, short_errors

if TYPE_CHECKING:
    import numpy as np

    from lammps_les.analysis.report import Cell, Curve
    from lammps_les.analysis.runs import Run


@short_errors
def conductivity(
    files: Annotated[
        list[Path] | None,
        typer.Argument(help="Files of LAMMPS of runs in equilibrium, without a field."),
    ] = None,
    field_run: Annotated[
        list[Path] | None, typer.Option(help="File of a run in a field; repeatable.")
    ] = None,
    field: Annotated[
        str | None,
        typer.Option(help="Field of these, V/A: x,y,z, numbers or columns, as 0,0,v_E."),
    ] = None,
    frequency: Annotated[
        str | None,
        typer.Option(help="Its frequency where it oscillates, THz: a number or a column."),
    ] = None,
    prefix: common.Prefix = None,
    current: common.CurrentColumns = None,
    polarization: Annotated[
        str | None,
        typer.Option(
            help="Columns of the itinerant polarization (default: f_field[4*6], else the integral "
            "of the current)."
        ),
    ] = None,
    nominal: Annotated[
        str | None, typer.Option(help="Columns of the current of nominal charges.")
    ] = None,
    longest: Annotated[
        float | None,
        typer.Option(help="Ps of the running integral (default: a quarter of a block)."),
    ] = None,
    plateau: Annotated[
        float | None,
        typer.Option(
            help="Ps at which the plateau begins (default: where the correlation has decayed)."
        ),
    ] = None,
    cutoff: Annotated[
        float | None,
        typer.Option(help="Highest frequency of the cepstral analysis, THz (default: 90 % power)."),
    ] = None,
    units: common.UnitsOption = None,
    timestep: common.Timestep = None,
    temperature: common.Temperature = None,
    volume: common.Volume = None,
    skip: common.Skip = None,
    blocks: common.Blocks = 12,
    reference: common.Reference = None,
) -> None:
    """Conductivity: Green-Kubo, Helfand-Einstein, cepstral, and from runs in a field.

    Writes PREFIX-conductivity.csv, PREFIX-conductivity.png, and for runs without a field
    PREFIX-conductivity-running.csv.

    Example: [bold]lammps-les analyze conductivity a.dat --field-run b.dat --field 0,0,0.1[/]
    """
    from lammps_les.analysis.report import Table, plot, reference_curve
    from lammps_les.analysis.statistics import Estimate

    runs_in_field = field_run or []
    if not files and not runs_in_field:
        raise ValueError("expected a file of a run, or --field-run FILE --field x,y,z")
    if runs_in_field and field is None:
        raise ValueError("--field-run needs --field x,y,z in V/A, numbers or columns")
    everything = [*(files or []), *runs_in_field]
    paths = common.outputs(prefix, everything, "conductivity", ".csv", "-running.csv", ".png")
    drawn = [reference_curve(reference)] if reference else []
    about = common.given(units, timestep, temperature, volume, skip)
    table = Table("conductivity", ["run", "charges", "method", "sigma [S/m]", "details"])
    running: list[Curve] = []
    for run in common.load(files or [], about):
        for charges, series in _sources(run, current, nominal).items():
            moved = run.polarization(polarization) if charges == "BEC" else None
            rows, curves = _equilibrium(
                run, charges, series, moved, (longest, plateau, cutoff, blocks)
            )
            table.rows += rows
            running += curves
    for run in common.load(runs_in_field, about):
        for charges, series in _sources(run, current, nominal).items():
            moved = run.polarization(polarization) if charges == "BEC" else None
            assert field is not None
            table.rows += _in_field(run, charges, series, moved, field, frequency, blocks)
    common.show(table)
    table.write(paths[0])
    if running:
        lines = Table("", ["curve", "time [ps]", "sigma [S/m]"])
        for curve in running:
            assert curve.error is not None
            lines.rows += [
                [curve.label, float(t), Estimate(float(v), float(e))]
                for t, v, e in zip(curve.x, curve.y, curve.error, strict=True)
            ]
        lines.write(paths[1])
        plot(paths[2], [("up to time [ps]", "sigma [S/m]", [*running, *drawn])])
        common.wrote(*paths)
    else:
        common.wrote(paths[0])


def _sources(run: "Run", current: str | None, nominal: str | None) -> "dict[str, np.ndarray]":
    found = {"BEC": run.current(current)}
    if nominal is not None:
        found["nominal"] = run.take(nominal, 3) * run.per_ps
    return found


def _equilibrium(
    run: "Run",
    charges: str,
    current: "np.ndarray",
    polarization: "np.ndarray | None",
    options: tuple[float | None, float | None, float | None, int],
) -> "tuple[list[list[Cell]], list[Curve]]":
    """Rows and curves of a run without a field; what cannot be had is said, and left out."""
    from lammps_les.analysis import transport
    from lammps_les.analysis.cepstrum import cepstral_conductivity
    from lammps_les.analysis.report import Curve

    longest, plateau, cutoff, blocks = options
    where = (run.step, run.volume, run.temperature)
    label = f"{run.name} ({charges})"
    rows: list[list[Cell]] = []
    curves = []
    try:
        kubo = transport.green_kubo_with_error(current, *where, longest, blocks, plateau)
        begin, end = kubo.plateau
        limits = f"plateau {begin:.3g} to {end:.3g} ps"
        rows.append([run.name, charges, "Green-Kubo", kubo.conductivity, limits])
        curves.append(Curve(f"{label} Green-Kubo", kubo.time, kubo.value, kubo.error))
        if polarization is None:
            polarization = transport.integrated(current, run.step)
        slope = transport.helfand_einstein(polarization, *where, kubo.plateau, blocks)
        limits = f"slope {slope.plateau[0]:.3g} to {slope.plateau[1]:.3g} ps"
        rows.append([run.name, charges, "Helfand-Einstein", slope.conductivity, limits])
    except ValueError as error:
        note(f"{run.series.path}, {charges}: {error}")
    try:
        cepstral = cepstral_conductivity(current, *where, cutoff)
        details = f"{cepstral.coefficients:.0f} coefficients, up to {cepstral.cutoff:.3g} THz"
        rows.append([run.name, charges, "cepstral", cepstral.conductivity, details])
    except ValueError as error:
        note(f"{run.series.path}, {charges}: {error}")
    if not rows:
        raise ValueError(f"{run.series.path} is too short for a conductivity")
    return rows, curves


def _in_field(
    run: "Run",
    charges: str,
    current: "np.ndarray",
    polarization: "np.ndarray | None",
    field: str,
    frequency: str | None,
    blocks: int,
) -> "list[list[Cell]]":
    """Rows of a run in a field."""
    import numpy as np

    from lammps_les.analysis import transport

    parts = field.split(",")
    if len(parts) != 3:
        raise ValueError(f"--field must be three parts with commas, like 0,0,v_E, got '{field}'")
    strength = np.stack([run.constant_or_column(part) for part in parts], axis=1)
    details = f"{run.temperature:.0f} K, E {np.linalg.norm(strength, axis=1).max():.3g} V/A"
    if frequency is not None:
        terahertz = float(run.constant_or_column(frequency)[0])
        real, imaginary = transport.driven_with_error(
            current, strength, run.step, terahertz, run.volume, blocks
        )
        details += f", {terahertz:g} THz"
        return [
            [run.name, charges, "field, in phase", real, details],
            [run.name, charges, "field, lagging", imaginary, details],
        ]
    if np.ptp(strength, axis=0).any():
        raise ValueError(
            f"{run.series.path}: the field changes by {np.ptp(strength, axis=0).max():g} V/A; give "
            "its --frequency, or leave the change out with --skip"
        )
    mean, slope = transport.field_conductivity(
        current, strength[0], run.step, run.volume, polarization, blocks
    )
    return [
        [run.name, charges, "field, mean current", mean, details],
        [run.name, charges, "field, slope of displacement", slope, details],
    ]

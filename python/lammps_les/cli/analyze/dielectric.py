"""``lammps-les analyze dielectric``."""

from pathlib import Path
from typing import Annotated

import typer

from lammps_les.cli.analyze import common
from lammps_les.cli.arguments import number
from lammps_les.cli.console import short_errors


@short_errors
def dielectric(
    files: common.Files,
    prefix: common.Prefix = None,
    polarization: Annotated[
        str | None,
        typer.Option(help="Columns of the itinerant polarization, e A (default: f_field[4*6])."),
    ] = None,
    field_run: Annotated[
        list[Path] | None,
        typer.Option(help="A run in a constant field, from the same structure; repeatable."),
    ] = None,
    field: Annotated[
        list[str] | None, typer.Option(help="Field x,y,z of each of them, V/A; repeatable.")
    ] = None,
    epsilon_inf: Annotated[
        float | None,
        typer.Option(help="High-frequency permittivity (default: from --polarizability, else 1)."),
    ] = None,
    polarizability: Annotated[
        str | None, typer.Option(help="Columns xx yy zz xy xz yz of the cell, A^3.")
    ] = None,
    epsilon_e: Annotated[
        float, typer.Option(help="What the polarizability lacks; epsilon_e of the model file.")
    ] = 1.0,
    units: common.UnitsOption = None,
    timestep: common.Timestep = None,
    temperature: common.Temperature = None,
    volume: common.Volume = None,
    skip: common.Skip = None,
    blocks: common.Blocks = 12,
) -> None:
    """Static permittivity from fluctuations and from finite fields; the high-frequency one.

    FILES are runs without a field. In fields, means of P are compared: all runs begin at one
    structure, from which P counts. Writes PREFIX-dielectric.csv and PREFIX-dielectric.png (running
    estimates).

    Example: [bold]lammps-les analyze dielectric a.dat --field-run b.dat --field 0,0,0.01[/]
    """
    import numpy as np

    from lammps_les.analysis import dielectric as analysis
    from lammps_les.analysis.report import Curve, Table, plot

    number("--epsilon-inf", epsilon_inf, 1.0, 1000.0)
    number("--epsilon-e", epsilon_e, 1.0, 1000.0)
    names, texts = field_run or [], field or []
    if len(names) != len(texts):
        raise ValueError(f"expected a --field for each --field-run, got {len(texts)}")
    fields = []
    for text in texts:
        value = common.numbers("--field", text, 3)
        if value is None:
            raise ValueError(f"--field must be three numbers with commas, V/A, got '{text}'")
        fields.append(np.array(value))
    paths = common.outputs(prefix, files, "dielectric", ".csv", ".png")
    about = common.given(units, timestep, temperature, volume, skip)
    runs = common.load(files, about)
    table = Table("permittivity", ["run", "method", "epsilon", "details"])
    curves, dipoles = [], []
    electrons = []
    for run in runs:
        infinite = epsilon_inf if epsilon_inf is not None else 1.0
        details = f"{run.temperature:.1f} K, epsilon_inf {infinite:g}"
        if polarizability is not None:
            found = analysis.high_frequency_permittivity(
                run.take(polarizability, 6), run.volume, epsilon_e
            )
            table.rows.append([run.name, "epsilon_inf, polarizability", found, ""])
            infinite = found.value if epsilon_inf is None else infinite
            details = f"{run.temperature:.1f} K, epsilon_inf {infinite:.4g}"
        electrons.append(infinite)
        dipole = run.polarization(polarization)
        if dipole is None:
            if polarizability is None:
                run.take("f_field[4*6]")  # the message that it is not there
            continue
        dipoles.append(dipole)
        where = (run.volume, run.temperature, infinite, blocks)
        found = analysis.fluctuation_permittivity(dipole, *where)
        table.rows.append([run.name, "fluctuations", found, details])
        ends = np.linspace(0.1, 1.0, 10)
        ends = np.unique((ends * len(dipole)).astype(int))
        ends = ends[ends >= 2 * blocks]
        so_far = [analysis.fluctuation_permittivity(dipole[:n], *where) for n in ends]
        curves.append(Curve(run.name, run.step * ends, *np.array(so_far).T))
    driven = common.load(names, about)
    if driven:
        at_rest = dipoles[:1]
        found = analysis.field_permittivity(
            [*at_rest, *(run.take(polarization or "f_field[4*6]", 3) for run in driven)],
            [*(np.zeros(3) for _ in at_rest), *fields],
            driven[0].volume,
            electrons[0],
        )
        label = " ".join(run.name for run in [*runs[: len(at_rest)], *driven])
        table.rows.append([label, "fields", found, f"epsilon_inf {electrons[0]:.4g}"])
    common.show(table)
    table.write(paths[0])
    if curves:
        plot(paths[1], [("time [ps]", "epsilon from fluctuations so far", curves)])
        common.wrote(*paths)
    else:
        common.wrote(paths[0])

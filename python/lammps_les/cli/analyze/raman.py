"""``lammps-les analyze raman``."""

from typing import Annotated

import typer

from lammps_les.cli.analyze import common
from lammps_les.cli.analyze.ir import bands_of
from lammps_les.cli.arguments import number
from lammps_les.cli.console import short_errors

PolarizabilityColumns = Annotated[
    str, typer.Option("--polarizability", help="Columns xx yy zz xy xz yz, A^3.")
]


@short_errors
def raman(
    files: common.Files,
    prefix: common.Prefix = None,
    polarizability: PolarizabilityColumns = "c_alpha[1*6]",
    laser: Annotated[float, typer.Option(help="Wavelength in vacuum, nm.")] = 532.0,
    width: Annotated[
        float, typer.Option(help="Standard deviation of the Gaussian filter, 1/cm.")
    ] = 20.0,
    highest: Annotated[float, typer.Option(help="Highest shift, 1/cm.")] = 4500.0,
    band: Annotated[
        list[str] | None,
        typer.Option(help="NAME=LOW-HIGH in 1/cm; centroid, integral, ratio; repeatable."),
    ] = None,
    units: common.UnitsOption = None,
    timestep: common.Timestep = None,
    temperature: common.Temperature = None,
    volume: common.Volume = None,
    skip: common.Skip = None,
    blocks: common.Blocks = 20,
    reference: common.Reference = None,
) -> None:
    """Raman spectra, isotropic and anisotropic, and depolarization ratio.

    From the polarizability of the cell. Stokes scattering with its Bose factor and the fourth power
    of the scattered frequency. Writes PREFIX-raman.csv, PREFIX-raman-bands.csv, PREFIX-raman.png.

    Example: [bold]lammps-les analyze raman alpha.dat --band stretch=2800-4000 --laser 532[/]
    """
    import numpy as np

    from lammps_les.analysis import raman as analysis
    from lammps_les.analysis.report import Curve, Table, plot, reference_curve, write_columns

    number("--laser", laser, 10.0, 1e6)
    number("--width", width, 0.1, 10_000.0)
    number("--highest", highest, width, 1e6)
    wanted = bands_of(band or []) or {"all": (0.0, highest)}
    paths = common.outputs(prefix, files, "raman", ".csv", "-bands.csv", ".png")
    drawn = [reference_curve(reference)] if reference else []
    runs = common.load(files, common.given(units, timestep, temperature, volume, skip))
    spacing = min(5.0, width / 4.0)
    wavenumber = spacing * np.arange(1, int(highest / spacing) + 1)
    columns: dict[str, np.ndarray] = {"shift [1/cm]": wavenumber}
    table = Table(
        f"Raman bands, Stokes, laser {laser:g} nm, Gaussian filter of {width:g} 1/cm",
        ["run", "band", "centroid of VV [1/cm]", "integral of VV [A^2/sr]", "ratio VH/VV"],
    )
    curves, ratios = [], []
    for run in runs:
        alpha = run.take(polarizability, 6)
        found = analysis.raman(alpha, run.step, run.temperature, wavenumber, laser, width, blocks)
        for name, limits in wanted.items():
            table.rows.append([run.name, name, *found.band(*limits)])
        names = ("isotropic", "anisotropic VH", "polarized VV")
        for name, values, error in zip(names, found.spectra, found.errors, strict=True):
            columns[f"{run.name}: {name} [A^2 cm/sr]"] = values
            columns[f"{run.name}: {name} error [A^2 cm/sr]"] = error
            if name != names[2]:
                curves.append(Curve(f"{run.name} {name}", wavenumber, values, error))
        ratio, error = found.depolarization()
        columns[f"{run.name}: ratio VH/VV"] = ratio
        columns[f"{run.name}: ratio error"] = error
        ratios.append(Curve(run.name, wavenumber, ratio, error))
    common.show(table)
    write_columns(paths[0], columns)
    table.write(paths[1])
    shift = "Stokes shift [1/cm]"
    plot(
        paths[2],
        [(shift, "cross section [A² cm/sr]", [*curves, *drawn]), (shift, "VH/VV", ratios)],
    )
    common.wrote(*paths)

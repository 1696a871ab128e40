"""``lammps-les analyze hysteresis``."""

from typing import Annotated

import typer

from lammps_les.cli.analyze import common
from lammps_les.cli.console import note, short_errors


@short_errors
def hysteresis(
    files: common.Files,
    period: Annotated[
        str, typer.Option(help="Period of the field, ps: a number or a column, as v_ps.")
    ],
    prefix: common.Prefix = None,
    field: Annotated[str, typer.Option(help="Column of the field, V/A.")] = "v_E",
    dipole: Annotated[
        str, typer.Option(help="Column of the itinerant polarization along the field, e A.")
    ] = "f_field[6]",
    polarization: Annotated[
        str | None, typer.Option(help="Column of it by volume, C/m^2, in place of --dipole.")
    ] = None,
    units: common.UnitsOption = None,
    timestep: common.Timestep = None,
    volume: common.Volume = None,
    skip: common.Skip = None,
    reference: common.Reference = None,
) -> None:
    """Loop, coercive field, remanence and area, from cycles of a field.

    All whole cycles of all files count as repetitions of one loop; --skip leaves out the first
    (default: one period, if three are there). Writes PREFIX-hysteresis.csv, PREFIX-hysteresis.png
    and PREFIX-hysteresis-loop.csv.

    Example: [bold]lammps-les analyze hysteresis loop.dat --period v_ps --polarization v_P[/]
    """
    import numpy as np

    from lammps_les.analysis import hysteresis as analysis
    from lammps_les.analysis.polarization import COULOMB_PER_AREA
    from lammps_les.analysis.report import Curve, Table, plot, reference_curve, write_columns
    from lammps_les.analysis.runs import load_run
    from lammps_les.analysis.statistics import over_blocks

    paths = common.outputs(prefix, files, "hysteresis", ".csv", "-loop.csv", ".png")
    drawn = [reference_curve(reference)] if reference else []
    about = common.given(units, timestep, None, volume, skip if skip is not None else 0.0)
    fields, loops, steps = [], [], []
    for path in files:
        run = load_run(path, about)
        ps = float(run.constant_or_column(period)[0])
        if polarization is not None:
            along = run.take(polarization, 1)[:, 0]
        else:
            along = run.take(dipole, 1)[:, 0] * COULOMB_PER_AREA / run.volume
        both = np.stack([run.take(field, 1)[:, 0], along], axis=1)
        cycles = analysis.cycles_of(both, run.step, ps)
        if skip is None and len(cycles) > 2:
            cycles = cycles[1:]
            note(f"{path}: the first of {len(cycles) + 1} cycles is left out")
        fields.append(cycles[:, :, 0])
        loops.append(cycles[:, :, 1])
        steps.append(run.step)
    if len({one.shape[1] for one in loops}) > 1 or np.ptp(steps) > 1e-6 * steps[0]:
        raise ValueError("expected runs of one period, written equally often")
    strength, p = np.concatenate(fields), np.concatenate(loops)
    apart = float(np.abs(strength - strength.mean(axis=0)).max())
    if apart > 0.05 * float(np.ptp(strength)):
        raise ValueError(
            f"expected one field in all cycles; they differ by {apart:g} V/A: is the period right?"
        )
    mean_field = strength.mean(axis=0)
    found = analysis.hysteresis(mean_field, p)
    table = Table(f"hysteresis, {len(p)} cycles", ["quantity", "value"])
    table.rows = [
        ["coercive field [V/A]", found.coercive],
        ["bias field [V/A]", found.bias],
        ["remanence [C/m^2]", found.remanence],
        ["largest polarization [C/m^2]", found.largest],
        ["area of the loop [MJ/m^3]", found.area],
        ["P/(epsilon_0 E), in phase", found.response[0]],
        ["P/(epsilon_0 E), lagging", found.response[1]],
    ]
    common.show(table)
    table.write(paths[0])
    loop, error = over_blocks(analysis.centered(p))
    columns = {"field [V/A]": mean_field, "polarization [C/m^2]": loop, "error [C/m^2]": error}
    write_columns(paths[1], columns)
    curves = [Curve("", mean_field, one, style="faint") for one in analysis.centered(p)[:20]]
    curves.append(Curve(f"mean of {len(p)} cycles", mean_field, loop, error))
    plot(paths[2], [("field [V/A]", "polarization less its mean [C/m²]", [*curves, *drawn])])
    common.wrote(*paths)

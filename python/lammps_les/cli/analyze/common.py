"""What the analyses share: options, and how results are shown and written."""

import enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table as Shown

from lammps_les.cli.arguments import check_outputs
from lammps_les.cli.console import note, output

if TYPE_CHECKING:
    from lammps_les.analysis.report import Table
    from lammps_les.analysis.runs import Given, Run


class Units(str, enum.Enum):
    """Units of LAMMPS."""

    metal = "metal"
    real = "real"


Files = Annotated[
    list[Path],
    typer.Argument(
        help="Files of LAMMPS with named columns: log, fix ave/time, fix print; one a run."
    ),
]
Prefix = Annotated[
    Path | None,
    typer.Option("-o", "--output", help="Prefix of the files written (default: that of FILE)."),
]
CurrentColumns = Annotated[
    str | None,
    typer.Option("--current", help="Columns of the current (default: c_J[1*3] or f_field[7*9])."),
]
UnitsOption = Annotated[
    Units | None, typer.Option(help="Units of LAMMPS (default: those of the log, else metal).")
]
Timestep = Annotated[
    float | None,
    typer.Option(help="Time units in one step, where the file has steps and no times."),
]
Temperature = Annotated[
    float | None, typer.Option(help="K (default: mean of c_thermo_temp or Temp).")
]
Volume = Annotated[float | None, typer.Option(help="A^3 (default: mean of v_volume or Volume).")]
Skip = Annotated[
    float | None,
    typer.Option(help="Ps to leave out at the begin (default: up to equilibrium, as T says)."),
]
Blocks = Annotated[
    int, typer.Option(min=2, max=1000, help="Parts of a run whose scatter gives the errors.")
]
Reference = Annotated[
    Path | None, typer.Option(help="A curve to draw beside: first two columns of a file.")
]


def given(
    units: Units | None,
    timestep: float | None,
    temperature: float | None,
    volume: float | None,
    skip: float | None,
) -> "Given":
    """What the command line says of the runs.

    Raises:
        ValueError: a number is out of range.
    """
    from lammps_les.analysis.runs import Given

    for option, value in (
        ("--timestep", timestep),
        ("--temperature", temperature),
        ("--volume", volume),
    ):
        if value is not None and not 0.0 < value < 1e12:
            raise ValueError(f"{option} must be a number above 0, got {value:g}")
    if skip is not None and not 0.0 <= skip < 1e12:
        raise ValueError(f"--skip must be 0 or more, got {skip:g}")
    return Given(units.value if units else None, timestep, temperature, volume, skip)


def load(files: list[Path], about: "Given") -> "list[Run]":
    """Read runs, and say what of each is used."""
    from lammps_les.analysis.runs import load_run

    runs = [load_run(path, about) for path in files]
    for run in runs:
        left_out = run.begin * run.step
        note(f"{run.series.path}: {run.length:g} ps used, the first {left_out:g} ps left out")
    return runs


def outputs(prefix: Path | None, files: list[Path], what: str, *endings: str) -> list[Path]:
    """Names of the files to write, PREFIX-what plus endings, and that they can be written.

    Raises:
        ValueError: one cannot.
    """
    if prefix is not None and prefix.is_dir():
        raise ValueError(f"-o {prefix} is a folder; give a prefix, like {prefix / files[0].stem}")
    begin = prefix or Path(files[0].stem)
    paths = [begin.with_name(f"{begin.name}-{what}{ending}") for ending in endings]
    check_outputs(*paths)
    begin.parent.mkdir(parents=True, exist_ok=True)
    return paths


def show(table: "Table") -> None:
    """Print a table of results."""
    shown = Shown(title=escape(table.title), title_justify="left")
    for n, heading in enumerate(table.headings):
        shown.add_column(escape(heading), justify="right" if n else "left")
    for row in table.shown():
        shown.add_row(*map(escape, row))
    (output if output.is_terminal else Console(width=160)).print(shown)


def wrote(*paths: Path) -> None:
    """Say which files were written."""
    names = " ".join(str(path) for path in paths)
    output.print(f"wrote {names}", highlight=False, soft_wrap=True, markup=False)


def numbers(option: str, text: str, count: int) -> list[float] | None:
    """Numbers with commas between them; None where one is something else, as a column's name.

    Raises:
        ValueError: there are not ``count`` parts.
    """
    parts = text.split(",")
    if len(parts) != count:
        raise ValueError(f"{option} must be {count} parts with commas, got '{text}'")
    try:
        return [float(part) for part in parts]
    except ValueError:
        return None

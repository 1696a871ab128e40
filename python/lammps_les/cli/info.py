"""``lammps-les info``."""

from pathlib import Path
from typing import Annotated, Any

import typer
from rich.markup import escape
from rich.table import Table

from lammps_les.cli.console import output, short_errors

UNITS = {
    "cutoff": "A",
    "sigma": "A",
    "dl": "A",
    "norm": "eV A / (file unit)^2",
    "open_shift": "A",
    "charge_unit": "e / (file unit)",
    "total_charge": "e",
    "atomic_energies": "eV",
    "atomic_masses": "g/mol",
}


def _text(value: Any) -> str:
    if value is None:
        return "not fixed"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.10g}"
    if isinstance(value, list):
        return " ".join(f"{item:+g}" if isinstance(item, float) else str(item) for item in value)
    if isinstance(value, dict):
        return "\n".join(f"{key}: {_text(item)}" for key, item in value.items())
    return str(value)


@short_errors
def info(
    model: Annotated[Path, typer.Argument(help="Model file (.pt).")],
) -> None:
    """Show what a model file says of itself; the fields are explained in FORMAT.md.

    Example: [bold]lammps-les info water.pt[/]
    """
    from lammps_les.model_file import read_metadata

    table = Table(title=escape(str(model)), show_header=False, title_justify="left")
    table.add_column("field", style="bold")
    table.add_column("value", overflow="fold")
    table.add_column("unit", style="dim")
    for name, value in read_metadata(model).model_dump().items():
        table.add_row(name, escape(_text(value)), UNITS.get(name, ""))
    output.print(table)

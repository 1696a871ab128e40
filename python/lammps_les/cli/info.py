"""``lammps-les info``."""

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import typer
from pydantic import BaseModel
from rich.markup import escape
from rich.table import Table

from lammps_les.cli.console import output, short_errors

UNITS = {
    "network.cutoff": "A",
    "long_range.sigma": "A",
    "long_range.dl": "A",
    "long_range.norm": "eV A / (file unit)^2",
    "long_range.open_shift": "A",
    "charges.unit": "e / (file unit)",
    "charges.total": "e",
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
        if value and isinstance(value[0], list):
            return "\n".join(" ".join(f"{item:g}" for item in row) for row in value)
        return " ".join(f"{item:+g}" if isinstance(item, float) else str(item) for item in value)
    if isinstance(value, dict):
        return "\n".join(f"{key}: {_text(item)}" for key, item in value.items())
    return str(value)


def _rows(metadata: BaseModel, beginning: str = "") -> Iterator[tuple[str, Any]]:
    """Names and values of the fields, those of sections as ``section.name``."""
    for name in type(metadata).model_fields:
        value = getattr(metadata, name)
        if isinstance(value, BaseModel):
            yield from _rows(value, f"{name}.")
        elif name != "config":  # of the network; for programs
            yield f"{beginning}{name}", value


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
    for name, value in _rows(read_metadata(model)):
        table.add_row(name, escape(_text(value)), UNITS.get(name, ""))
    output.print(table)

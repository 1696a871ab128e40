"""``lammps-les train``."""

import os
import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape
from rich.table import Table

from lammps_les.cli.arguments import check_folder_of, check_outputs
from lammps_les.cli.console import errors, note, output, short_errors
from lammps_les.files import write_atomically


@short_errors
def train(
    config: Annotated[
        Path, typer.Argument(help="Configuration (YAML); with --init a file with structures.")
    ],
    folder: Annotated[
        Path | None,
        typer.Option(
            "-o",
            "--output",
            help="Run folder (default: CONFIG without suffix); with --init the configuration to "
            "write (default: standard output).",
        ),
    ] = None,
    init: Annotated[
        bool, typer.Option("--init", help="Inspect a data file and print a configuration for it.")
    ] = False,
    kind: Annotated[
        str | None,
        typer.Option(
            help="With --init: kind of network, cace (default), mace, nequip or allegro.",
        ),
    ] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on from the last checkpoint of the run folder.")
    ] = False,
) -> None:
    """Train a model: from labeled structures to a model file for LAMMPS.

    Example: [bold]lammps-les train --init data.xyz > water.yaml; lammps-les train water.yaml[/]
    """
    if init and resume:
        raise ValueError("--init and --resume exclude each other")
    if kind is not None and not init:
        raise ValueError("--kind is for --init; in a configuration it is the key network.kind")
    if init:
        from lammps_les.models import KINDS
        from lammps_les.training.template import template

        kind = KINDS[0] if kind is None else kind
        if kind not in KINDS:
            raise ValueError(f"--kind must be one of {', '.join(KINDS)}, got '{kind}'")
        if folder is None:
            typer.echo(template(config, _folder_of_output(), kind), nl=False)
        elif folder.exists():
            raise ValueError(f"{folder} exists; choose another name with -o, or remove it")
        else:
            check_folder_of(folder)
            check_outputs(folder)
            write_atomically(folder, template(config, folder.parent, kind).encode())
        return
    from lammps_les.training.interruption import Interrupted, Interruptions

    try:
        with Interruptions() as early, early.at_once("before the training began"):
            from lammps_les.training.config_file import read_config
            from lammps_les.training.run import train as run_training
            from lammps_les.training.run_folder import CONFIG

            settings = read_config(config)
            if folder is None:
                in_folder = resume and config.name == CONFIG
                folder = config.parent if in_folder else config.with_suffix("")
        outcome = run_training(settings, config.parent, folder, resume, errors, note=note)
    except Interrupted as interrupted:
        errors.print(f"[bold red]{escape(str(interrupted))}[/]", soft_wrap=True)
        raise typer.Exit(128 + interrupted.signal) from None
    if outcome is None:  # not the first of several processes
        return
    for part, rows in outcome.errors.items():
        table = Table(title=part, title_justify="left")
        for name in ("quantity", "unit", "RMSE", "MAE", "R2"):
            table.add_column(name, justify="left" if name in ("quantity", "unit") else "right")
        for quantity, unit, rmse, mae, r2, _ in rows:
            table.add_row(quantity, unit, f"{rmse:.5g}", f"{mae:.5g}", f"{r2:.5f}")
        output.print(table)
    output.print(f"wrote {folder}", highlight=False, soft_wrap=True, markup=False)
    if outcome.signal is not None:
        raise typer.Exit(128 + outcome.signal)


def _folder_of_output() -> Path | None:
    """The folder of the file that standard output goes to, where it can be found out."""
    try:
        number = sys.stdout.fileno()
        file = Path(os.readlink(f"/proc/self/fd/{number}"))
        return file.parent if os.path.isfile(file) else None
    except (OSError, ValueError):
        return None

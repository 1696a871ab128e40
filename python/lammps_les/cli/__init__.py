"""The command ``lammps-les``; one module a subcommand."""

import typer

from lammps_les import __version__
from lammps_les.cli.bench import bench
from lammps_les.cli.console import print_version
from lammps_les.cli.evaluate import evaluate
from lammps_les.cli.export import export
from lammps_les.cli.info import info
from lammps_les.cli.train import train

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
)


@app.callback()
def main(
    version: bool = typer.Option(
        False, "--version", callback=print_version, is_eager=True, help="Show the version and exit."
    ),
) -> None:
    """Latent Ewald Summation potentials for LAMMPS: train, export, inspect, evaluate, time."""


app.command()(export)
app.command()(info)
app.command()(evaluate)
app.command()(train)
app.command()(bench)

__all__ = ["__version__", "app"]

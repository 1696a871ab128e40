"""The command ``lammps-les``; one module a subcommand."""

import contextlib
import signal
import threading
from collections.abc import Iterator

import typer

from lammps_les import __version__
from lammps_les.training.interruption import is_further_process


@contextlib.contextmanager
def _ended_by_ctrl_c() -> Iterator[None]:
    """While libraries are loaded, which takes seconds: an end without a traceback.

    Not where the signal is ignored, nor in further processes of a training: the first one ends it.
    """
    before = signal.getsignal(signal.SIGINT)
    in_main_thread = threading.current_thread() is threading.main_thread()
    if not in_main_thread or before is signal.SIG_IGN:
        yield
        return
    signal.signal(signal.SIGINT, signal.SIG_IGN if is_further_process() else signal.SIG_DFL)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, signal.SIG_DFL if before is None else before)


with _ended_by_ctrl_c():
    from lammps_les.cli.analyze import analyze
    from lammps_les.cli.bench import bench
    from lammps_les.cli.born import born
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
    """Latent Ewald Summation potentials for LAMMPS: train, export, inspect, time, analyze."""


app.command()(export)
app.command()(info)
app.command()(evaluate)
app.command()(train)
app.command()(born)
app.command()(bench)
app.add_typer(analyze, name="analyze")

__all__ = ["__version__", "app"]

"""What the subcommands share: output, and short errors without a traceback."""

import enum
import functools
import warnings
from collections.abc import Callable
from typing import ParamSpec, TypeVar

import torch
import typer
from ase.calculators.calculator import CalculatorError
from rich.console import Console
from rich.markup import escape

from lammps_les import __version__

output = Console()
errors = Console(stderr=True)


class BecForm(str, enum.Enum):
    """Forms of the Born effective charges."""

    local = "local"
    phase = "phase"


def renamed(before: str, now: str) -> typer.models.OptionInfo:
    """An option that has another name now, and whose use is an error that gives it."""

    def refuse(value: str | None) -> None:
        if value is not None:
            raise typer.BadParameter(f"this option is now {now}")

    return typer.Option(before, hidden=True, callback=refuse)


_P = ParamSpec("_P")
_R = TypeVar("_R")


def short_errors(command: Callable[_P, _R]) -> Callable[_P, _R]:
    """End a command with one line on stderr and exit code 1 where its input is wrong."""

    @functools.wraps(command)
    def run(*args: _P.args, **kwargs: _P.kwargs) -> _R:
        # model files are TorchScript; that torch would rather have another format helps no user
        warnings.filterwarnings("ignore", category=DeprecationWarning, module=r"torch\.jit")
        try:
            return command(*args, **kwargs)
        except (
            ValueError,
            OSError,
            CalculatorError,
            torch.jit.Error,
            torch.OutOfMemoryError,
        ) as error:
            errors.print(f"[bold red]error:[/] {escape(str(error))}", soft_wrap=True)
            raise typer.Exit(1) from None
        except KeyboardInterrupt:
            errors.print("[bold red]interrupted[/]")
            raise typer.Exit(130) from None

    return run


def note(text: str) -> None:
    """Print a remark on something that the user may want to decide otherwise, or a warning."""
    begin = "warning: "  # of what something speaks against
    kind = "[bold red]warning:[/]" if text.startswith(begin) else "[yellow]note:[/]"
    errors.print(f"{kind} {escape(text.removeprefix(begin))}", soft_wrap=True)


def print_version(wanted: bool) -> None:
    """Callback of ``--version``."""
    if wanted:
        output.print(f"lammps-les {__version__}", highlight=False)
        raise typer.Exit

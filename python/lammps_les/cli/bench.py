"""``lammps-les bench``."""

import enum
from pathlib import Path
from typing import Annotated

import typer
from rich.box import SIMPLE
from rich.console import Console, JustifyMethod
from rich.markup import escape
from rich.progress import Progress
from rich.table import Table

from lammps_les.cli.arguments import check_outputs, integers, keywords
from lammps_les.cli.console import errors, note, output, short_errors


class Device(str, enum.Enum):
    """Where to run."""

    auto = "auto"
    cpu = "cpu"
    cuda = "cuda"


@short_errors
def bench(
    model: Annotated[Path, typer.Argument(help="Model file (.pt).")],
    start: Annotated[
        Path | None,
        typer.Option(
            help="Periodic structure to replicate: LAMMPS data file with masses, or what ASE reads "
            "(default: 64 molecules of water, included)."
        ),
    ] = None,
    atoms: Annotated[
        str, typer.Option(help="About how many atoms; whole replicas are taken.")
    ] = "192,1536,12288",
    ranks: Annotated[str, typer.Option(help="Numbers of MPI ranks.")] = "1,2",
    device: Annotated[
        Device, typer.Option(help="auto: CPU and, where torch sees one, GPU.")
    ] = Device.auto,
    field: Annotated[
        bool,
        typer.Option("--field", help="Also with the force of a field, and with all BECs."),
    ] = False,
    steps: Annotated[
        int | None,
        typer.Option(
            min=1, max=1_000_000, help="Timed steps (default: 100, and fewer beyond 2,000 atoms)."
        ),
    ] = None,
    repeats: Annotated[
        int, typer.Option(min=1, max=1000, help="Runs of each case; the table has medians.")
    ] = 3,
    style: Annotated[
        str, typer.Option(help="Further keywords of pair_style les, e.g. 'kspace direct'.")
    ] = "",
    folder: Annotated[
        Path | None,
        typer.Option("-o", "--output", help="Folder for the files (default: MODEL-bench)."),
    ] = None,
    lmp: Annotated[
        str | None, typer.Option(help="LAMMPS (default: beside Python, else in PATH).")
    ] = None,
    mpiexec: Annotated[str | None, typer.Option(help="MPI launcher (default: likewise).")] = None,
) -> None:
    """Time MD steps with a model in LAMMPS: over sizes, MPI ranks, CPU and GPU.

    Writes bench.md, bench.csv and bench.png. A run that would not fit into memory is left out.

    Example: [bold]lammps-les bench water.pt --atoms 192,1536,12288,98304 --ranks 1,2 --field[/]
    """
    import torch

    from lammps_les.benchmark import Plan, Programs, machine, measure, read_start, write_report
    from lammps_les.benchmark.lammps import WHAT
    from lammps_les.benchmark.report import FILES, display, rows
    from lammps_les.model_file import read_metadata

    numbers = {
        "atoms": integers("--atoms", atoms, 100_000_000),
        "ranks": integers("--ranks", ranks, 100_000),
    }
    style = keywords("--style", style)
    metadata = read_metadata(model)
    folder = folder or Path(f"{model.stem}-bench")
    check_outputs(*(folder / name for name in FILES))
    if field and metadata.charges.channels == 0:
        raise ValueError(f"{model} has no charges, so --field is not for it")
    if field and not metadata.coupling_is_known:
        style += " multichannel_bec yes"  # it is the time that counts here
    if device is Device.auto:
        devices = ("cpu", "cuda") if torch.cuda.is_available() else ("cpu",)
        if len(devices) == 1:
            note("torch sees no CUDA GPU: only the CPU is timed")
    else:
        devices = (device.value,)
    quantities = list(WHAT) if field else ["E+F"]
    plan = Plan(
        **numbers,
        devices=devices,
        what=tuple(quantities),
        steps=steps,
        repeats=repeats,
        style=style,
    )
    structure = read_start(start, metadata.network.species)
    programs = Programs.find(lmp, mpiexec)
    about = machine(programs)
    output.print(about, highlight=False, soft_wrap=True, markup=False)
    with Progress(console=errors, transient=True, disable=not errors.is_terminal) as progress:
        task = progress.add_task("timing", total=None)
        result = measure(
            model,
            structure,
            plan,
            programs,
            lambda text, done, total: progress.update(
                task, description=text, completed=done, total=total
            ),
        )
    for text in result.left_out:
        note(text)
    network = metadata.network
    layers = f"{network.layers} layer{'s' if network.layers > 1 else ''}"
    title = f"{model.name} ({layers}, {network.dtype}), {structure.name}"
    write_report(title, about, result, folder)
    # the width of the second table, where no terminal sets one
    console = output if output.is_terminal else Console(width=120)
    for headings, cells in display(rows(result)):
        table = Table(box=SIMPLE, padding=(0, 1, 0, 0))
        for heading in headings:
            side: JustifyMethod = "left" if heading in ("device", "what") else "right"
            table.add_column(escape(heading), justify=side)
        for line in cells:
            table.add_row(*line)
        console.print(table)
    output.print(f"wrote {folder}", highlight=False, soft_wrap=True, markup=False)

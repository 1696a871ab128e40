"""``lammps-les export``."""

import enum
from pathlib import Path
from typing import Annotated

import typer
from ase import Atoms

from lammps_les.cli.arguments import (
    check_folder_of,
    check_outputs,
    dielectric,
    element_list,
    energies_by_symbol,
    number,
)
from lammps_les.cli.console import BecForm, note, output, short_errors


class Dtype(str, enum.Enum):
    """Types in which an exported network runs."""

    float32 = "float32"
    float64 = "float64"


def parse_charge_sign(text: str) -> list[float] | None:
    """Read ``auto`` (None), ``+1``, ``-1``, or one of these for each channel, with commas."""
    if text == "auto":
        return None
    signs = {"+1": 1.0, "1": 1.0, "-1": -1.0}
    parts = [part.strip() for part in text.split(",")]
    if any(part not in signs for part in parts):
        raise ValueError(f"--charge-sign must be auto, +1 or -1, got '{text}'")
    return [signs[part] for part in parts]


def read_structures(path: Path, at_most: int = 20) -> list[Atoms]:
    """Read structures with ASE, evenly chosen where there are more than ``at_most``."""
    from lammps_les.data.structures import read_structures

    frames = read_structures(path)
    return frames[:: -(-len(frames) // at_most)]


@short_errors
def export(
    model: Annotated[
        Path,
        typer.Argument(
            help="Trained network: a run folder of lammps-les train, a checkpoint of CACE (.pth), "
            "MACE (.model), NequIP or Allegro (.ckpt), or water_rpbe-d3, which is included."
        ),
    ],
    target: Annotated[
        Path | None,
        typer.Option(
            "-o", "--output", help="Model file to write (default: MODEL with suffix .pt)."
        ),
    ] = None,
    epsilon_inf: Annotated[
        str | None,
        typer.Option(
            help="High-frequency dielectric constant, or the nine numbers xx,xy,xz,yx,... of a "
            "tensor (default: the network's own, else 1)."
        ),
    ] = None,
    charge_sign: Annotated[
        str,
        typer.Option(
            help="auto (more electronegative species negative), +1, -1, or +1,-1,... by channel."
        ),
    ] = "auto",
    structures: Annotated[
        Path | None, typer.Option(help="Typical structures, from which auto finds the sign.")
    ] = None,
    dtype: Annotated[Dtype, typer.Option(help="Type in which the network runs.")] = Dtype.float32,
    atomic_energies: Annotated[
        str | None, typer.Option(help="eV per atom, e.g. H=-13.6,O=-432.1 (default: 0).")
    ] = None,
    total_charge: Annotated[
        float | None,
        typer.Option(
            help="Charge [e] of the systems to run, for networks trained with it (default: that "
            "of the training data)."
        ),
    ] = None,
    bec_form: Annotated[
        BecForm | None,
        typer.Option(
            help="Form of the Born effective charges (default: the one the network was trained to "
            "give, else local)."
        ),
    ] = None,
    head: Annotated[
        str | None, typer.Option(help="Name of the head, for MACE models with several.")
    ] = None,
    elements: Annotated[
        str | None,
        typer.Option(help="Elements to keep of a model for many, e.g. H,O (default: all)."),
    ] = None,
    norm: Annotated[
        float | None,
        typer.Option(
            help="Norm of the long-range sum [eV A], for NequIP and Allegro, whose files do not "
            "say it: 90.0474 (les until spring 2026) or 90.4756 (default: by the version)."
        ),
    ] = None,
    bec_fitted: Annotated[
        bool,
        typer.Option(
            "--bec-fitted",
            help="Born effective charges were among the labels of the training; a checkpoint "
            "cannot say so.",
        ),
    ] = False,
) -> None:
    """Turn a trained network into a model file for LAMMPS and ASE.

    Example: [bold]lammps-les export water.pth -o water.pt --epsilon-inf 1.83[/]
    """
    from lammps_les.model_file import NORM_RANGE, TOTAL_CHARGE_RANGE
    from lammps_les.training.unfinished import trained_folder
    from lammps_les_export.adapters import Choice
    from lammps_les_export.convert import export_model

    target = target or (model if model.name else model.resolve()).with_suffix(".pt")
    if target == model:
        raise ValueError(f"{target} would overwrite the network; choose a name with -o")
    check_folder_of(target)
    check_outputs(target)
    number("--total-charge", total_charge, *TOTAL_CHARGE_RANGE)
    number("--norm", norm, *NORM_RANGE)
    energies = energies_by_symbol(atomic_energies)
    signs, epsilon = parse_charge_sign(charge_sign), dielectric(epsilon_inf)
    notes: list[str] = []
    with trained_folder(model, notes) as source:
        conversion = export_model(
            source,
            target,
            choice=Choice(head, element_list(elements), norm),
            dtype=dtype.value,
            epsilon_inf=epsilon,
            charge_sign=signs,
            structures=read_structures(structures) if structures else None,
            atomic_energies=energies,
            total_charge=total_charge,
            bec_form=None if bec_form is None else bec_form.value,
            bec_fitted=bec_fitted,
        )
    for text in [*notes, *conversion.notes]:
        note(text)
    network, channels = conversion.metadata.network, conversion.metadata.charges.channels
    output.print(
        f"wrote {target}: {' '.join(network.species)}, cutoff {network.cutoff:g} A, "
        f"{network.layers} layer(s), {channels} charge(s) per atom, {network.dtype}",
        highlight=False,
        soft_wrap=True,
        markup=False,
    )

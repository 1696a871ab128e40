"""``lammps-les analyze bec``."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lammps_les.cli.analyze import common
from lammps_les.cli.analyze.polarization import BornColumns, Elements
from lammps_les.cli.arguments import element_list
from lammps_les.cli.console import note, short_errors

if TYPE_CHECKING:
    import numpy as np

    from lammps_les.analysis.dumps import Frame


@short_errors
def bec(
    dump: Annotated[Path, typer.Argument(help="dump custom with id and nine columns of Z.")],
    reference: Annotated[
        Path | None,
        typer.Option(help="Labels of the same structures in order: a dump, or what ASE reads."),
    ] = None,
    prefix: common.Prefix = None,
    columns: BornColumns = "c_z[1*9]",
    elements: Elements = None,
    reference_key: Annotated[
        str | None, typer.Option(help="Name of the label, or columns of the reference dump.")
    ] = None,
) -> None:
    """Born effective charges: by species, histograms, sum rule; beside labels parity and scale.

    Writes PREFIX-bec.csv, PREFIX-bec.png and PREFIX-bec.xyz for OVITO (last frame, with Z).

    Example: [bold]lammps-les analyze bec run.dump --elements H,O --reference labels.xyz[/]
    """
    import numpy as np

    from lammps_les.analysis import born_errors
    from lammps_les.analysis.dumps import read_frames_of_dump
    from lammps_les.analysis.report import Table, write_xyz

    paths = common.outputs(prefix, [dump], "bec", ".csv", ".png", ".xyz")
    frames = read_frames_of_dump(dump)
    symbols = frames[0].elements(element_list(elements))
    z = [frame.tensors(columns) for frame in frames]
    table = Table(
        f"Born effective charges of {dump.name}, {len(frames)} frames", ["quantity", "value [e]"]
    )
    for element in sorted(set(symbols)):
        mean = born_errors.mean_charge(z, symbols, element)
        table.rows.append([f"mean Z of {element} (trace / 3)", mean])
    table.rows.append(["mean |sum over atoms of Z| (sum rule: 0)", born_errors.sum_rule(z)])
    labels = None
    if reference is not None:
        labels = _labels(reference, reference_key, frames, symbols)
        diagonal = np.eye(3, dtype=bool)
        table.rows += [
            ["RMSE, diagonal", born_errors.root_mean_square(z, labels, diagonal)],
            ["RMSE, off-diagonal", born_errors.root_mean_square(z, labels, ~diagonal)],
        ]
        for element in sorted(set(symbols)):
            mine = symbols == element
            error = born_errors.root_mean_square(
                [one[mine] for one in z], [one[mine] for one in labels], np.ones((3, 3), bool)
            )
            table.rows.append([f"RMSE of {element}", error])
        table.rows.append(["best scale (no unit)", born_errors.best_scale(z, labels)])
        if len(z) < born_errors.ENOUGH:
            note(f"{len(z)} structures: errors are those of atoms taken for independent")
    common.show(table)
    table.write(paths[0])
    born_errors.plot_born_charges(paths[1], z, labels, symbols)
    last = frames[-1]
    write_xyz(paths[2], symbols, last.positions(), last.cell, {"BEC": z[-1]})
    common.wrote(*paths)


def _labels(
    reference: Path, key: str | None, frames: "list[Frame]", symbols: "np.ndarray"
) -> "list[np.ndarray]":
    """Labels [N, 3, 3] of the frames, in their order of atoms.

    Raises:
        ValueError: structures are others than those of the frames, or have no labels.
    """
    import numpy as np

    from lammps_les.analysis.dumps import read_frames_of_dump
    from lammps_les.data.labels import label
    from lammps_les.data.structures import read_structures
    from lammps_les.keys import BORN_EFFECTIVE_CHARGES

    with reference.open("rb") as file:
        is_dump = file.read(14) == b"ITEM: TIMESTEP"
    if is_dump:
        others = read_frames_of_dump(reference)
        cells = [frame.cell for frame in others]
        found = [frame.tensors(key or "c_z[1*9]") for frame in others]
    else:
        structures = read_structures(reference)
        cells = [atoms.cell.array for atoms in structures]
        found = []
        for n, atoms in enumerate(structures):
            value = label(atoms, BORN_EFFECTIVE_CHARGES, key)
            if value is None or list(atoms.symbols) != list(symbols):
                problem = "no Born effective charges" if value is None else "other elements"
                raise ValueError(
                    f"{reference}: structure {n} has {problem}; expected labels of "
                    f"{len(symbols)} atoms in the order of their IDs"
                )
            found.append(value)
    if len(found) != len(frames):
        raise ValueError(
            f"{reference} has {len(found)} structures, the dump {len(frames)}; expected the same"
        )
    for n, (cell, frame) in enumerate(zip(cells, frames, strict=True)):
        if np.abs(cell - frame.cell).max() > 1e-3 * np.abs(frame.cell).max():
            raise ValueError(
                f"{reference}: structure {n} has another cell than step {frame.step}; expected "
                "LAMMPS's orientation, since Z turns with the axes"
            )
    return found

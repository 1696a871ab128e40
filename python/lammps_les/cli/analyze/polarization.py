"""``lammps-les analyze polarization``."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lammps_les.cli.analyze import common
from lammps_les.cli.arguments import element_list
from lammps_les.cli.console import note, short_errors

if TYPE_CHECKING:
    from lammps_les.analysis.polarization import Environment

BornColumns = Annotated[
    str, typer.Option("--bec", help="Columns of Z, nine, xx xy xz yx ..., P component first.")
]
Elements = Annotated[
    str | None,
    typer.Option(help="Elements of the atom types, as H,O, where the dump has no column element."),
]


def environments_of(text: str) -> "list[Environment]":
    """Read ``Ba=8:0.125,O=6:0.5``.

    Raises:
        ValueError: it looks otherwise.
    """
    from lammps_les.analysis.polarization import Environment

    found = []
    for part in text.split(","):
        element, _, numbers = part.partition("=")
        count, _, weight = numbers.partition(":")
        try:
            found.append(Environment(element.strip(), int(count), float(weight)))
        except ValueError:
            raise ValueError(f"--around must look like Ba=8:0.125,O=6:0.5, got '{text}'") from None
    return found


@short_errors
def polarization(
    dumps: Annotated[list[Path], typer.Argument(help="dump custom with id, positions and Z.")],
    reference: Annotated[
        Path, typer.Option(help="Dump of the reference structure, its first frame; with Z.")
    ],
    prefix: common.Prefix = None,
    bec: BornColumns = "c_z[1*9]",
    elements: Elements = None,
    path: Annotated[
        bool,
        typer.Option(
            "--path", help="Frames are a path: Z is averaged from each to the next, not straight."
        ),
    ] = False,
    center: Annotated[
        str | None, typer.Option(help="Element at the center of local cells, for the map.")
    ] = None,
    around: Annotated[
        str | None,
        typer.Option(help="Its surroundings, ELEMENT=COUNT:WEIGHT, as Ba=8:0.125,O=6:0.5."),
    ] = None,
) -> None:
    """Polarization against a reference structure, with path-averaged Z; local dipoles.

    P counts displacements by the nearest image, which is its branch. Writes
    PREFIX-polarization.csv, PREFIX-polarization.png and PREFIX-polarization.xyz for OVITO (mean
    structure with dipoles of atoms); with --center also PREFIX-polarization-map.png and
    PREFIX-polarization-map.xyz.

    Example: [bold]lammps-les analyze polarization a.dump --reference b.dump --elements Ba,Ti,O[/]
    """
    import numpy as np

    from lammps_les.analysis import polarization as analysis
    from lammps_les.analysis.dumps import read_frames_of_dump
    from lammps_les.analysis.report import Curve, Table, plot, plot_map, write_xyz
    from lammps_les.analysis.statistics import Estimate, equilibrated_from, mean_of

    endings = (".csv", "-series.csv", ".png", ".xyz", "-map.xyz", "-map.png")
    paths = common.outputs(prefix, dumps, "polarization", *endings)
    symbols = element_list(elements)
    if (center is None) != (around is None):
        raise ValueError("--center and --around go together")
    start = read_frames_of_dump(reference)[0]
    sites, z = start.fractional(), start.tensors(bec)
    named = start.elements(symbols) if symbols or start.symbols else None
    cells = None
    if center is not None and around is not None:
        named = start.elements(symbols)
        surroundings = environments_of(around)
        cells = analysis.local_cells(sites, start.cell, named, center, surroundings)
    net = float(np.abs(z.sum(axis=0)).max())
    note(f"{reference}: the largest component of the sum of Z is {net:.3g} e; it is taken off")
    table = Table(
        "polarization against the reference [C/m^2], branch of the nearest images",
        ["run", "Px", "Py", "Pz", "from frame", "what Z along the path leaves open"],
    )
    series_rows = Table("", ["run", "step", "Px [C/m^2]", "Py [C/m^2]", "Pz [C/m^2]"])
    curves, last = [], None
    for dump in dumps:
        frames = read_frames_of_dump(dump)
        if not np.array_equal(frames[0].columns.columns["id"], start.columns.columns["id"]):
            raise ValueError(f"{dump} has other atoms than {reference}; expected the same IDs")
        at, dipoles, spread = [sites], [], []
        lattice, charges = [start.cell], [z]
        for frame in frames:
            at.append(frame.fractional())
            lattice.append(frame.cell)
            charges.append(frame.tensors(bec))
            pair = slice(None) if path else [0, -1]
            one, error = analysis.atomic_dipoles(
                *(np.array(x)[pair] for x in (at, lattice, charges))
            )
            dipoles.append(one)
            spread.append(error)
            if not path:
                at, lattice, charges = at[:1], lattice[:1], charges[:1]
        volumes = np.array([frame.volume for frame in frames])
        scale = analysis.COULOMB_PER_AREA / volumes
        p = np.array([d.sum(axis=0) for d in dipoles]) * scale[:, None]
        ends = np.array(spread) * scale[:, None]
        begin = len(p) - 1 if path else max(equilibrated_from(one) for one in p.T)
        means = [mean_of(one[begin:]) for one in p.T]
        if len(p) - begin < 4:  # no fluctuations to tell: what Z between its ends may do
            means = [
                Estimate(m.value, float(e))
                for m, e in zip(means, ends[begin:].max(axis=0), strict=True)
            ]
        table.rows.append(
            [dump.stem, *means, str(begin), float(np.linalg.norm(ends[begin:], axis=1).mean())]
        )
        steps = np.array([frame.step for frame in frames], float)
        series_rows.rows += [
            [dump.stem, str(int(s)), *map(float, row)] for s, row in zip(steps, p, strict=True)
        ]
        curves += [Curve(f"{dump.stem} P{a}", steps, p[:, n]) for n, a in enumerate("xyz")]
        mean_dipole = np.mean(dipoles[begin:], axis=0)
        last = (frames[-1], mean_dipole, float(volumes[begin:].mean()))
    common.show(table)
    for n, a in enumerate(start.cell):
        quantum = analysis.COULOMB_PER_AREA / start.volume * a
        note(
            f"one e moved by lattice vector {n + 1}: ({quantum[0]:.4g} {quantum[1]:.4g} "
            f"{quantum[2]:.4g}) C/m^2; between branches lie multiples of Z by that"
        )
    table.write(paths[0])
    series_rows.write(paths[1])
    plot(paths[2], [("step", "polarization [C/m²]", curves)])
    assert last is not None
    frame, mean_dipole, volume = last
    names = named if named is not None else np.full(len(sites), "X")
    write_xyz(paths[3], names, frame.positions(), frame.cell, {"atomic_dipole": mean_dipole})
    written = paths[:4]
    if cells is not None:
        local = analysis.local_polarization(mean_dipole, cells, volume)
        places = start.positions()[cells.centers]
        write_xyz(paths[4], names[cells.centers], places, start.cell, {"local_polarization": local})
        plot_map(paths[5], places, local)
        written = paths
    common.wrote(*written)

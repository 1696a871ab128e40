"""Frames of ``dump custom``, by the names in their headers, atoms in the order of their IDs."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from lammps_les.analysis.lammps_output import Series
from lammps_les.files import unreadable

POSITIONS = (("xu", "yu", "zu"), ("x", "y", "z"), ("xs", "ys", "zs"), ("xsu", "ysu", "zsu"))
"""Columns of positions, those that are taken first before others; with an s they are scaled."""


@dataclass(frozen=True)
class Frame:
    """Atoms at one step.

    Attributes:
        step: of LAMMPS.
        cell: [3, 3], rows are lattice vectors, A, as LAMMPS has them (restricted triclinic).
        origin: [3], A.
        columns: numbers of each atom, by name.
        symbols: [N] elements; empty where the dump has no column ``element``.
    """

    step: int
    cell: np.ndarray
    origin: np.ndarray
    columns: Series
    symbols: tuple[str, ...]

    @property
    def volume(self) -> float:
        """A^3."""
        return float(abs(np.linalg.det(self.cell)))

    def fractional(self) -> np.ndarray:
        """Positions in units of the lattice vectors from the origin, [N, 3].

        Raises:
            ValueError: there are none in the dump.
        """
        for names in POSITIONS:
            if set(names) <= self.columns.columns.keys():
                found = self.columns.take(",".join(names), 3)
                if names[0].startswith("xs"):
                    return found
                return (found - self.origin) @ np.linalg.inv(self.cell)
        raise ValueError(self.columns.missing("x y z (or xu yu zu, xs ys zs)"))

    def positions(self) -> np.ndarray:
        """[N, 3], A."""
        return self.fractional() @ self.cell + self.origin

    def tensors(self, names: str) -> np.ndarray:
        """Nine columns as [N, 3, 3], P component first, as ``compute les/atom bec`` gives them."""
        return self.columns.take(names, 9).reshape(-1, 3, 3)

    def elements(self, of_types: tuple[str, ...] | None) -> np.ndarray:
        """[N] symbols: those of types 1, 2, ... where they are given, else those of the dump.

        Raises:
            ValueError: neither is there, or a type has no element.
        """
        if of_types is None:
            if not self.symbols:
                raise ValueError(
                    f"{self.columns.path}: expected a column element, found "
                    f"{' '.join(self.columns.columns)}; or give --elements of the atom types"
                )
            return np.array(self.symbols)
        types = self.columns.take("type", 1)[:, 0].astype(int)
        if types.max() > len(of_types):
            raise ValueError(
                f"{self.columns.path} has atom type {types.max()}; --elements names {len(of_types)}"
            )
        return np.array(of_types)[types - 1]


def read_frames_of_dump(path: str | Path) -> list[Frame]:
    """Read all whole frames of a dump; one that is still being written at the end is left out.

    Raises:
        ValueError: it cannot be read, is no ``dump custom``, or its frames have other columns or
            atoms than the first.
    """
    path = Path(path)
    problem = unreadable(path)
    if problem:
        raise ValueError(f"{path} {problem}")
    frames = list(_frames(path))
    if not frames:
        raise ValueError(
            f"{path}: expected frames of dump custom ('ITEM: TIMESTEP' ...), found none"
        )
    first = frames[0]
    for frame in frames[1:]:
        if len(frame.columns) != len(first.columns) or not np.array_equal(
            frame.columns.columns["id"], first.columns.columns["id"]
        ):
            raise ValueError(
                f"{path}: step {frame.step} has other atoms than step {first.step}; expected the "
                "same IDs in all frames"
            )
    return frames


def _frames(path: Path) -> Iterator[Frame]:
    with path.open(errors="replace") as file:
        step, count, cell, origin = 0, 0, np.eye(3), np.zeros(3)
        for line in file:
            if line.startswith("ITEM: TIMESTEP"):
                step = int(file.readline())
            elif line.startswith("ITEM: NUMBER OF ATOMS"):
                count = int(file.readline())
            elif line.startswith("ITEM: BOX BOUNDS"):
                box = [file.readline().split() for _ in range(3)]
                cell, origin = _box(path, line, box)
            elif line.startswith("ITEM: ATOMS"):
                rows = [file.readline().split() for _ in range(count)]
                names = line.split()[2:]
                if any(len(row) != len(names) for row in rows):
                    return  # still being written
                yield _frame(path, step, cell, origin, names, rows)


def _box(path: Path, header: str, box: list[list[str]]) -> tuple[np.ndarray, np.ndarray]:
    if "abc" in header:
        raise ValueError(f"{path} has a general triclinic box; dump without triclinic/general")
    numbers = np.array(box, float)
    low, high = numbers[:, 0], numbers[:, 1]
    if numbers.shape[1] == 2:
        return np.diag(high - low), low
    xy, xz, yz = numbers[:, 2]  # bounds are those of the box around the tilted cell
    low = low - [min(0.0, xy, xz, xy + xz), min(0.0, yz), 0.0]
    high = high - [max(0.0, xy, xz, xy + xz), max(0.0, yz), 0.0]
    lengths = high - low
    return np.array([[lengths[0], 0, 0], [xy, lengths[1], 0], [xz, yz, lengths[2]]]), low


def _frame(
    path: Path,
    step: int,
    cell: np.ndarray,
    origin: np.ndarray,
    names: list[str],
    rows: list[list[str]],
) -> Frame:
    if "id" not in names:
        raise ValueError(f"{path}: expected a column id, found {' '.join(names)}")
    table = np.array(rows)
    order = np.argsort(table[:, names.index("id")].astype(int))
    table = table[order]
    symbols = tuple(table[:, names.index("element")]) if "element" in names else ()
    columns = {}
    for n, name in enumerate(names):
        if name == "element":
            continue
        try:
            columns[name] = table[:, n].astype(float)
        except ValueError:
            raise ValueError(f"{path}, step {step}: column {name} holds no numbers") from None
    return Frame(step, cell, origin, Series(path, columns), symbols)

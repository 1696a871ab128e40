"""Series of numbers that LAMMPS has written, by the names in their headers.

What is read: thermo output of a log file (style one or yaml), ``fix ave/time`` of scalars, ``fix
print`` with a title that names its columns (``title "# step time P"``), and comma-separated values
with a line of names. Positions of columns never count.
"""

import re
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from lammps_les.files import read_text

LARGEST = 4_000_000_000
"""Bytes of a file; what is longer is likelier another file, and would not fit into memory."""


@dataclass
class Series:
    """Columns of a file of LAMMPS.

    Attributes:
        path: of the file.
        columns: [samples] by name, in units of the file, in the order of the file.
        settings: what an echoed input in a log says: ``units`` and ``timestep``, where it does.
    """

    path: Path
    columns: dict[str, np.ndarray]
    settings: dict[str, str] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(next(iter(self.columns.values())))

    def names(self, text: str) -> list[str]:
        """Names of columns from names with commas between; * in brackets as LAMMPS reads it.

        ``c_J[*]`` and ``c_J[1*3]`` are c_J[1], c_J[2], c_J[3].

        Raises:
            ValueError: a name is not in the header.
        """
        found: list[str] = []
        for name in (part.strip() for part in text.split(",")):
            wild = re.fullmatch(r"(.+)\[(\d*)\*(\d*)\]", name)
            if not wild:
                found.append(name)
                continue
            low, high = int(wild[2] or 1), int(wild[3] or 10**9)
            numbered = {
                int(n[1]): column
                for column in self.columns
                if (n := re.fullmatch(re.escape(wild[1]) + r"\[(\d+)\]", column))
            }
            chosen = [numbered[n] for n in sorted(numbered) if low <= n <= high]
            if not chosen or (wild[3] and len(chosen) < high - low + 1):
                raise ValueError(self.missing(name))
            found += chosen
        for name in found:
            if name not in self.columns:
                raise ValueError(self.missing(name))
        return found

    def missing(self, name: str) -> str:
        """The message that a column is not there."""
        return f"{self.path}: expected a column {name}, found {' '.join(self.columns)}"

    def take(self, text: str, count: int | None = None) -> np.ndarray:
        """Columns by name as [samples, columns]; see ``names``.

        Raises:
            ValueError: a name is not in the header, or there are not ``count`` of them.
        """
        names = self.names(text)
        if count is not None and len(names) != count:
            raise ValueError(f"{self.path}: expected {count} columns, '{text}' names {len(names)}")
        return np.stack([self.columns[name] for name in names], axis=1)

    def first(self, candidates: tuple[str, ...]) -> np.ndarray | None:
        """The first of some columns that is there; None where none is."""
        return next((self.columns[n] for n in candidates if n in self.columns), None)


def read_series(path: str | Path) -> Series:
    """Read a file of LAMMPS; a last line that is still being written is left out.

    Where a step stands twice (a second ``run``, a restart that went on in the same file), the
    later row counts.

    Raises:
        ValueError: it cannot be read, no line names the columns, or a row does not fit them.
    """
    path = Path(path)
    lines = read_text(path, LARGEST).splitlines(keepends=True)
    if any(line.startswith(("LAMMPS (", "Per MPI rank memory")) for line in lines):
        series = _read_log(path, lines)
    else:
        series = _read_table(path, lines)
    return _without_repeats(series)


def _read_table(path: Path, lines: list[str]) -> Series:
    comments: list[list[str]] = []
    names: list[str] = []
    rows: list[list[str]] = []
    at: list[int] = []
    for number, line in enumerate(lines, start=1):
        cells = _cells(line)
        if not cells:
            continue
        if line.lstrip().startswith("#") or (not rows and not _is_number(cells[0])):
            comments.append(_cells(line.lstrip().lstrip("#")))
            continue
        rows.append(cells)
        at.append(number)
    if any(names[:1] == ["Row"] for names in comments):
        raise ValueError(
            f"{path} is fix ave/time in mode vector; expected mode scalar, a line of numbers a step"
        )
    if not rows:
        raise ValueError(f"{path} has no rows of numbers; did the run end before its first output?")
    width = len(rows[0])
    names = next((c for c in reversed(comments) if len(c) == width), [])
    if not names:
        titles = "; ".join(" ".join(c) for c in comments) or "none"
        raise ValueError(
            f"{path}: expected a line '# name name ...' of {width} names above the numbers, found "
            f"{titles}; fix print writes one with title '# ...'"
        )
    return Series(path, _columns(path, names, rows, at, lines))


def _read_log(path: Path, lines: list[str]) -> Series:
    settings: dict[str, str] = {}
    names: list[str] = []
    blocks: list[tuple[list[str], list[list[str]], list[int]]] = []
    expect, inside = False, False
    for number, line in enumerate(lines, start=1):
        cells = line.replace("[", " ").replace("]", " ").split() if "- [" in line else line.split()
        if not cells:
            continue
        if cells[0] in ("units", "timestep") and len(cells) > 1 and "$" not in cells[1]:
            settings[cells[0]] = cells[1]
        if line.startswith("Per MPI rank memory"):
            expect, inside = True, False
        elif line.startswith("Loop time of"):
            expect = inside = False
        elif expect and cells[0] == "------------":
            raise ValueError(f"{path} has thermo_modify line multi; expected line one or yaml")
        elif expect and cells[0] == "keywords:":
            names = re.findall(r"'([^']+)'", line)
        elif expect and cells[0] == "data:":
            blocks.append((names, [], []))
            inside, expect = True, False
        elif expect and cells[0] != "---" and not _is_number(cells[0]) and "WARNING" not in line:
            blocks.append((cells, [], []))
            inside, expect = True, False
        elif inside and "- [" in line:
            blocks[-1][1].append(" ".join(cells[1:]).replace(",", " ").split())
            blocks[-1][2].append(number)
        elif inside and _is_number(cells[0]):
            blocks[-1][1].append(cells)
            blocks[-1][2].append(number)
    blocks = [block for block in blocks if block[1]]
    if not blocks:
        raise ValueError(f"{path} is a log without thermo output")
    names = blocks[-1][0]  # those of the last run, and of all runs that print the same
    same = [block for block in blocks if block[0] == names]
    rows = [row for block in same for row in block[1]]
    at = [n for block in same for n in block[2]]
    return Series(path, _columns(path, names, rows, at, lines), settings)


def _columns(
    path: Path, names: list[str], rows: list[list[str]], at: list[int], lines: list[str]
) -> dict[str, np.ndarray]:
    unfinished = at[-1] == len(lines) and not lines[-1].endswith("\n")
    if unfinished and len(rows) > 1:
        rows, at = rows[:-1], at[:-1]
    for number, row in zip(at, rows, strict=True):
        if len(row) != len(names):
            raise ValueError(
                f"{path}, line {number}: expected {len(names)} numbers ({' '.join(names)}), "
                f"got {len(row)}"
            )
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"{path}: the column {twice} stands twice in the header")
    try:
        table = np.array(rows, float)
    except ValueError:
        number, cell = next(
            (n, c) for n, r in zip(at, rows, strict=True) for c in r if not _is_number(c)
        )
        raise ValueError(f"{path}, line {number}: '{cell}' is no number") from None
    if not np.isfinite(table).all():
        row, column = np.argwhere(~np.isfinite(table))[0]
        raise ValueError(f"{path}, line {at[row]}: {names[column]} is {table[row, column]}")
    return dict(zip(names, table.T, strict=True))


def _without_repeats(series: Series) -> Series:
    steps = series.first(("TimeStep", "Step", "step"))
    if steps is not None and len(np.unique(steps)) < len(steps):
        _, last = np.unique(steps[::-1], return_index=True)
        keep = len(steps) - 1 - last
        series.columns = {name: column[keep] for name, column in series.columns.items()}
    return series


def _cells(line: str) -> list[str]:
    """Parts between commas, where there are any; else words."""
    parts = [part.strip().strip('"') for part in line.split(",")]
    return parts if len(parts) > 1 else line.split()


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True

"""Tables and curves of analyses, as CSV and PNG."""

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import ase.io
import numpy as np
from ase import Atoms

from lammps_les.analysis.lammps_output import read_series
from lammps_les.analysis.parity import save_figure
from lammps_les.analysis.statistics import Estimate
from lammps_les.files import write_atomically

Cell = str | float | Estimate


@dataclass
class Table:
    """Numbers with their errors.

    Attributes:
        title: what it is.
        headings: with units in brackets.
        rows: of as many cells; an Estimate takes two columns of the CSV file.
    """

    title: str
    headings: Sequence[str]
    rows: list[Sequence[Cell]] = field(default_factory=list)

    def shown(self) -> list[list[str]]:
        """Rows as text, with no more digits than errors allow."""
        return [[f"{c:.6g}" if isinstance(c, float) else str(c) for c in row] for row in self.rows]

    def write(self, path: Path) -> None:
        """Write CSV; the error of a heading stands behind it under ``... error``."""
        twice = [
            any(isinstance(cell, Estimate) for cell in column)
            for column in zip(*self.rows, strict=True)
        ] or [False] * len(self.headings)
        names: list[str] = []
        for heading, two in zip(self.headings, twice, strict=True):
            names += [heading, f"{heading} error"] if two else [heading]
        lines: list[list[Any]] = []
        for row in self.rows:
            line: list[Any] = []
            for cell, two in zip(row, twice, strict=True):
                if isinstance(cell, Estimate):
                    line += [repr(float(cell.value)), repr(float(cell.error))]
                else:
                    line += [cell, ""] if two else [cell]
            lines.append(line)
        _write_csv(path, names, lines)


def write_columns(path: Path, columns: Mapping[str, np.ndarray]) -> None:
    """Write arrays of one length as CSV; the names, with units, in the first line."""
    rows = np.stack([np.asarray(c, float) for c in columns.values()], axis=1)
    _write_csv(path, list(columns), [[f"{v:.8g}" for v in row] for row in rows])


def _write_csv(path: Path, names: list[str], rows: list[list[Any]]) -> None:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(names)
    writer.writerows(rows)
    write_atomically(path, text.getvalue().encode())


@dataclass
class Curve:
    """A line of a plot, or single points.

    Attributes:
        label: in the legend.
        x: [n].
        y: [n].
        error: [n], drawn as a band (as bars on points), or None.
        style: ``line``, ``dashed``, ``faint`` or ``points``.
    """

    label: str
    x: np.ndarray
    y: np.ndarray
    error: np.ndarray | None = None
    style: str = "line"


def reference_curve(path: Path) -> Curve:
    """A curve from the first two columns of a file, whatever their names; drawn dashed.

    Raises:
        ValueError: it cannot be read or has one column.
    """
    series = read_series(path)
    if len(series.columns) < 2:
        raise ValueError(f"{path}: expected two columns of a curve, found {len(series.columns)}")
    x, y = list(series.columns.values())[:2]
    return Curve(path.stem, x, y, style="dashed")


def plot(
    path: Path,
    panels: Sequence[tuple[str, str, Sequence[Curve]]],
) -> None:
    """Draw panels of (label of x, label of y, curves) below each other.

    Args:
        path: image to write.
        panels: at least one.
    """
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(
        len(panels), figsize=(6.4, 3.4 * len(panels)), squeeze=False, layout="constrained"
    )
    for axis, (x_label, y_label, curves) in zip(axes[:, 0], panels, strict=True):
        for n, curve in enumerate(curves):
            _draw(axis, curve, "black" if curve.style == "dashed" else f"C{n % 10}")
        axis.set(xlabel=x_label, ylabel=y_label)
        if any(curve.label for curve in curves):
            axis.legend(frameon=False, fontsize="small")
        axis.spines[["top", "right"]].set_visible(False)
    save_figure(figure, path)


def _draw(axis: Any, curve: Curve, color: str) -> None:
    label = curve.label or None
    if curve.style == "points":
        looks = {"fmt": "o", "markersize": 4, "capsize": 2, "color": color}
        axis.errorbar(curve.x, curve.y, curve.error, label=label, **looks)
        return
    if curve.style == "faint":
        axis.plot(curve.x, curve.y, color="gray", linewidth=0.5, alpha=0.4, label=label)
        return
    axis.plot(
        curve.x,
        curve.y,
        color=color,
        linewidth=1.2,
        linestyle="--" if curve.style == "dashed" else "-",
        label=label,
    )
    if curve.error is not None:
        axis.fill_between(
            curve.x,
            curve.y - curve.error,
            curve.y + curve.error,
            color=color,
            alpha=0.25,
            linewidth=0,
        )


def plot_map(path: Path, places: np.ndarray, vectors: np.ndarray) -> None:
    """Draw vectors [n, 3] at places [n, 3] in A: arrows in the plane xy, coloured by z.

    Those above each other are averaged.
    """
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot

    columns, index = np.unique(np.round(places[:, :2], 1), axis=0, return_inverse=True)
    index = index.ravel()
    sums = np.stack([np.bincount(index, vectors[:, n]) for n in range(3)], axis=1)
    mean = sums / np.bincount(index)[:, None]
    figure, axis = pyplot.subplots(figsize=(5.4, 4.6), layout="constrained")
    largest = float(np.abs(vectors).max()) or 1.0
    arrows = axis.quiver(
        *columns.T, *mean.T, cmap="coolwarm", pivot="mid", clim=(-largest, largest)
    )
    axis.plot(*columns.T, ".", color="gray", markersize=2)
    figure.colorbar(arrows, label="Pz [C/m²]")
    axis.set(xlabel="x [A]", ylabel="y [A]", title="local polarization, mean along z")
    axis.set_aspect("equal")
    save_figure(figure, path)


def write_xyz(
    path: Path,
    symbols: np.ndarray,
    positions: np.ndarray,
    cell: np.ndarray,
    arrays: Mapping[str, np.ndarray],
) -> None:
    """Write extended XYZ, as OVITO reads it: atoms [N] in a periodic cell, with arrays [N, ...]."""
    atoms = Atoms(list(symbols), positions, cell=cell, pbc=True)
    for name, values in arrays.items():
        atoms.set_array(name, values.reshape(len(atoms), -1))
    text = io.StringIO()
    ase.io.write(text, atoms, format="extxyz")
    write_atomically(path, text.getvalue().encode())

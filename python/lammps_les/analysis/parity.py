"""Parity plots."""

import io
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np

from lammps_les.analysis.comparison import Comparison
from lammps_les.analysis.errors import errors_of
from lammps_les.files import write_atomically
from lammps_les.keys import ENERGY, LABELS


def plot_parity(comparison: Comparison, path: str | Path, shift_energies: bool = False) -> None:
    """Draw prediction against reference, one panel a quantity, coloured by element.

    Args:
        comparison: with at least one quantity to compare.
        path: image file to write; the suffix says which kind.
        shift_energies: as in ``Comparison.values``.
    """
    matplotlib.use("Agg")
    from matplotlib import pyplot

    panels = [(q, comparison.values(q, shift_energies)) for q in LABELS]
    drawn = [(quantity, values) for quantity, values in panels if values is not None]
    figure, axes = pyplot.subplots(
        1, len(drawn), figsize=(4.2 * len(drawn), 4.2), squeeze=False, layout="constrained"
    )
    for axis, (quantity, values) in zip(axes[0], drawn, strict=True):
        if len(values.elements):
            for element in sorted(set(values.elements)):
                mine = values.elements == element
                _scatter(axis, values.reference[mine], values.predicted[mine], element)
            axis.legend(frameon=False, markerscale=3)
        else:
            _scatter(axis, values.reference, values.predicted, None)
        low = min(values.reference.min(), values.predicted.min())
        high = max(values.reference.max(), values.predicted.max())
        axis.plot([low, high], [low, high], color="black", linewidth=0.8)
        unit = quantity.unit + ("/atom" if quantity is ENERGY else "")
        errors = errors_of(values.predicted, values.reference)
        axis.set_title(f"{quantity.name.replace('_', ' ')}, RMSE {errors.rmse:.3g} {unit}")
        axis.set_xlabel(f"reference [{unit}]")
        axis.set_ylabel(f"predicted [{unit}]")
        axis.set_box_aspect(1)
    save_figure(figure, Path(path))


def save_figure(figure: Any, path: Path) -> None:
    """Write a figure of pyplot, whole or not at all, and close it."""
    from matplotlib import pyplot

    drawn = io.BytesIO()
    figure.savefig(drawn, dpi=150, format=path.suffix.removeprefix(".") or None)
    pyplot.close(figure)
    write_atomically(path, drawn.getvalue())


def _scatter(axis, reference: np.ndarray, predicted: np.ndarray, element: str | None) -> None:
    axis.plot(
        reference.ravel(), predicted.ravel(), ".", markersize=2, label=element, rasterized=True
    )

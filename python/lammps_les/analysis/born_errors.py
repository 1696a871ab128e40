"""Born effective charges of runs, alone or beside labels, with errors.

Errors come from leaving out one structure at a time, or one atom at a time where there are fewer
than eight structures: then what structures have in common is not in them.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from lammps_les.analysis.statistics import Estimate, jackknife, over_blocks

ENOUGH = 8
"""Structures from which on they, and not atoms, are what is left out."""


def _units(values: Sequence[np.ndarray]) -> np.ndarray:
    """[units, ...] sums of values [atoms, ...] of each structure: by structure, or by atom."""
    if len(values) >= ENOUGH:
        return np.array([one.sum(axis=0) for one in values])
    return np.concatenate(values)


def _ratio(numerators: Sequence[np.ndarray], denominators: Sequence[np.ndarray]) -> np.ndarray:
    return np.stack([_units(numerators), _units(denominators)], axis=1)


def mean_charge(born_charges: Sequence[np.ndarray], symbols: np.ndarray, element: str) -> Estimate:
    """Mean of trace/3 over the atoms of an element, e.

    Args:
        born_charges: [N, 3, 3] of each structure.
        symbols: [N], the same in all.
        element: one of them.
    """
    mine = symbols == element
    traces = [np.trace(z[mine], axis1=1, axis2=2) / 3.0 for z in born_charges]
    if sum(map(len, traces)) < 2:
        return Estimate(float(traces[0].mean()), float("nan"))
    return jackknife(_ratio(traces, [np.ones(len(t)) for t in traces]), lambda x: x[0] / x[1])


def root_mean_square(
    predicted: Sequence[np.ndarray], labels: Sequence[np.ndarray], part: np.ndarray
) -> Estimate:
    """Root mean square of the differences of some components, e.

    Args:
        predicted: [N, 3, 3] of each structure.
        labels: likewise.
        part: [3, 3] of True where a component counts.
    """
    squares = [
        ((z - label)[:, part] ** 2).sum(axis=1) for z, label in zip(predicted, labels, strict=True)
    ]
    counts = [np.full(len(s), float(part.sum())) for s in squares]
    return jackknife(_ratio(squares, counts), lambda x: float(np.sqrt(x[0] / x[1])))


def best_scale(predicted: Sequence[np.ndarray], labels: Sequence[np.ndarray]) -> Estimate:
    """The factor on predictions that fits labels best, <Z L>/<Z Z>.

    Raises:
        ValueError: predictions are zero.
    """
    mixed = [(z * label).sum(axis=(1, 2)) for z, label in zip(predicted, labels, strict=True)]
    own = [(z * z).sum(axis=(1, 2)) for z in predicted]
    if sum(float(one.sum()) for one in own) == 0.0:
        raise ValueError("predicted Born effective charges are zero; no factor makes them fit")
    return jackknife(_ratio(mixed, own), lambda x: x[0] / x[1])


def sum_rule(born_charges: Sequence[np.ndarray]) -> Estimate:
    """Mean |sum_i Z_iab| over components and structures, e; the acoustic sum rule makes it zero.

    The error is not a number for one structure.
    """
    sizes = np.array([np.abs(z.sum(axis=0)).mean() for z in born_charges])
    if len(sizes) < 2:
        return Estimate(float(sizes[0]), float("nan"))
    return Estimate(*map(float, over_blocks(sizes)))


def plot_born_charges(
    path: Path,
    predicted: Sequence[np.ndarray],
    labels: Sequence[np.ndarray] | None,
    symbols: np.ndarray,
) -> None:
    """Draw histograms by element, and beside labels parity, diagonal and off-diagonal apart.

    Args:
        path: image to write.
        predicted: [N, 3, 3] of each structure, e.
        labels: likewise, or None.
        symbols: [N], the same in all structures.
    """
    import matplotlib as mpl

    from lammps_les.analysis.parity import save_figure

    mpl.use("Agg")
    from matplotlib import pyplot

    diagonal = np.eye(3, dtype=bool)
    z = np.array(predicted)
    reference = None if labels is None else np.array(labels)
    figure, axes = pyplot.subplots(
        2, 1 if reference is None else 2, figsize=(8.4, 6.8), squeeze=False, layout="constrained"
    )
    for row, (name, part) in enumerate((("diagonal", diagonal), ("off-diagonal", ~diagonal))):
        for element in sorted(set(symbols)):
            mine = z[:, symbols == element][:, :, part].ravel()
            axes[row, 0].hist(mine, bins=60, density=True, histtype="step", label=element)
            if reference is not None:
                other = reference[:, symbols == element][:, :, part].ravel()
                axes[row, 1].plot(other, mine, ".", markersize=2, label=element, rasterized=True)
        axes[row, 0].set(xlabel=f"{name} Z [e]", ylabel="density [1/e]")
        axes[row, 0].legend(frameon=False)
        if reference is not None:
            low, high = axes[row, 1].get_xlim()
            axes[row, 1].plot([low, high], [low, high], color="black", linewidth=0.8)
            axes[row, 1].set(xlabel=f"reference, {name} [e]", ylabel="Z [e]")
    save_figure(figure, path)

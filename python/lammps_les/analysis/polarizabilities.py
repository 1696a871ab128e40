"""Polarizabilities beside labels: what is compared, and what of their fluctuations is right."""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from lammps_les.units import COULOMB


def whole_polarizability(
    of_alpha: np.ndarray, coupling: np.ndarray, volume: float | None
) -> np.ndarray:
    """Polarizability [3, 3] in e A^2/V that a label is compared with.

    A periodic cell answers a field with (epsilon_inf - 1) epsilon_0 V = root (sum alpha) root +
    (epsilon_e - 1) epsilon_0 V: what alpha adds, and what screens the latents without being one. A
    molecule is in vacuum: sum alpha, without the roots.

    Args:
        of_alpha: [3, 3], root (sum alpha) root, as model files give it, in e A^2/V.
        coupling: [3, 3], epsilon_e, the square of the root.
        volume: of the cell in A^3; None in open boundaries.
    """
    if volume is None:
        values, vectors = np.linalg.eigh(coupling)
        inverse = (vectors / np.sqrt(values)) @ vectors.T
        found: np.ndarray = inverse @ of_alpha @ inverse
        return found
    return of_alpha + (coupling - np.eye(3)) * volume / (4.0 * math.pi * COULOMB)


class PolarizabilityFit(NamedTuple):
    """Fluctuations of predicted polarizabilities beside those of labels.

    Attributes:
        isotropic: correlation of trace / 3, each less its mean over the structures.
        anisotropic: correlation of all components without the trace, likewise.
        slopes: of the regression of the predictions on the labels, isotropic and anisotropic.
        mean: of trace / 3, of predictions and of labels, in e A^2/V.
        structures: how many.
    """

    isotropic: float
    anisotropic: float
    slopes: tuple[float, float]
    mean: tuple[float, float]
    structures: int


def fit_polarizabilities(
    predicted: Sequence[np.ndarray], labels: Sequence[np.ndarray]
) -> PolarizabilityFit:
    """Compare tensors [3, 3] of two or more structures.

    Correlations are 0 where predictions or labels do not vary.
    """
    p, r = np.array(predicted), np.array(labels)  # [M, 3, 3]
    traces = [np.trace(x, axis1=1, axis2=2) / 3.0 for x in (p, r)]
    isotropic = [t - t.mean() for t in traces]
    rest = [x - t[:, None, None] * np.eye(3) for x, t in zip((p, r), traces, strict=True)]
    anisotropic = [x - x.mean(axis=0) for x in rest]
    found = [_correlation(*pair) for pair in (isotropic, anisotropic)]
    return PolarizabilityFit(
        found[0][0],
        found[1][0],
        (found[0][1], found[1][1]),
        (float(traces[0].mean()), float(traces[1].mean())),
        len(p),
    )


def _correlation(p: np.ndarray, r: np.ndarray) -> tuple[float, float]:
    """Of deviations from means: correlation, and slope of p on r."""
    overlap, pp, rr = float((p * r).sum()), float((p * p).sum()), float((r * r).sum())
    if min(pp, rr) <= 1e-20 * max(pp, rr, 1e-300):
        return 0.0, 0.0
    return overlap / math.sqrt(pp * rr), overlap / rr

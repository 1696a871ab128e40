"""Measures of error."""

from typing import NamedTuple

import numpy as np


class Errors(NamedTuple):
    """Errors of predictions against reference values, over all components.

    Attributes:
        values: how many were compared.
        rmse: root of the mean squared error, in the unit of the values.
        mae: mean absolute error.
        r2: 1 - sum (p - r)^2 / sum (r - mean r)^2; not a number where the reference is constant.
    """

    values: int
    rmse: float
    mae: float
    r2: float


def errors_of(predicted: np.ndarray, reference: np.ndarray) -> Errors:
    """Compare two arrays of the same shape.

    Raises:
        ValueError: the shapes differ, or there is nothing to compare.
    """
    predicted, reference = np.asarray(predicted, float), np.asarray(reference, float)
    if predicted.shape != reference.shape or predicted.size == 0:
        raise ValueError(f"cannot compare shapes {predicted.shape} and {reference.shape}")
    difference = predicted - reference
    variance = float(((reference - reference.mean()) ** 2).sum())
    return Errors(
        values=difference.size,
        rmse=float(np.sqrt((difference**2).mean())),
        mae=float(np.abs(difference).mean()),
        r2=1.0 - float((difference**2).sum()) / variance if variance > 0 else float("nan"),
    )


def energy_shifts(difference: np.ndarray, composition: np.ndarray) -> np.ndarray:
    """Per-element energies that best explain energy differences, by least squares.

    Args:
        difference: [frames], eV, reference minus prediction.
        composition: [frames, elements], number of atoms of each element.

    Returns:
        [elements], eV per atom; the shortest solution where the compositions leave it open.
    """
    return np.linalg.lstsq(composition, difference, rcond=None)[0]

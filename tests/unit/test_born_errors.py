"""Errors of Born effective charges with noise of known size, by structures and by atoms."""

import numpy as np
import pytest
from repetitions import check_coverage

from lammps_les.analysis import born_errors

SYMBOLS = np.array(["O", "H", "H"] * 4)
TRUE = np.where(SYMBOLS == "O", -1.0, 0.5)[:, None, None] * np.eye(3)
ALL = np.ones((3, 3), bool)


def sets(structures: int) -> list[tuple[list[np.ndarray], list[np.ndarray]]]:
    """100 sets of predictions and labels: labels are 1.1 times predictions, with noise of 0.1."""
    rng = np.random.default_rng(8)
    found = []
    for _ in range(100):
        z = [TRUE + 0.2 * rng.normal(size=TRUE.shape) for _ in range(structures)]
        found.append((z, [1.1 * one + 0.1 * rng.normal(size=one.shape) for one in z]))
    return found


@pytest.mark.parametrize("structures", [12, 2])
def test_errors_are_honest(structures: int) -> None:
    pairs = sets(structures)
    check_coverage((born_errors.best_scale(z, labels) for z, labels in pairs), 1.1)
    check_coverage((born_errors.mean_charge(z, SYMBOLS, "O") for z, _ in pairs), -1.0)
    part = ~np.eye(3, dtype=bool)
    # off the diagonal Z is noise of 0.2: differences are 0.1 Z and noise of 0.1
    check_coverage(
        (born_errors.root_mean_square(z, labels, part) for z, labels in pairs),
        np.sqrt(0.02**2 + 0.1**2),
    )


def test_sum_rule_has_honest_errors() -> None:
    """Of 12 atoms with noise of 0.2: the mean size of a Gaussian number."""
    check_coverage(
        (born_errors.sum_rule(z) for z, _ in sets(12)), 0.2 * np.sqrt(12.0 * 2.0 / np.pi)
    )
    value, error = born_errors.sum_rule([TRUE])
    assert value == pytest.approx(0.0)
    assert np.isnan(error)


def test_zero_charges_have_no_scale() -> None:
    with pytest.raises(ValueError, match="are zero; no factor makes them fit"):
        born_errors.best_scale([0.0 * TRUE], [TRUE])

"""Permittivity of a dipole that relaxes in a harmonic well, which is known."""

import numpy as np
import pytest
from repetitions import check_coverage
from scipy import constants, signal

from lammps_les.analysis import dielectric

VOLUME, TEMPERATURE, EPSILON_INF = 1900.0, 300.0, 1.8  # A^3, K
SQUARE = 3.0  # variance of a component of M, e^2 A^2
KT = constants.k * TEMPERATURE
TRUTH = EPSILON_INF + SQUARE * (constants.e * 1e-10) ** 2 / (
    constants.epsilon_0 * VOLUME * 1e-30 * KT
)
KEEP = 0.9


@pytest.fixture(scope="module")
def dipoles() -> np.ndarray:
    """[100, samples, 3], relaxing within ten samples, about some structure's value."""
    noise = np.random.default_rng(6).normal(size=(100, 4100, 3)) * np.sqrt(SQUARE * (1 - KEEP**2))
    return 7.0 + signal.lfilter([1.0], [1.0, -KEEP], noise, axis=1)[:, 100:]


def test_fluctuations_have_honest_errors(dipoles) -> None:
    check_coverage(
        (
            dielectric.fluctuation_permittivity(one, VOLUME, TEMPERATURE, EPSILON_INF)
            for one in dipoles
        ),
        TRUTH,
    )


def test_the_mean_of_a_short_run_makes_no_bias(dipoles) -> None:
    """Of 200 samples, ten correlation times: the mean of the run takes 10 % of the variance."""
    found = [
        dielectric.fluctuation_permittivity(one[:200], VOLUME, TEMPERATURE, EPSILON_INF).value
        for one in dipoles
    ]
    error = np.std(found) / 10.0
    assert abs(np.mean(found) - TRUTH) < 2.5 * error


@pytest.mark.parametrize("fields", [(0.0, 0.02), (-0.02, 0.02), (-0.02, 0.0, 0.03)])
def test_field_runs_have_honest_errors(dipoles, fields: tuple[float, ...]) -> None:
    """Linear response, d<M>/dE = <M^2>/kB T; along (1, 2, 2)/3."""
    axis = np.array([1.0, 2.0, 2.0]) / 3.0
    slope = SQUARE / (KT / constants.e)  # e A/(V/A)
    found = []
    for n in range(100):
        runs = [dipoles[(n + 37 * m) % 100] + slope * f * axis for m, f in enumerate(fields)]
        found.append(
            dielectric.field_permittivity(runs, [f * axis for f in fields], VOLUME, EPSILON_INF)
        )
    check_coverage(found, TRUTH)


def test_fields_that_say_nothing_are_refused(dipoles) -> None:
    runs = list(dipoles[:2])
    with pytest.raises(ValueError, match="expected fields along one axis"):
        dielectric.field_permittivity(runs, [np.eye(3)[0], np.eye(3)[1]], VOLUME)
    with pytest.raises(ValueError, match="expected runs in different fields"):
        dielectric.field_permittivity(runs, [np.eye(3)[0]] * 2, VOLUME)


def test_high_frequency_permittivity_has_honest_errors(dipoles) -> None:
    """Of a lattice of polarizabilities: epsilon_e + 4 pi alpha/V."""
    found = []
    for one in dipoles:
        alpha = np.concatenate([100.0 + one, one], axis=1)
        found.append(dielectric.high_frequency_permittivity(alpha, VOLUME, 1.1))
    check_coverage(found, 1.1 + 4.0 * np.pi * 107.0 / VOLUME)

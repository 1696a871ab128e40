"""Errors of correlated noise, whose mean and correlation time are known."""

import numpy as np
import pytest
from repetitions import check_coverage
from scipy import signal

from lammps_les.analysis import statistics

KEEP = 0.8
SAMPLES = 4000


@pytest.fixture(scope="module")
def noise() -> np.ndarray:
    """[100, samples] of mean 3, variance 1 and correlation KEEP^m."""
    white = np.random.default_rng(5).normal(size=(100, SAMPLES + 100)) * np.sqrt(1.0 - KEEP**2)
    return 3.0 + signal.lfilter([1.0], [1.0, -KEEP], white, axis=1)[:, 100:]


def test_mean_of_correlated_noise_has_honest_errors(noise) -> None:
    check_coverage((statistics.mean_of(one) for one in noise), 3.0)


def test_statistical_inefficiency(noise) -> None:
    found = [statistics.statistical_inefficiency(one) for one in noise]
    assert np.mean(found) == pytest.approx((1.0 + KEEP) / (1.0 - KEEP), rel=0.1)
    assert statistics.statistical_inefficiency(np.ones(50)) == 1.0


def test_blocks_have_honest_errors(noise) -> None:
    blocks = [statistics.in_blocks(one, 12).mean(axis=1) for one in noise]
    check_coverage(((float(m), float(e)) for m, e in map(statistics.over_blocks, blocks)), 3.0)


def test_jackknife_takes_the_bias_off_a_ratio(noise) -> None:
    """<x>^2 of 12 blocks is too large by the variance of the mean."""
    blocks = [statistics.in_blocks(one - 2.7, 12).mean(axis=1) for one in noise]
    check_coverage((statistics.jackknife(one, lambda x: x**2) for one in blocks), 0.09)


def test_equilibration_is_found(noise) -> None:
    """Noise that sinks from 10 above its mean with a time of 100 samples."""
    decay = 10.0 * np.exp(-np.arange(SAMPLES) / 100.0)
    begins = [statistics.equilibrated_from(one + decay) for one in noise[:20]]
    assert np.median(begins) > 200
    assert max(begins) < 2000
    check_coverage(
        (statistics.mean_of((one + decay)[600:]) for one in noise), 3.0 + decay[600:].mean()
    )
    assert statistics.equilibrated_from(np.ones(500)) == 0


def test_blocks_leave_out_the_begin_and_need_two() -> None:
    np.testing.assert_array_equal(statistics.in_blocks(np.arange(7), 3), [[1, 2], [3, 4], [5, 6]])
    with pytest.raises(ValueError, match="expected at least 8 samples for 4 blocks, got 7"):
        statistics.in_blocks(np.arange(7), 4)
    with pytest.raises(ValueError, match="expected at least 2 blocks for an error, got 1"):
        statistics.over_blocks(np.zeros((1, 3)))


def test_estimates_are_shown_with_the_digits_that_errors_allow() -> None:
    assert str(statistics.Estimate(12.3456, 0.123)) == "12.35 +- 0.12"
    assert str(statistics.Estimate(1234.5, 56.7)) == "1234 +- 57"
    assert str(statistics.Estimate(1.5, 0.0)) == "1.5"
    assert str(statistics.Estimate(1.7612e-12, 9.4e-14)) == "(1.761 +- 0.094)e-12"
    assert str(statistics.Estimate(-2.36e-5, 4e-5)) == "(-2.4 +- 4.0)e-05"
    assert str(statistics.Estimate(0.0012, 0.0003)) == "0.00120 +- 0.00030"

"""Uncertainties of time series: statistical inefficiency, equilibration, blocks.

The truth lies within a stated error in 68.3 of 100 cases, within twice that in 95, or in 94 where
the error comes from a dozen blocks: errors of few blocks are larger by Student's factor.

Statistical inefficiency g, the number of samples that one independent sample takes, and the begin
of equilibrium are those of ``pymbar.timeseries``: J. D. Chodera, J. Chem. Theory Comput. 12, 1799
(2016), doi:10.1021/acs.jctc.5b00784.
"""

import logging
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from scipy import stats

MOST_POINTS = 4000
"""Of a series in which the begin of equilibrium is looked for; a longer one is thinned out."""


class Estimate(NamedTuple):
    """A number with its standard error, both in one unit."""

    value: float
    error: float

    def __str__(self) -> str:
        if not np.isfinite(self.error) or self.error <= 0.0:
            return f"{self.value:.5g}"
        largest = max(abs(self.value), self.error)
        if largest < 1e-4:  # cross sections in A^2
            power = int(np.floor(np.log10(largest)))
            scaled = Estimate(self.value / 10.0**power, self.error / 10.0**power)
            return f"({scaled})e{power:03d}"
        digits = max(0, 1 - int(np.floor(np.log10(self.error))))
        return f"{self.value:.{digits}f} +- {self.error:.{digits}f}"


def _timeseries():
    # at import it advises to install jax, which no analysis here would gain from
    logging.getLogger("pymbar").setLevel(logging.ERROR)
    from pymbar import timeseries

    return timeseries


def statistical_inefficiency(series: np.ndarray) -> float:
    """G = 1 + 2 (correlation time in samples) of [samples]; 1 for a constant or less than 4."""
    if len(series) < 4 or np.ptp(series) == 0.0:
        return 1.0
    return float(_timeseries().statistical_inefficiency(series))


def equilibrated_from(series: np.ndarray) -> int:
    """First sample of equilibrium in [samples]: the one that leaves most independent samples."""
    stride = -(-len(series) // MOST_POINTS)
    thinned = series[::stride]
    if len(thinned) < 20 or np.ptp(thinned) == 0.0:
        return 0
    start, _, _ = _timeseries().detect_equilibration(thinned, nskip=max(1, len(thinned) // 50))
    return int(start) * stride


def mean_of(series: np.ndarray) -> Estimate:
    """Mean of a correlated series [samples], with sqrt(g variance / samples) as its error."""
    g = statistical_inefficiency(series)
    n = max(len(series) / g, 1.0 + 1e-9)
    return Estimate(float(series.mean()), float(np.sqrt(series.var() / max(n - 1.0, 1e-9))))


def in_blocks(series: np.ndarray, count: int) -> np.ndarray:
    """Split [samples, ...] into [count, samples // count, ...]; the first of a remainder go.

    Raises:
        ValueError: blocks would have fewer than two samples.
    """
    length = len(series) // count
    if length < 2:
        raise ValueError(
            f"expected at least {2 * count} samples for {count} blocks, got {len(series)}"
        )
    return series[len(series) - count * length :].reshape(count, length, *series.shape[1:])


def over_blocks(samples: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean and its error of independent estimates [blocks, ...]: two of [...].

    Raises:
        ValueError: fewer than two blocks.
    """
    if len(samples) < 2:
        raise ValueError(f"expected at least 2 blocks for an error, got {len(samples)}")
    return samples.mean(axis=0), _student(len(samples)) * samples.std(axis=0) / np.sqrt(
        len(samples) - 1
    )


def _student(count: int) -> float:
    """Half width of the interval that holds 68.3 %, over that of many samples."""
    return float(stats.t.ppf(0.5 + 0.5 * 0.682689, count - 1))


def jackknife(samples: np.ndarray, function: Callable[[np.ndarray], float]) -> Estimate:
    """A function of a mean, with the error of leaving out one block at a time.

    Args:
        samples: [blocks, ...], independent estimates of the argument of ``function``.
        function: of [...], as a ratio of integrals.

    Returns:
        The function of the mean less its bias of first order in 1/blocks, and its error
        (B. Efron, The Jackknife, SIAM 1982, chapters 2 and 3).
    """
    n, total = len(samples), samples.sum(axis=0)
    whole = float(function(total / n))
    without = np.array([function((total - one) / (n - 1)) for one in samples])
    value = n * whole - (n - 1) * without.mean()
    return Estimate(float(value), _student(n) * float(np.sqrt((n - 1) * without.var())))

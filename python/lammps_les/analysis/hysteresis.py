"""Hysteresis of the polarization: loop, coercive field, remanence, from cycles of a field.

A cycle is one period of a field that goes up and down once. Cycles are independent estimates of one
loop: errors come from leaving out one at a time. The itinerant polarization has no origin, so each
cycle is centered about its mean.
"""

from typing import NamedTuple

import numpy as np
from ase import units

from lammps_les.analysis.statistics import Estimate, jackknife

NEAR = 0.07
"""Part of the range of the field, on either side, over which a parabola is fitted at a point."""


class Hysteresis(NamedTuple):
    """What a loop says; fields in V/A, polarizations in C/m^2.

    Attributes:
        coercive: half the distance between the fields at which P is zero, up less down.
        bias: their mean, zero for a symmetric loop.
        remanence: half the distance between P at zero field, on the way down less up.
        largest: the largest P of the mean loop.
        area: integral of E dP, in MJ/m^3, what a cycle turns into heat.
        response: P/(epsilon_0 E) of the first harmonics, in phase and lagging.
    """

    coercive: Estimate
    bias: Estimate
    remanence: Estimate
    largest: Estimate
    area: Estimate
    response: tuple[Estimate, Estimate]


def cycles_of(series: np.ndarray, step: float, period: float) -> np.ndarray:
    """Split [samples, ...] into whole cycles [cycles, samples, ...]; a last part is left out.

    Raises:
        ValueError: there is no whole cycle, or it has fewer than 8 samples.
    """
    count = int(len(series) * step / period + 1e-6)
    length = round(period / step)
    if count < 1 or length < 8:
        raise ValueError(
            f"expected cycles of {period:g} ps of 8 samples at least, got "
            f"{len(series)} samples {step:g} ps apart"
        )
    begins = [min(round(n * period / step), len(series) - length) for n in range(count)]
    return np.array([series[begin : begin + length] for begin in begins])


def centered(polarization: np.ndarray) -> np.ndarray:
    """Cycles [cycles, samples], each less its mean."""
    return polarization - polarization.mean(axis=1, keepdims=True)


def hysteresis(field: np.ndarray, polarization: np.ndarray) -> Hysteresis:
    """Analyze cycles.

    Args:
        field: [samples] in V/A, of one cycle: begins anywhere, goes up and down once.
        polarization: [cycles, samples] along the field, C/m^2.

    Raises:
        ValueError: there is one cycle only, or the field does not change.
    """
    if len(polarization) < 2:
        raise ValueError("expected two cycles at least for errors, got one")
    if np.ptp(field) <= 0.0:
        raise ValueError("expected a field that goes up and down; it is constant")
    loops = centered(polarization)
    up, down = _branches(field)

    def crossings(loop: np.ndarray) -> tuple[float, float]:
        return _zero(field[up], loop[up]), -_zero(-field[down], -loop[down])

    def at_zero(loop: np.ndarray) -> float:
        return 0.5 * (_fit(field[down], loop[down], 0.0)[0] - _fit(field[up], loop[up], 0.0)[0])

    wave = np.exp(2j * np.pi * np.arange(len(field)) / len(field))
    scale = units._eps0 * 1e10 * (field @ wave)
    nearby = np.diff(np.append(field, field[0])) * 0.5 + field  # between samples
    return Hysteresis(
        jackknife(loops, lambda p: 0.5 * (crossings(p)[0] - crossings(p)[1])),
        jackknife(loops, lambda p: 0.5 * (crossings(p)[0] + crossings(p)[1])),
        jackknife(loops, at_zero),
        jackknife(loops, lambda p: float(p.max())),
        jackknife(loops, lambda p: 1e4 * float(nearby @ np.diff(np.append(p, p[0])))),
        (
            jackknife(loops, lambda p: float(((p @ wave) / scale).real)),
            jackknife(loops, lambda p: float(((p @ wave) / scale).imag)),
        ),
    )


def _branches(field: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Samples on the way up and down, in that order of time, by the extremes of the field."""
    low, high, n = int(field.argmin()), int(field.argmax()), len(field)
    up = (low + np.arange((high - low) % n + 1)) % n
    down = (high + np.arange((low - high) % n + 1)) % n
    return up, down


def _zero(field: np.ndarray, rising: np.ndarray) -> float:
    """Field at which a polarization that rises with it, from negative to positive, is zero.

    The sum of P up to a sample is least where P changes its sign, noise or not. From there on by
    Newton's method with what is fitted around each guess, so that the noise of the first is gone.
    """
    reach = _reach(field)
    start = at = float(field[np.cumsum(rising).argmin()])
    for _ in range(10):
        value, slope = _fit(field, rising, at)
        if slope <= 0.0:
            return start
        at = float(np.clip(at - value / slope * reach, start - 2.0 * reach, start + 2.0 * reach))
    return at


def _fit(field: np.ndarray, polarization: np.ndarray, at: float) -> tuple[float, float]:
    """P at a field on a branch, and what it rises by in the reach of the parabola that is fitted.

    Its weights end smoothly, so that the result does not jump with the place.
    """
    x = (field - at) / _reach(field)
    near = np.abs(x) < 1.0
    if near.sum() < 4:  # beyond the ends of the branch
        return float(polarization[np.abs(x).argmin()]), 0.0
    weights = np.sqrt((1.0 - np.abs(x[near]) ** 3) ** 3)
    _, slope, value = np.polyfit(x[near], polarization[near], 2, w=weights)
    return float(value), float(slope)


def _reach(field: np.ndarray) -> float:
    return float(np.ptp(field)) * max(NEAR, 4.0 / len(field))

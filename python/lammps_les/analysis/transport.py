"""Static conductivity with errors: Green-Kubo, Helfand-Einstein, and runs in a field.

Formulas and their sources: ``lammps_les.analysis.spectra``. The three components of parts of the
run are independent estimates of one number, the medium being isotropic; their scatter is the error.
"""

from dataclasses import dataclass

import numpy as np
from ase import units

from lammps_les.analysis import spectra
from lammps_les.analysis.statistics import Estimate, in_blocks, over_blocks


@dataclass(frozen=True)
class Running:
    """A conductivity against the time up to which correlations count.

    Attributes:
        time: [lags], ps.
        value: [lags], S/m.
        error: [lags], standard error.
        plateau: ps, first and last, of the part that ``conductivity`` is taken from.
        conductivity: S/m.
    """

    time: np.ndarray
    value: np.ndarray
    error: np.ndarray
    plateau: tuple[float, float]
    conductivity: Estimate


def green_kubo_with_error(
    current: np.ndarray,
    step: float,
    volume: float,
    temperature: float,
    longest: float | None = None,
    blocks: int = 12,
    plateau: float | None = None,
) -> Running:
    """Running integral of the current's autocorrelation, and its mean over a plateau.

    The plateau begins at twice the time at which the correlation function sinks into its noise,
    and is as long as the time up to there: begun at that time itself, it would depend on the noise
    that the error is to measure.

    Args:
        current: [samples, 3], e A/ps.
        step: ps.
        volume: A^3.
        temperature: K.
        longest: ps of the running integral; default: a quarter of a block.
        blocks: parts of the run.
        plateau: ps at which it begins, in place of the search.

    Raises:
        ValueError: the correlation function does not decay within ``longest``.
    """
    parts = in_blocks(current, blocks)
    length = parts.shape[1]
    lags = length // 4 if longest is None else min(round(longest / step) + 1, length)
    lags = max(lags, 4)
    # [blocks * 3, lags]
    single = np.array(
        [spectra.autocorrelation(part[:, [a]], lags) for part in parts for a in range(3)]
    )
    integrals = np.array([spectra.green_kubo(3.0 * c, step, volume, temperature) for c in single])
    value, error = over_blocks(integrals)
    begin = 2 * _decayed(single) if plateau is None else round(plateau / step)
    end = 2 * begin
    if begin < 1 or end >= lags:
        raise ValueError(
            f"the current is still correlated after {0.5 * step * lags:g} ps: run longer, or take "
            f"fewer blocks than {blocks}"
        )
    mean, scatter = over_blocks(integrals[:, begin : end + 1].mean(axis=1))
    return Running(
        step * np.arange(lags),
        value,
        error,
        (step * begin, step * end),
        Estimate(float(mean), float(scatter)),
    )


def _decayed(correlations: np.ndarray) -> int:
    """First lag m such that all from m to 2 m are noise; the number of lags where none is."""
    mean, noise = over_blocks(correlations)
    ratio = np.cumsum((mean / np.maximum(noise, 1e-300)) ** 2)
    lags = np.arange(1, len(mean) // 2)
    square = (ratio[2 * lags] - ratio[lags - 1]) / (lags + 1)  # mean of squares, 1 for noise
    quiet = np.flatnonzero(square < 2.0)
    return int(lags[quiet[0]]) if len(quiet) else len(mean)


def helfand_einstein(
    polarization: np.ndarray,
    step: float,
    volume: float,
    temperature: float,
    window: tuple[float, float],
    blocks: int = 12,
) -> Running:
    """Slope of <|P(t) - P(0)|^2>/(6 V kB T) between two times, by least squares.

    Args:
        polarization: [samples, 3], e A, the integral of the current.
        step: ps.
        volume: A^3.
        temperature: K.
        window: ps, first and last time of the fit; the first beyond the decay of the current's
            correlation.
        blocks: parts of the run, longer than twice the last time.

    Raises:
        ValueError: blocks are too short for the window.
    """
    parts = in_blocks(polarization, blocks)
    first, last = (max(1, round(t / step)) for t in window)
    last = max(last, first + 2)
    if 2 * last > parts.shape[1]:
        raise ValueError(
            f"expected blocks of {2 * last * step:g} ps at least for a slope up to {last * step:g} "
            f"ps, got {parts.shape[1] * step:g}: run longer, or take fewer blocks"
        )
    scale = spectra.SIEMENS_PER_METER / (2.0 * volume * units.kB * temperature)
    moved = scale * np.array(
        [_square_displacement(part[:, a], last + 1) for part in parts for a in range(3)]
    )
    times = step * np.arange(last + 1)
    x = times[first:] - times[first:].mean()
    slopes = moved[:, first:] @ x / (x @ x)
    mean, error = over_blocks(moved)
    value, scatter = over_blocks(slopes)
    return Running(
        times, mean, error, (times[first], times[last]), Estimate(float(value), float(scatter))
    )


def _square_displacement(x: np.ndarray, lags: int) -> np.ndarray:
    """<(x(t) - x(0))^2> of one component, [lags], from the correlation function and sums."""
    n, x = len(x), x - x.mean()
    squares = np.concatenate([[0.0], np.cumsum(x**2)])
    m = np.arange(lags)
    ends = (squares[n] - squares[m]) + squares[n - m]
    return ends / (n - m) - 2.0 * spectra.autocorrelation(x[:, None], lags)


def integrated(current: np.ndarray, step: float) -> np.ndarray:
    """Polarization [samples, 3] in e A, from zero, of a current in e A/ps: trapezoidal rule."""
    areas = 0.5 * step * (current[1:] + current[:-1])
    return np.concatenate([np.zeros((1, current.shape[1])), np.cumsum(areas, axis=0)])


def field_conductivity(
    current: np.ndarray,
    field: np.ndarray,
    step: float,
    volume: float,
    polarization: np.ndarray | None = None,
    blocks: int = 12,
) -> tuple[Estimate, Estimate]:
    """Conductivity in a constant field: mean current, and slope of the charge displacement.

    Args:
        current: [samples, 3], e A/ps, in the steady state.
        field: [3], V/A.
        step: ps.
        volume: A^3.
        polarization: [samples, 3], e A; default: the integral of the current.
        blocks: parts of the run.

    Returns:
        J.E/(V E^2), and the slope by least squares of P.E/(V E^2) against time, in S/m.

    Raises:
        ValueError: the field is zero.
    """
    strength = float(field @ field)
    if strength == 0.0:
        raise ValueError("a run in a field of zero has no response; give the field, V/A")
    scale = spectra.SIEMENS_PER_METER / (volume * strength)
    if polarization is None:
        polarization = integrated(current, step)
    means, error = over_blocks(in_blocks(current @ field, blocks).mean(axis=1))
    parts = in_blocks(polarization @ field, blocks)
    x = step * (np.arange(parts.shape[1]) - 0.5 * (parts.shape[1] - 1))
    slope, slope_error = over_blocks(parts @ x / (x @ x))
    return (
        Estimate(float(scale * means), float(scale * error)),
        Estimate(float(scale * slope), float(scale * slope_error)),
    )


def driven_with_error(
    current: np.ndarray,
    field: np.ndarray,
    step: float,
    frequency: float,
    volume: float,
    blocks: int = 12,
) -> tuple[Estimate, Estimate]:
    """Conductivity at the frequency of a field, in phase with it and lagging behind, in S/m.

    ``spectra.driven_conductivity`` of parts of whole periods.

    Args:
        current: [samples, 3], e A/ps.
        field: [samples, 3], V/A, linearly polarized.
        step: ps.
        frequency: THz.
        volume: A^3.
        blocks: at most that many parts; the first samples of a remainder are left out.

    Raises:
        ValueError: there are no two whole periods.
    """
    period = 1.0 / (frequency * step)
    whole = int(len(current) / period + 1e-6)
    blocks = min(blocks, whole)
    if blocks < 2:
        raise ValueError(
            f"expected two whole periods of {1.0 / frequency:g} ps, got {step * len(current):g} ps"
        )
    periods = whole // blocks
    length = round(periods * period)
    axis = field[np.argmax((field**2).sum(axis=1))]
    axis = axis / np.linalg.norm(axis)
    found = []
    for n in range(blocks):
        end = len(current) - round((blocks - 1 - n) * periods * period)
        part = slice(end - length, end)
        time = step * np.arange(length)
        found.append(
            spectra.driven_conductivity(
                field[part] @ axis, current[part] @ axis, time, frequency, volume
            )
        )
    mean, error = over_blocks(np.array([[one.real, one.imag] for one in found]))
    return Estimate(*map(float, (mean[0], error[0]))), Estimate(*map(float, (mean[1], error[1])))

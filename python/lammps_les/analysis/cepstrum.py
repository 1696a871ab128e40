"""Conductivity from the cepstrum of the current.

L. Ercole, A. Marcolongo, S. Baroni, Sci. Rep. 7, 15835 (2017); R. Bertossa, F. Grasselli, L.
Ercole, S. Baroni, Phys. Rev. Lett. 122, 255901 (2019). The periodogram of three components has at
each frequency the spectrum times chi^2/6 of 6 degrees of freedom. Its logarithm is the logarithm
of the spectrum plus noise of known mean and variance, white over frequencies, so that few Fourier
coefficients of it (the cepstrum) hold all of a smooth spectrum. Akaike's criterion says how many:
the numbers are averaged with its weights, so that the error has that of the choice (K. P. Burnham,
D. R. Anderson, Model Selection and Multimodel Inference, Springer 2002, chapter 4).
"""

from typing import NamedTuple

import numpy as np
from ase import units
from scipy import fft, special

from lammps_les.analysis import spectra
from lammps_les.analysis.statistics import Estimate


class Cepstral(NamedTuple):
    """Conductivity in S/m, mean number of coefficients, highest frequency in THz."""

    conductivity: Estimate
    coefficients: float
    cutoff: float


def cepstral_conductivity(
    current: np.ndarray,
    step: float,
    volume: float,
    temperature: float,
    cutoff: float | None = None,
) -> Cepstral:
    """Static conductivity, S/m.

    Args:
        current: [samples, components], e A/ps; components are taken for independent and alike.
        step: ps between samples.
        volume: A^3.
        temperature: K.
        cutoff: THz up to which the spectrum is used; None: where 90 % of its power lies below.

    Raises:
        ValueError: fewer than 16 frequencies lie below the cutoff.
    """
    samples, components = current.shape
    frequency = np.fft.rfftfreq(samples, step)[1:]
    power = (np.abs(np.fft.rfft(current - current.mean(axis=0), axis=0)) ** 2).mean(axis=1)[1:]
    if cutoff is None:
        below = np.searchsorted(np.cumsum(power), 0.9 * power.sum())
        cutoff = float(frequency[min(below, len(frequency) - 1)])
    kept = int((frequency <= cutoff).sum())
    if kept < 16:
        raise ValueError(
            f"expected 16 frequencies below {cutoff:g} THz at least, got {kept}: run longer, or "
            "give a higher cutoff"
        )
    # at f = 0 the mean was taken off: the neighbor stands there
    spectrum = np.log(np.concatenate([power[:1], power[:kept]]) * step / samples)
    count = 2 * (len(spectrum) - 1)  # of the two-sided spectrum
    cepstrum = fft.dct(spectrum, type=1) / count
    variance = float(special.polygamma(1, components))
    noise = np.full(len(cepstrum), variance / count)
    beyond = np.concatenate([np.cumsum((cepstrum**2 / noise)[::-1])[::-1][1:], [0.0]])
    numbers = np.arange(1, len(cepstrum) // 2 + 1)
    information = beyond[: len(numbers)] + 2.0 * numbers
    weights = np.exp(-0.5 * (information - information.min()))
    weights /= weights.sum()
    sums = cepstrum[0] + 2.0 * (np.cumsum(cepstrum)[: len(numbers)] - cepstrum[0])
    logarithm = float(weights @ sums)
    spread = weights @ (variance * (4.0 * numbers - 2.0) / count + (sums - logarithm) ** 2)
    bias = float(special.digamma(components)) - np.log(components)
    # the spectrum at f = 0 is the integral of the correlation of one component over all times
    scale = spectra.SIEMENS_PER_METER / (2.0 * volume * units.kB * temperature)
    value = scale * float(np.exp(logarithm - bias))
    return Cepstral(
        Estimate(value, value * float(np.sqrt(spread))), float(weights @ numbers), float(cutoff)
    )

"""Conductivity and infrared absorption from the electric current or the itinerant polarization.

The current J = dP/dt is that of ``compute les/current``, the polarization P (a dipole, whose change
counts) that of ``fix efield/bec``. Linear response, classical and isotropic (time-correlation
functions: McQuarrie, Statistical Mechanics, chapters 21 and 22; with Born effective charges: Zhong
et al., npj Comput. Mater. 2025, doi:10.1038/s41524-025-01911-z):

    sigma(omega)         = 1/(3 V kB T) int_0^inf cos(omega t) <J(0).J(t)> dt     (real part)
    sigma(0)             = lim <|P(t) - P(0)|^2> / (6 V kB T t)
    n(omega)alpha(omega) = sigma(omega) / (c epsilon_0)

sigma is positive where energy is absorbed, and no sign of charges enters. alpha is the absorption
coefficient in exp(-alpha x); n the refractive index, which J does not give apart. epsilon_0 is in
the last line alone: E in the definition of sigma is the field inside the sample.

Nuclei are classical. The line shape of quantum mechanics is omega (1 - exp(-beta hbar omega)) times
the quantum correlation function; with the harmonic correction factor, beta hbar omega /
(1 - exp(-beta hbar omega)) times the classical one, the temperature factors cancel and leave the
formula above. So it is already the harmonically corrected spectrum, and gets no further factor.

Units: time ps, frequency THz (f, not omega = 2 pi f), current e A/ps, polarization e A, volume A^3,
temperature K, conductivity S/m. From ``units real`` (times in fs, currents in e A/fs): divide times
by 1000, multiply currents by 1000.
"""

import numpy as np
from ase import units

SIEMENS_PER_METER = units._e * 1e22
"""1602.18 S/m in one e/(V A ps), the unit of J^2 t/(V kB T) with kB T in eV."""

WAVENUMBER = 1e10 / units._c
"""33.356 1/cm in one THz."""


def autocorrelation(series: np.ndarray, lags: int) -> np.ndarray:
    """Autocorrelation function C(m) = <x(n).x(n + m)>, averaged over all n; no mean is removed.

    Args:
        series: [samples, components], evenly spaced in time.
        lags: how many values are wanted, at most the number of samples.

    Returns:
        [lags], in the unit of the series squared; m = 0 first.

    Raises:
        ValueError: more lags than samples.
    """
    n = len(series)
    if not 0 < lags <= n:
        raise ValueError(f"expected 1 to {n} lags for {n} samples, got {lags}")
    spectrum = np.fft.rfft(series, 2 * n, axis=0)  # as much padding as samples: no wrap-around
    sums = np.fft.irfft((np.abs(spectrum) ** 2).sum(axis=1))[:lags]
    return sums / (n - np.arange(lags))


def hann(lags: int) -> np.ndarray:
    """Half of a Hann window, cos^2(pi m / (2 lags)): [lags], 1 at m = 0, nearly 0 at the end.

    With it a sharp line gets the full width at half maximum 1/(lags step) THz.
    """
    return np.cos(0.5 * np.pi * np.arange(lags) / lags) ** 2


def conductivity(
    correlation: np.ndarray,
    step: float,
    volume: float,
    temperature: float,
    frequencies: np.ndarray,
) -> np.ndarray:
    """Real part of the conductivity, sigma = 1/(3 V kB T) int cos(2 pi f t) C(t) dt.

    Trapezoidal rule over all of the correlation function: multiply it with a window (``hann``)
    before, or cut it off where it has decayed.

    Args:
        correlation: [..., lags] of the current, e^2 A^2/ps^2, sum of three components.
        step: ps between two lags; frequencies must stay below 1/(2 step).
        volume: A^3.
        temperature: K.
        frequencies: [n] in THz.

    Returns:
        [..., n] in S/m.
    """
    times = step * np.arange(correlation.shape[-1])
    transform = step * np.cos(2.0 * np.pi * times[:, None] * frequencies)  # [lags, n]
    transform[[0, -1]] *= 0.5
    integral = correlation @ transform
    return SIEMENS_PER_METER * integral / (3.0 * volume * units.kB * temperature)


def green_kubo(
    correlation: np.ndarray, step: float, volume: float, temperature: float
) -> np.ndarray:
    """Green-Kubo integral for the static conductivity against its upper limit.

    Arguments are those of ``conductivity``.

    Returns:
        [lags] in S/m; element m integrates to m step, by the trapezoidal rule. The conductivity
        is the plateau.
    """
    areas = 0.5 * step * (correlation[1:] + correlation[:-1])
    integral = np.concatenate([[0.0], np.cumsum(areas)])
    return SIEMENS_PER_METER * integral / (3.0 * volume * units.kB * temperature)


def einstein(
    polarization: np.ndarray, lags: int, step: float, volume: float, temperature: float
) -> np.ndarray:
    """Einstein's form of the static conductivity, <|P(t) - P(0)|^2> / (6 V kB T t), against t.

    Args:
        polarization: [samples, 3], itinerant, e A.
        lags: how many times t, at most the number of samples less one.
        step: ps between two samples.
        volume: A^3.
        temperature: K.

    Returns:
        [lags] in S/m, for t = step, 2 step, ... The conductivity is the limit of long times.

    Raises:
        ValueError: too many lags.
    """
    n = len(polarization)
    if not 0 < lags < n:
        raise ValueError(f"expected 1 to {n - 1} lags for {n} samples, got {lags}")
    moved = [
        ((polarization[m:] - polarization[:-m]) ** 2).sum(axis=1).mean() for m in range(1, lags + 1)
    ]
    times = step * np.arange(1, lags + 1)
    scale = SIEMENS_PER_METER / (6.0 * volume * units.kB * temperature)
    return scale * np.array(moved) / times


def absorption(sigma: np.ndarray) -> np.ndarray:
    """Infrared absorption n alpha = sigma/(c epsilon_0), in 1/cm, of a conductivity in S/m.

    1 S/m is 3.767 1/cm.
    """
    return 0.01 * sigma / (units._c * units._eps0)


def driven_conductivity(
    field: np.ndarray, current: np.ndarray, time: np.ndarray, frequency: float, volume: float
) -> complex:
    """Conductivity at the frequency of an applied field, J(f)/(V E(f)).

    Args:
        field: [samples] in V/A, one component.
        current: [samples] in e A/ps, the same component.
        time: [samples] in ps, evenly spaced, over whole periods (the last sample does not repeat
            the first).
        frequency: THz.
        volume: A^3.

    Returns:
        S/m. The real part is in phase with the field and absorbs; the imaginary part is that for
        E ~ exp(-i omega t), positive for a current that lags behind, as that of free charges.
    """
    wave = np.exp(2j * np.pi * frequency * time)
    return complex(SIEMENS_PER_METER * (current @ wave) / (volume * (field @ wave)))

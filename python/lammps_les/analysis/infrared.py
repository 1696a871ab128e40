"""Infrared absorption and permittivity from the current, with errors of blocks.

The line shape of ``lammps_les.analysis.spectra`` (source there), filtered with a Gaussian. Of the
quantum correction factors Q of the classical correlation function, x = hbar omega/(kB T):

    harmonic    x/(1 - exp(-x))     n alpha as in ``spectra``
    none        1                   that times (1 - exp(-x))/x
    schofield   exp(x/2)            that times sinh(x/2)/(x/2)

(P. Schofield, Phys. Rev. Lett. 4, 239 (1960); R. Ramirez et al., J. Chem. Phys. 121, 3973 (2004).)

With the complex conductivity sigma(omega) = 1/(3 V kB T) int_0^inf exp(i omega t) <J(0).J(t)> dt,

    epsilon = epsilon_inf + i sigma/(epsilon_0 omega)
    n + i k = sqrt(epsilon),   alpha = 2 omega k/c
"""

from dataclasses import dataclass

import numpy as np
from ase import units
from scipy import signal
from scipy.integrate import trapezoid

from lammps_les.analysis import spectra
from lammps_les.analysis.statistics import Estimate, in_blocks, jackknife, over_blocks

FINER = 8
"""Times that a correlation function is sampled more densely for its one-sided transform."""


@dataclass(frozen=True)
class Infrared:
    """A spectrum.

    Attributes:
        wavenumber: [n], 1/cm, evenly spaced.
        blocks: [3 blocks, n], n(omega) alpha(omega) from each component of each block, 1/cm.
    """

    wavenumber: np.ndarray
    blocks: np.ndarray

    @property
    def absorption(self) -> np.ndarray:
        """[n], 1/cm."""
        return self.blocks.mean(axis=0)

    @property
    def error(self) -> np.ndarray:
        """[n], standard error of ``absorption``."""
        return over_blocks(self.blocks)[1]

    def band(self, low: float, high: float) -> tuple[Estimate, Estimate]:
        """Centroid [1/cm] and integral of n alpha [1/cm^2] from ``low`` to ``high`` in 1/cm.

        Raises:
            ValueError: the spectrum has no two points there.
        """
        inside = (self.wavenumber >= low) & (self.wavenumber <= high)
        k, blocks = self.wavenumber[inside], self.blocks[:, inside]
        if len(k) < 2:
            raise ValueError(
                f"the spectrum has no points from {low:g} to {high:g} 1/cm; it goes from "
                f"{self.wavenumber[0]:g} to {self.wavenumber[-1]:g}"
            )
        return (
            jackknife(blocks, lambda height: trapezoid(k * height, k) / trapezoid(height, k)),
            jackknife(blocks, lambda height: trapezoid(height, k)),
        )


def gaussian(lags: int, step: float, width: float) -> np.ndarray:
    """Window [lags] on a correlation function that convolves its spectrum with a Gaussian.

    Args:
        lags: how many.
        step: ps between two.
        width: standard deviation of the Gaussian, 1/cm.
    """
    return np.exp(-0.5 * (2.0 * np.pi * width / spectra.WAVENUMBER * step * np.arange(lags)) ** 2)


def lags_of(width: float, step: float) -> int:
    """How many lags a Gaussian filter of ``width`` in 1/cm needs: the window falls to 3e-4."""
    return 1 + int(np.ceil(4.0 * spectra.WAVENUMBER / (2.0 * np.pi * width * step)))


def quantum_factor(wavenumber: np.ndarray, temperature: float, name: str) -> np.ndarray:
    """Q over that of the harmonic correction; see the head of the module.

    Args:
        wavenumber: [n], 1/cm.
        temperature: K.
        name: ``harmonic``, ``none`` or ``schofield``.
    """
    x = units._hplanck * 100.0 * units._c * wavenumber / (units._k * temperature)
    x = np.maximum(x, 1e-9)
    if name == "none":
        return -np.expm1(-x) / x
    return np.sinh(0.5 * x) / (0.5 * x) if name == "schofield" else np.ones_like(x)


def correlations(current: np.ndarray, lags: int, blocks: int) -> np.ndarray:
    """Autocorrelation functions [3 blocks, lags] of the current, e^2 A^2/ps^2.

    Each is three times that of one component of one part: in an isotropic medium they are
    independent estimates of one function.

    Args:
        current: [samples, 3], e A/ps.
        lags: how many.
        blocks: how many parts of the run.

    Raises:
        ValueError: a block has not twice as many samples as lags.
    """
    parts = in_blocks(current, blocks)
    if parts.shape[1] < 2 * lags:
        raise ValueError(
            f"expected blocks of {2 * lags} samples at least, got {blocks} of {parts.shape[1]}: "
            "run longer, or take fewer blocks, or a wider filter"
        )
    return np.array(
        [3.0 * spectra.autocorrelation(part[:, [a]], lags) for part in parts for a in range(3)]
    )


def infrared(
    current: np.ndarray,
    step: float,
    volume: float,
    temperature: float,
    wavenumber: np.ndarray,
    width: float = 20.0,
    quantum: str = "harmonic",
    blocks: int = 12,
) -> Infrared:
    """Absolute infrared absorption n(omega) alpha(omega).

    Args:
        current: [samples, 3], e A/ps.
        step: ps between two samples.
        volume: A^3.
        temperature: K.
        wavenumber: [n], 1/cm, evenly spaced, below that of Nyquist.
        width: standard deviation of the Gaussian filter, 1/cm.
        quantum: correction, see ``quantum_factor``.
        blocks: parts of the run whose scatter is the error; at least 2 of two filter lengths.

    Raises:
        ValueError: blocks are too short, or wavenumbers too high.
    """
    nyquist = spectra.WAVENUMBER / (2.0 * step)
    if wavenumber[-1] > nyquist:
        raise ValueError(
            f"a sample every {1e3 * step:g} fs has wavenumbers up to {nyquist:.0f} 1/cm; asked for "
            f"{wavenumber[-1]:g}"
        )
    lags = lags_of(width, step)
    weighted = correlations(current, lags, blocks) * gaussian(lags, step, width)
    factor = quantum_factor(wavenumber, temperature, quantum)
    frequency = wavenumber / spectra.WAVENUMBER
    sigma = spectra.conductivity(weighted, step, volume, temperature, frequency)
    return Infrared(wavenumber, factor * spectra.absorption(sigma))


def permittivity(
    correlation: np.ndarray,
    step: float,
    volume: float,
    temperature: float,
    wavenumber: np.ndarray,
    epsilon_inf: float = 1.0,
) -> np.ndarray:
    """Complex permittivity [n], relative, from the one-sided transform.

    The sine transform of samples is no better than (omega step)^2, so the correlation function is
    first interpolated by its own Fourier series, and the end at t = 0 is corrected
    (Euler-Maclaurin).

    Args:
        correlation: [lags], e^2 A^2/ps^2, of three components, decayed at its end (windowed).
        step: ps.
        volume: A^3.
        temperature: K.
        wavenumber: [n] > 0, 1/cm.
        epsilon_inf: what electrons add at all these frequencies.
    """
    even = np.concatenate([correlation, [0.0], correlation[:0:-1]])
    fine = signal.resample(even, FINER * len(even))[: FINER * len(correlation)]
    h = step / FINER
    omega = 2.0 * np.pi * wavenumber / spectra.WAVENUMBER  # 1/ps
    times = h * np.arange(len(fine))
    fine[0] *= 0.5
    transform = h * np.array([np.exp(1j * w * times) @ fine for w in omega])
    transform += 1j * h**2 / 12.0 * omega * correlation[0]
    sigma = spectra.SIEMENS_PER_METER * transform / (3.0 * volume * units.kB * temperature)
    return epsilon_inf + 1j * sigma / (units._eps0 * omega * 1e12)


def optical(permittivity: np.ndarray, wavenumber: np.ndarray) -> tuple[np.ndarray, ...]:
    """Refractive index n, extinction k, absorption alpha = 4 pi k wavenumber in 1/cm: [n] each."""
    index = np.sqrt(permittivity)
    return index.real, index.imag, 4.0 * np.pi * index.imag * wavenumber

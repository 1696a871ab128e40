"""Raman spectra from the time series of the polarizability of the whole cell.

alpha(t) is split into a = tr(alpha)/3 and beta = alpha - a 1 (D. A. McQuarrie, Statistical
Mechanics, section 21-4). With S_X the Fourier transform of the classical correlation function of X
over all times, the isotropic and the anisotropic (depolarized, VH) Stokes spectrum of a cell are

    d2 sigma/(d Omega d nu) = c k_s^4 x/(1 - exp(-x)) S(omega),   x = hbar omega/(kB T)
    S = S_a (isotropic),   S = 1/10 S_{beta:beta} (anisotropic)

k_s = (omega_laser - omega)/c is the wave number of the scattered light, and 1/(1 - exp(-x)) = n + 1
the Bose factor of Stokes scattering; x beside it is the harmonic quantum correction. The polarized
spectrum VV is isotropic + 4/3 anisotropic, the depolarization ratio VH/VV. S comes from the
derivative of alpha, S = S_derivative/omega^2, so that what moves slowly does not leak into bands.
Cross sections count energy; the polarizability is that at zero frequency.
"""

from dataclasses import dataclass

import numpy as np
from ase import units

from lammps_les.analysis import spectra
from lammps_les.analysis.infrared import gaussian, lags_of
from lammps_les.analysis.statistics import Estimate, in_blocks, jackknife, over_blocks

WEIGHTS = np.array([1.0, 1.0, 1.0, 2.0, 2.0, 2.0])
"""How often xx yy zz xy xz yz stand in a symmetric tensor."""


@dataclass(frozen=True)
class Raman:
    """Spectra of the cell, in A^2/sr for each 1/cm.

    Attributes:
        wavenumber: [n] of the shift, 1/cm.
        blocks: [blocks, 2, n], isotropic and anisotropic (VH) of each part of the run.
    """

    wavenumber: np.ndarray
    blocks: np.ndarray

    @property
    def spectra(self) -> np.ndarray:
        """[3, n]: isotropic, anisotropic (VH), polarized (VV)."""
        return self._three().mean(axis=0)

    @property
    def errors(self) -> np.ndarray:
        """[3, n], of ``spectra``."""
        return over_blocks(self._three())[1]

    def depolarization(self) -> tuple[np.ndarray, np.ndarray]:
        """VH/VV at each wavenumber and its error: two of [n]."""
        n, total = len(self.blocks), self._three().sum(axis=0)
        ratios = [(total[1] - one[1]) / (total[2] - one[2]) for one in self._three()]
        scatter = over_blocks(np.array(ratios))[1] * (n - 1)
        return total[1] / total[2], scatter

    def band(self, low: float, high: float) -> tuple[Estimate, Estimate, Estimate]:
        """Centroid of VV [1/cm], its integral [A^2/sr], and ratio of the integrals VH/VV.

        Raises:
            ValueError: the spectrum has no two points from ``low`` to ``high`` 1/cm.
        """
        inside = (self.wavenumber >= low) & (self.wavenumber <= high)
        k, three = self.wavenumber[inside], self._three()[:, :, inside]
        if len(k) < 2:
            raise ValueError(f"the spectrum has no points from {low:g} to {high:g} 1/cm")
        spacing = k[1] - k[0]
        return (
            jackknife(three, lambda s: (k @ s[2]) / s[2].sum()),
            jackknife(three, lambda s: spacing * s[2].sum()),
            jackknife(three, lambda s: s[1].sum() / s[2].sum()),
        )

    def _three(self) -> np.ndarray:
        polarized = self.blocks[:, 0] + 4.0 / 3.0 * self.blocks[:, 1]
        return np.concatenate([self.blocks, polarized[:, None]], axis=1)


def raman(
    polarizability: np.ndarray,
    step: float,
    temperature: float,
    wavenumber: np.ndarray,
    laser: float = 532.0,
    width: float = 20.0,
    blocks: int = 20,
) -> Raman:
    """Stokes spectra.

    Args:
        polarizability: [samples, 6] of the cell, A^3, xx yy zz xy xz yz.
        step: ps between two samples.
        temperature: K.
        wavenumber: [n] > 0, shifts in 1/cm, evenly spaced, below that of Nyquist.
        laser: wavelength in vacuum, nm.
        width: standard deviation of the Gaussian filter, 1/cm.
        blocks: parts of the run whose scatter is the error; at least 2 of two filter lengths.

    Raises:
        ValueError: blocks are too short, wavenumbers too high, or beyond the energy of the laser.
    """
    nyquist, light = spectra.WAVENUMBER / (2.0 * step), 1e7 / laser
    if wavenumber[-1] > min(nyquist, light):
        raise ValueError(
            f"a sample every {1e3 * step:g} fs and light of {laser:g} nm have shifts up to "
            f"{min(nyquist, light):.0f} 1/cm; asked for {wavenumber[-1]:g}"
        )
    lags = lags_of(width, step)
    parts = in_blocks(np.diff(polarizability, axis=0) / step, blocks)
    if parts.shape[1] < 2 * lags:
        raise ValueError(
            f"expected blocks of {2 * lags} samples at least, got {blocks} of {parts.shape[1]}: "
            "run longer, or take fewer blocks, or a wider filter"
        )
    window = gaussian(lags, step, width)
    times = step * np.arange(lags)
    omega = 2.0 * np.pi * wavenumber / spectra.WAVENUMBER  # 1/ps
    transform = 2.0 * step * np.cos(times[:, None] * omega)  # [lags, n], of both signs of time
    transform[0] *= 0.5
    # differences of neighbors are derivatives times sin(omega h/2)/(omega h/2)
    transform *= (0.5 * step / np.sin(0.5 * omega * step)) ** 2
    x = units._hplanck * 100.0 * units._c * wavenumber / (units._k * temperature)
    scattered = 2.0 * np.pi * (light - wavenumber) * 1e-8  # 1/A
    centimeters = 100.0 * units._c * 1e-12  # that light goes in a ps
    factor = centimeters * scattered**4 * x / -np.expm1(-x)
    found = []
    for part in parts:
        trace = part[:, :3].mean(axis=1, keepdims=True)
        beta = part.copy()
        beta[:, :3] -= trace
        pair = np.array(
            [
                spectra.autocorrelation(trace, lags),
                spectra.autocorrelation(beta * np.sqrt(WEIGHTS), lags) / 10.0,
            ]
        )
        found.append(factor * ((pair * window) @ transform))
    return Raman(wavenumber, np.array(found))

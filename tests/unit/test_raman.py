"""Raman spectra of damped oscillators of the polarizability, whose cross sections are known."""

import numpy as np
import pytest
from repetitions import check_coverage
from scipy import constants, linalg

from lammps_les.analysis import raman, spectra

STEP, TEMPERATURE, LASER, WIDTH = 0.002, 300.0, 532.0, 40.0  # ps, K, nm, 1/cm
OMEGA, FRICTION = 2.0 * np.pi * 30.0, 15.0  # 1/ps: 1000 1/cm
ISOTROPIC, ANISOTROPIC = 4.0, 0.5  # <a^2>, <beta_xy^2>, A^6
WAVENUMBER = np.arange(100.0, 2000.0, 10.0)


def oscillators(count: int, samples: int) -> np.ndarray:
    """Positions [samples, count] of variance 1 of Langevin oscillators, exact at every step."""
    keep = linalg.expm(np.array([[0.0, 1.0], [-(OMEGA**2), -FRICTION]]) * STEP)
    stationary = np.diag([1.0, OMEGA**2])
    root = np.linalg.cholesky(stationary - keep @ stationary @ keep.T)
    rng = np.random.default_rng(7)
    state = np.linalg.cholesky(stationary) @ rng.normal(size=(2, count))
    found = np.empty((samples, count))
    for n in range(samples):
        found[n] = state[0]
        state = keep @ state + root @ rng.normal(size=(2, count))
    return found


@pytest.fixture(scope="module")
def found() -> list[raman.Raman]:
    """Of 100 runs of 24 ps: a, and one component beta_xy, about constants."""
    x = oscillators(200, 12_000)
    spectra_found = []
    for n in range(100):
        alpha = np.zeros((12_000, 6))
        alpha[:, :3] = 90.0 + np.sqrt(ISOTROPIC) * x[:, [2 * n]]
        alpha[:, 3] = 5.0 + np.sqrt(ANISOTROPIC) * x[:, 2 * n + 1]
        spectra_found.append(raman.raman(alpha, STEP, TEMPERATURE, WAVENUMBER, LASER, WIDTH))
    return spectra_found


@pytest.fixture(scope="module")
def truth() -> np.ndarray:
    """Spectrum of variance 1, filtered: A^2/(sr 1/cm) each A^6."""
    fine = np.arange(-3000.0, 5000.0, 1.0)
    omega = 2.0 * np.pi * fine / spectra.WAVENUMBER
    # position of the oscillator: 2 gamma omega_0^2/((omega_0^2 - omega^2)^2 + (omega gamma)^2)
    line = 2.0 * FRICTION * OMEGA**2 / ((OMEGA**2 - omega**2) ** 2 + (omega * FRICTION) ** 2)
    kernel = np.exp(-0.5 * ((WAVENUMBER[:, None] - fine) / WIDTH) ** 2)
    derivative = kernel @ (omega**2 * line) / (WIDTH * np.sqrt(2.0 * np.pi))
    per_second = derivative / (2.0 * np.pi * WAVENUMBER / spectra.WAVENUMBER) ** 2 * 1e-12
    k = 100.0 * constants.h * constants.c * WAVENUMBER / (constants.k * TEMPERATURE)
    scattered = 2.0 * np.pi * (1.0 / (LASER * 1e-9) - 100.0 * WAVENUMBER) * 1e-10  # 1/A
    return 100.0 * constants.c * scattered**4 * k / (1.0 - np.exp(-k)) * per_second


@pytest.mark.parametrize("wavenumber", [900.0, 1000.0, 1100.0])
def test_spectra_have_honest_errors(found, truth, wavenumber: float) -> None:
    at = int(np.argmin(np.abs(WAVENUMBER - wavenumber)))
    isotropic, depolarized = ISOTROPIC * truth[at], ANISOTROPIC * 2.0 / 10.0 * truth[at]
    for n, value in enumerate((isotropic, depolarized, isotropic + 4.0 / 3.0 * depolarized)):
        check_coverage(((one.spectra[n, at], one.errors[n, at]) for one in found), value)


def test_bands_and_depolarization_have_honest_errors(found, truth) -> None:
    inside = slice(70, 111)  # 800 to 1200 1/cm
    k, height = WAVENUMBER[inside], truth[inside]
    bands = [one.band(800.0, 1200.0) for one in found]
    ratio = 0.1 * 2.0 * ANISOTROPIC
    polarized = ISOTROPIC + 4.0 / 3.0 * ratio
    check_coverage((b[0] for b in bands), (k @ height) / height.sum())
    check_coverage((b[1] for b in bands), polarized * 10.0 * height.sum())
    check_coverage((b[2] for b in bands), ratio / polarized)
    at = int(np.argmin(np.abs(WAVENUMBER - 1000.0)))
    pairs = [one.depolarization() for one in found]
    check_coverage(((value[at], error[at]) for value, error in pairs), ratio / polarized)


def test_rotated_axes_give_the_same_spectra() -> None:
    rng = np.random.default_rng(3)
    root = rng.normal(size=(3000, 3, 3))
    alpha = root + root.transpose(0, 2, 1)
    turn = np.linalg.qr(rng.normal(size=(3, 3)))[0]
    rows, columns = [0, 1, 2, 0, 0, 1], [0, 1, 2, 1, 2, 2]
    before, after = (
        raman.raman(
            t[:, rows, columns], STEP, TEMPERATURE, WAVENUMBER, width=80.0, blocks=4
        ).spectra
        for t in (alpha, turn @ alpha @ turn.T)
    )
    np.testing.assert_allclose(after, before, rtol=1e-9, atol=1e-9 * before.max())


def test_what_is_too_short_or_too_high_is_said() -> None:
    alpha = np.zeros((300, 6))
    with pytest.raises(ValueError, match="expected blocks of 534 samples at least, got 20 of 14"):
        raman.raman(alpha, STEP, TEMPERATURE, WAVENUMBER, width=WIDTH)
    with pytest.raises(ValueError, match="light of 10000 nm have shifts up to 1000 1/cm"):
        raman.raman(alpha, STEP, TEMPERATURE, WAVENUMBER, laser=1e4)

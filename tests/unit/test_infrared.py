"""Infrared spectra of damped oscillators, whose spectrum is known, and the permittivity of them."""

import numpy as np
import pytest
from repetitions import check_coverage
from scipy import constants, linalg

from lammps_les.analysis import infrared, spectra

STEP, VOLUME, TEMPERATURE = 0.002, 1000.0, 300.0  # ps, A^3, K
OMEGA, FRICTION = 2.0 * np.pi * 45.0, 12.0  # 1/ps: 1500 1/cm, 64 1/cm wide
MASS = 10.0  # u, charge 1 e
WIDTH = 40.0  # 1/cm
WAVENUMBER = np.arange(10.0, 3000.0, 10.0)
SPEED = constants.k * TEMPERATURE / (MASS * constants.u) * 1e-4  # <v^2> of a component, A^2/ps^2


def correlation(times: np.ndarray) -> np.ndarray:
    """<J(0).J(t)> of the oscillator, three components, e^2 A^2/ps^2; a textbook's."""
    shifted = np.sqrt(OMEGA**2 - FRICTION**2 / 4.0)
    decay = np.exp(-0.5 * FRICTION * times)
    phase = shifted * times
    return 3.0 * SPEED * decay * (np.cos(phase) - FRICTION / (2.0 * shifted) * np.sin(phase))


def permittivity(wavenumber: np.ndarray) -> np.ndarray:
    """1 + omega_p^2/(omega_0^2 - omega^2 - i omega gamma), relative."""
    omega = 2.0 * np.pi * wavenumber / spectra.WAVENUMBER
    density = 1.0 / (VOLUME * 1e-30)
    plasma = density * constants.e**2 / (constants.epsilon_0 * MASS * constants.u) * 1e-24
    return 1.0 + plasma / (OMEGA**2 - omega**2 - 1j * omega * FRICTION)


def oscillators(seeds: int, samples: int) -> np.ndarray:
    """Currents [seeds, samples, 3] of Langevin oscillators, exact at every step."""
    drift = np.array([[0.0, 1.0], [-(OMEGA**2), -FRICTION]])
    keep = linalg.expm(drift * STEP)
    stationary = np.diag([SPEED / OMEGA**2, SPEED])
    root = np.linalg.cholesky(stationary - keep @ stationary @ keep.T)
    rng = np.random.default_rng(11)
    state = np.linalg.cholesky(stationary) @ rng.normal(size=(2, 3 * seeds))
    found = np.empty((samples, 3 * seeds))
    for n in range(samples):
        found[n] = state[1]
        state = keep @ state + root @ rng.normal(size=(2, 3 * seeds))
    return found.reshape(samples, seeds, 3).transpose(1, 0, 2)


@pytest.fixture(scope="module")
def found() -> list[infrared.Infrared]:
    """Spectra of 100 runs of 13 ps."""
    return [
        infrared.infrared(current, STEP, VOLUME, TEMPERATURE, WAVENUMBER, WIDTH)
        for current in oscillators(100, 6600)
    ]


@pytest.fixture(scope="module")
def truth() -> np.ndarray:
    """N alpha of the oscillator, filtered: from the permittivity, not from a correlation."""
    fine = np.arange(-4000.0, 7000.0, 1.0)
    bare = 2.0 * np.pi * np.abs(fine) * permittivity(np.abs(fine)).imag  # omega eps''/c in 1/cm
    kernel = np.exp(-0.5 * ((WAVENUMBER[:, None] - fine) / WIDTH) ** 2)
    return kernel @ bare / (WIDTH * np.sqrt(2.0 * np.pi))


def test_filtered_spectrum_of_the_exact_correlation_is_that_of_the_permittivity(truth) -> None:
    lags = infrared.lags_of(WIDTH, STEP)
    times = STEP * np.arange(lags)
    weighted = correlation(times) * infrared.gaussian(lags, STEP, WIDTH)
    frequency = WAVENUMBER / spectra.WAVENUMBER
    sigma = spectra.conductivity(weighted, STEP, VOLUME, TEMPERATURE, frequency)
    np.testing.assert_allclose(spectra.absorption(sigma), truth, atol=3e-3 * truth.max())


@pytest.mark.parametrize("wavenumber", [1300.0, 1500.0, 1540.0])
def test_absorption_has_honest_errors(found, truth, wavenumber: float) -> None:
    at = int(np.argmin(np.abs(WAVENUMBER - wavenumber)))
    check_coverage(((one.absorption[at], one.error[at]) for one in found), truth[at])


def test_bands_have_honest_errors(found, truth) -> None:
    low, high = 1200.0, 1800.0
    inside = slice(119, 180)  # of them
    k, height = WAVENUMBER[inside], truth[inside]
    bands = [one.band(low, high) for one in found]
    check_coverage((b[0] for b in bands), np.trapezoid(k * height, k) / np.trapezoid(height, k))
    check_coverage((b[1] for b in bands), np.trapezoid(height, k))


def test_permittivity_of_the_oscillator() -> None:
    """Without a filter; samples of 2 fs, 0.57 rad at the line, where plain sums err by 3 %."""
    times = STEP * np.arange(2000)
    epsilon = infrared.permittivity(correlation(times), STEP, VOLUME, TEMPERATURE, WAVENUMBER, 1.0)
    expected = permittivity(WAVENUMBER)
    high = WAVENUMBER > 50.0  # below, i sigma/omega shows the samples' error in sigma(0) = 0
    np.testing.assert_allclose(
        epsilon[high], expected[high], atol=2e-3 * np.abs(expected - 1.0).max()
    )
    n, k, alpha = infrared.optical(epsilon, WAVENUMBER)
    np.testing.assert_allclose((n + 1j * k) ** 2, epsilon)
    # alpha = sigma/(c epsilon_0 n)
    sigma = spectra.conductivity(
        correlation(times), STEP, VOLUME, TEMPERATURE, WAVENUMBER / spectra.WAVENUMBER
    )
    at = slice(120, 180)
    np.testing.assert_allclose((n * alpha)[at], spectra.absorption(sigma)[at], rtol=2e-3)
    with_electrons = infrared.permittivity(
        correlation(times), STEP, VOLUME, TEMPERATURE, WAVENUMBER, 1.83
    )
    np.testing.assert_allclose(with_electrons - epsilon, 0.83, atol=1e-12)


def test_quantum_factors() -> None:
    """At hbar omega = kB T: x = 1; all are 1 at omega = 0."""
    one = constants.k * 300.0 / (constants.h * constants.c * 100.0)  # 208.5 1/cm
    for name, value in (
        ("harmonic", 1.0),
        ("none", 1.0 - np.exp(-1.0)),
        ("schofield", 2.0 * np.sinh(0.5)),
    ):
        found = infrared.quantum_factor(np.array([0.0, one]), 300.0, name)
        np.testing.assert_allclose(found, [1.0, value], rtol=1e-6)


def test_what_is_too_short_or_too_high_is_said() -> None:
    current = np.random.default_rng(0).normal(size=(400, 3))
    with pytest.raises(ValueError, match=r"expected blocks of 534 samples at least, got 12 of 33"):
        infrared.infrared(current, STEP, VOLUME, TEMPERATURE, WAVENUMBER, WIDTH)
    with pytest.raises(ValueError, match="a sample every 10 fs has wavenumbers up to 1668 1/cm"):
        infrared.infrared(current, 0.01, VOLUME, TEMPERATURE, WAVENUMBER, WIDTH)

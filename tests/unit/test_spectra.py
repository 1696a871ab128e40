"""Conductivity and absorption against closed forms in SI units."""

import numpy as np
import pytest
from scipy import constants

from lammps_les.analysis import spectra

VOLUME = 1000.0  # A^3
TEMPERATURE = 300.0
KT = constants.k * TEMPERATURE  # J
CURRENT = constants.e * 100.0  # A m per e A/ps


def test_units() -> None:
    assert pytest.approx(1602.18, abs=0.01) == spectra.SIEMENS_PER_METER
    assert pytest.approx(33.35641, abs=1e-5) == spectra.WAVENUMBER
    assert spectra.absorption(np.array([1.0]))[0] == pytest.approx(3.76730, abs=1e-5)


def test_autocorrelation_is_the_average_over_all_origins() -> None:
    series = np.random.default_rng(0).normal(size=(50, 3)) + 0.3
    plain = [(series[: 50 - m] * series[m:]).sum(axis=1).mean() for m in range(20)]
    np.testing.assert_allclose(spectra.autocorrelation(series, 20), plain, rtol=0, atol=1e-12)
    with pytest.raises(ValueError, match="expected 1 to 50 lags for 50 samples, got 51"):
        spectra.autocorrelation(series, 51)


def test_oscillating_charge_gives_a_line_with_the_intensity_of_the_sum_rule() -> None:
    """Charge e, mass u, on a spring, with the mean kinetic energy kB T/2 on each axis.

    int_0^inf sigma df = e^2/(4 u V), whatever frequency and temperature.
    """
    frequency, step, samples = 50.0, 1e-3, 20000
    speed = np.sqrt(2.0 * KT / constants.u) / 100.0  # amplitude, A/ps
    time = step * np.arange(samples)
    phases = 2.0 * np.pi * (frequency * time[:, None] + np.array([0.1, 0.4, 0.8]))
    correlation = spectra.autocorrelation(speed * np.cos(phases), 2000)
    windowed = correlation * spectra.hann(2000)
    f = np.arange(0.0, 200.0, 0.02)
    sigma = spectra.conductivity(windowed, step, VOLUME, TEMPERATURE, f)
    assert f[sigma.argmax()] == pytest.approx(frequency, abs=0.021)
    half = f[sigma > 0.5 * sigma.max()]
    assert np.ptp(half) == pytest.approx(1.0 / (2000 * step), abs=0.05)  # width of the window
    intensity = sigma.sum() * 0.02e12  # S/m Hz
    expected = constants.e**2 / (4.0 * constants.u * VOLUME * 1e-30)
    assert intensity == pytest.approx(expected, rel=2e-3)


def test_exponential_correlation_gives_the_conductivity_of_drude() -> None:
    """C(t) = C(0) exp(-t/tau): sigma(omega) = sigma(0)/(1 + omega^2 tau^2)."""
    tau, step, start = 0.2, 1e-3, 40.0
    times = step * np.arange(6000)
    correlation = start * np.exp(-times / tau)
    static = start * CURRENT**2 * tau * 1e-12 / (3.0 * VOLUME * 1e-30 * KT)
    f = np.array([0.0, 0.5, 1.0, 5.0])
    sigma = spectra.conductivity(correlation, step, VOLUME, TEMPERATURE, f)
    np.testing.assert_allclose(sigma, static / (1 + (2 * np.pi * f * tau) ** 2), rtol=1e-3)
    running = spectra.green_kubo(correlation, step, VOLUME, TEMPERATURE)
    assert running[0] == 0.0
    np.testing.assert_allclose(running, static * (1 - np.exp(-times / tau)), rtol=1e-4, atol=1e-3)
    assert correlation[0] == start  # left as it was


def test_ends_of_a_correlation_that_has_not_decayed_count_half() -> None:
    """The trapezoidal rule is exact for C(t) = 40 - 20 t, whose integral to t is 40 t - 10 t^2."""
    step = 0.1
    times = step * np.arange(11)
    correlation = 40.0 - 20.0 * times
    scale = CURRENT**2 * 1e-12 / (3.0 * VOLUME * 1e-30 * KT)
    running = spectra.green_kubo(correlation, step, VOLUME, TEMPERATURE)
    np.testing.assert_allclose(running, scale * (40.0 * times - 10.0 * times**2), rtol=1e-6)
    sigma = spectra.conductivity(correlation, step, VOLUME, TEMPERATURE, np.zeros(1))
    np.testing.assert_allclose(sigma, running[-1:], rtol=1e-6)


def test_random_current_gives_one_conductivity_by_both_ways() -> None:
    """Ions in a viscous liquid: noise through a low pass, of which sigma is known."""
    rng = np.random.default_rng(3)
    tau, step, samples = 0.1, 0.01, 100_000
    keep = np.exp(-step / tau)
    noise = rng.normal(size=(samples, 3)) * np.sqrt(1.0 - keep**2)
    current = np.empty((samples, 3))
    current[0] = rng.normal(size=3)
    for n in range(1, samples):
        current[n] = keep * current[n - 1] + noise[n]
    polarization = step * np.cumsum(current, axis=0)
    static = 3.0 * CURRENT**2 * tau * 1e-12 / (3.0 * VOLUME * 1e-30 * KT)
    correlation = spectra.autocorrelation(current, 101)
    by_current = spectra.green_kubo(correlation, step, VOLUME, TEMPERATURE)[-1]
    by_polarization = spectra.einstein(polarization, 400, step, VOLUME, TEMPERATURE)[-1]
    assert by_current == pytest.approx(static, rel=0.06)
    # int_0^t (1 - s/t) C(s) ds: less by tau/t, 2.5 % here
    assert by_polarization == pytest.approx(static * (1.0 - tau / 4.0), rel=0.08)


def test_einstein_of_a_straight_line_and_of_too_few_samples() -> None:
    """P = J t, with J = 1 e A/ps: J^2 t/(6 V kB T)."""
    step = 0.5
    line = np.outer(step * np.arange(10), [1.0, 0.0, 0.0])
    times = step * np.arange(1, 6) * 1e-12
    expected = CURRENT**2 * times / (6.0 * VOLUME * 1e-30 * KT)
    found = spectra.einstein(line, 5, step, VOLUME, TEMPERATURE)
    np.testing.assert_allclose(found, expected, rtol=1e-6)
    with pytest.raises(ValueError, match="expected 1 to 9 lags for 10 samples, got 10"):
        spectra.einstein(line, 10, step, VOLUME, TEMPERATURE)


@pytest.mark.parametrize("spring", [0.0, 20.0])  # THz
def test_driven_charge(spring: float) -> None:
    """Charge e, mass u, friction rate g, resonance `spring`, in E sin(omega t), steady state."""
    frequency, friction = 10.0, 5.0  # THz, 1/ps
    omega, omega_0 = 2e12 * np.pi * frequency, 2e12 * np.pi * spring
    z = omega**2 - omega_0**2 + 1j * omega * friction * 1e12
    sigma = 1j * omega * constants.e**2 / (constants.u * VOLUME * 1e-30 * z)
    time = 0.002 * np.arange(500)  # ten periods
    # the real part is E sin(omega t)
    amplitude = 1j * 0.05 * np.exp(-2j * np.pi * frequency * time)
    current = (VOLUME * sigma / (constants.e * 1e22) * amplitude).real
    found = spectra.driven_conductivity(amplitude.real, current, time, frequency, VOLUME)
    assert found == pytest.approx(sigma, rel=1e-6)
    assert found.real > 0.0

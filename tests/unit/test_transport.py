"""Conductivity of ions in a viscous medium, which is known, by all ways and with their errors."""

import numpy as np
import pytest
from repetitions import check_coverage
from scipy import constants, signal

from lammps_les.analysis import transport
from lammps_les.analysis.cepstrum import cepstral_conductivity

STEP, VOLUME, TEMPERATURE = 0.02, 1000.0, 300.0  # ps, A^3, K
TAU = 0.1  # ps, of the current
SQUARE = 40.0  # <J_a^2>, e^2 A^2/ps^2
KEEP = np.exp(-STEP / TAU)
# sum of the samples' correlation function, each component
SIGMA = (
    SQUARE * (constants.e * 100.0) ** 2 * STEP * 1e-12 * (0.5 + KEEP / (1.0 - KEEP))
    / (VOLUME * 1e-30 * constants.k * TEMPERATURE)
)  # fmt: skip


def ions(seed: int, samples: int = 20_000) -> np.ndarray:
    """Current [samples, 3] of a Langevin gas of ions."""
    noise = np.random.default_rng(seed).normal(size=(samples + 200, 3))
    noise *= np.sqrt(SQUARE * (1.0 - KEEP**2))
    return signal.lfilter([1.0], [1.0, -KEEP], noise, axis=0)[200:]


@pytest.fixture(scope="module")
def currents() -> list[np.ndarray]:
    return [ions(seed) for seed in range(100)]


@pytest.fixture(scope="module")
def integrals(currents) -> list[transport.Running]:
    return [
        transport.green_kubo_with_error(current, STEP, VOLUME, TEMPERATURE) for current in currents
    ]


def test_green_kubo_has_honest_errors(integrals) -> None:
    check_coverage((one.conductivity for one in integrals), SIGMA)
    begins = np.array([one.plateau[0] for one in integrals])
    assert (begins > 2.0 * TAU).all()  # e^-2 would be missing
    assert np.median(begins) < 15.0 * TAU


def test_helfand_einstein_has_honest_errors(currents, integrals) -> None:
    check_coverage(
        (
            transport.helfand_einstein(
                transport.integrated(current, STEP), STEP, VOLUME, TEMPERATURE, integral.plateau
            ).conductivity
            for current, integral in zip(currents, integrals, strict=True)
        ),
        SIGMA,
    )


def test_cepstral_conductivity_has_honest_errors(currents) -> None:
    found = [cepstral_conductivity(one, STEP, VOLUME, TEMPERATURE) for one in currents]
    check_coverage((one.conductivity for one in found), SIGMA)


def test_field_runs_have_honest_errors(currents) -> None:
    field = np.array([0.01, 0.0, -0.02])
    drift = SIGMA * VOLUME / 1602.1766 * field
    found = [transport.field_conductivity(one + drift, field, STEP, VOLUME) for one in currents]
    check_coverage((mean for mean, _ in found), SIGMA)
    check_coverage((slope for _, slope in found), SIGMA)
    with pytest.raises(ValueError, match="field of zero"):
        transport.field_conductivity(currents[0], np.zeros(3), STEP, VOLUME)


def test_field_that_oscillates_has_honest_errors(currents) -> None:
    """A field of 2.5 THz, its period 20 samples, along (0, 0.6, 0.8)."""
    axis, frequency, sigma = np.array([0.0, 0.6, 0.8]), 2.5, 5.0 + 3.0j
    wave = 0.2j * np.exp(-2j * np.pi * frequency * STEP * np.arange(20_000))
    along = (sigma * wave).real * VOLUME / 1602.1766
    field = np.outer(wave.real, axis)
    found = [
        transport.driven_with_error(
            one + np.outer(along, axis), field, STEP, frequency, VOLUME, blocks=25
        )
        for one in currents
    ]
    check_coverage((real for real, _ in found), sigma.real)
    check_coverage((imaginary for _, imaginary in found), sigma.imag)
    with pytest.raises(ValueError, match="expected two whole periods of 0.4 ps, got 0.6 ps"):
        transport.driven_with_error(currents[0][:30], field[:30], STEP, frequency, VOLUME)


def test_square_displacement_is_the_plain_average() -> None:
    x = np.cumsum(np.random.default_rng(1).normal(size=60)) + 7.0
    plain = [0.0] + [((x[m:] - x[:-m]) ** 2).mean() for m in range(1, 20)]
    np.testing.assert_allclose(transport._square_displacement(x, 20), plain, atol=1e-10)


def test_current_that_stays_correlated_is_refused() -> None:
    line = np.outer(np.linspace(1.0, 3.0, 600), np.ones(3))
    with pytest.raises(ValueError, match="still correlated after .* ps: run longer"):
        transport.green_kubo_with_error(line, STEP, VOLUME, TEMPERATURE)


def test_cepstrum_of_too_few_frequencies_is_refused(currents) -> None:
    with pytest.raises(ValueError, match="expected 16 frequencies below 0.02 THz at least, got 8"):
        cepstral_conductivity(currents[0], STEP, VOLUME, TEMPERATURE, 0.02)

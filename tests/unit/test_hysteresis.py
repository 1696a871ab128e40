"""Loops of a model ferroelectric with correlated noise: coercive field, remanence, area."""

import numpy as np
import pytest
from repetitions import check_coverage
from scipy import constants, signal

from lammps_les.analysis import hysteresis

LENGTH, CYCLES = 400, 20
FIELD = 0.05 * signal.sawtooth(2.0 * np.pi * (np.arange(LENGTH) / LENGTH + 0.25), 0.5)  # V/A
RISING = np.diff(np.append(FIELD, FIELD[0])) > 0.0
COERCIVE, BIAS, SATURATED, WIDTH = 0.02, 0.003, 0.3, 0.012
SHAPE = SATURATED * np.tanh((FIELD - BIAS - np.where(RISING, COERCIVE, -COERCIVE)) / WIDTH)


def on_branch(field: float, direction: int) -> float:
    return SATURATED * np.tanh((field - BIAS - direction * COERCIVE) / WIDTH) - SHAPE.mean()


def loops() -> np.ndarray:
    """[100, cycles, samples], with noise of a tenth of P that lasts five samples."""
    noise = (
        0.03
        * np.sqrt(1.0 - 0.8**2)
        * np.random.default_rng(2).normal(size=(100, CYCLES, LENGTH + 50))
    )
    return SHAPE + 5.0 + signal.lfilter([1.0], [1.0, -0.8], noise, axis=2)[:, :, 50:]


@pytest.fixture(scope="module")
def found() -> list[hysteresis.Hysteresis]:
    return [hysteresis.hysteresis(FIELD, one) for one in loops()]


def test_coercive_field_and_bias_have_honest_errors(found) -> None:
    """P is centered by its mean, so that it is zero a little beside the middle of the step."""
    shift = WIDTH * np.arctanh(SHAPE.mean() / SATURATED)
    check_coverage((one.coercive for one in found), COERCIVE)
    check_coverage((one.bias for one in found), BIAS + shift)


def test_remanence_has_honest_errors(found) -> None:
    check_coverage((one.remanence for one in found), 0.5 * (on_branch(0.0, -1) - on_branch(0.0, 1)))


def test_area_and_response_have_honest_errors(found) -> None:
    """Of the loop without noise: the shoelace formula, and a sum over the cycle."""
    e, p = np.append(FIELD, FIELD[0]), np.append(SHAPE, SHAPE[0])
    area = 0.5e4 * float((e[:-1] * p[1:] - e[1:] * p[:-1]).sum())
    check_coverage((one.area for one in found), area)
    wave = np.exp(2j * np.pi * np.arange(LENGTH) / LENGTH)
    response = (SHAPE @ wave) / (FIELD @ wave) / (constants.epsilon_0 * 1e10)
    check_coverage((one.response[0] for one in found), response.real)
    check_coverage((one.response[1] for one in found), response.imag)
    assert response.imag > 0.0
    assert area > 0.0


def test_cycles_of_a_period_that_is_no_whole_number_of_samples() -> None:
    series = np.arange(105)
    found = hysteresis.cycles_of(series, 1.0, 33.4)
    assert found.shape == (3, 33)
    assert found[:, 0].tolist() == [0, 33, 67]
    with pytest.raises(ValueError, match="expected cycles of 200 ps of 8 samples at least"):
        hysteresis.cycles_of(series, 1.0, 200.0)


def test_what_says_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="expected two cycles at least for errors, got one"):
        hysteresis.hysteresis(FIELD, SHAPE[None])
    with pytest.raises(ValueError, match="goes up and down; it is constant"):
        hysteresis.hysteresis(np.ones(LENGTH), np.ones((2, LENGTH)))

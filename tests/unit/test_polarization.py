"""Polarization of a lattice of dipoles, whose polarization is known, and its local cells."""

import numpy as np
import pytest
from repetitions import check_coverage
from scipy import signal

from lammps_les.analysis import polarization
from lammps_les.analysis.statistics import mean_of

EDGE = 4.0  # A
SYMBOLS = np.array(["Ba", "Ti", "O", "O", "O"])
SITES = np.array([[0, 0, 0], [0.5, 0.5, 0.5], [0.5, 0.5, 0], [0.5, 0, 0.5], [0, 0.5, 0.5]])
CHARGES = np.array([2.7, 7.1, -2.1, -2.1, -5.6])  # add up to zero
ENVIRONMENTS = [
    polarization.Environment("Ba", 8, 0.125),
    polarization.Environment("O", 6, 0.5),
]


def lattice(n: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Fractional positions, cell and elements of n^3 unit cells."""
    corners = np.array(list(np.ndindex(n, n, n)))
    sites = (corners[:, None] + SITES).reshape(-1, 3) / n
    return sites, n * EDGE * np.eye(3), np.tile(SYMBOLS, n**3)


def isotropic(n: int) -> np.ndarray:
    return np.tile(CHARGES, n**3)[:, None, None] * np.eye(3)


def test_lattice_of_dipoles_in_a_box_that_was_wrapped_elsewhere() -> None:
    """Ti 0.1 A along z against all others: P = (7.1 - 0) 0.1/64 e/A^2, across boundaries."""
    sites, cell, elements = lattice(2)
    moved = sites + np.where(elements == "Ti", 0.1 / 8.0, 0.0)[:, None] * [0, 0, 1]
    moved = (moved + 0.4) % 1.0  # all together: the sum rule holds
    z = isotropic(2)
    dipoles, error = polarization.atomic_dipoles(
        np.array([sites, moved]), np.array([cell, cell]), np.array([z, z])
    )
    total = dipoles.sum(axis=0) / np.linalg.det(cell)
    np.testing.assert_allclose(total, [0, 0, 7.1 * 0.1 / 64.0], atol=1e-14)
    np.testing.assert_array_equal(error, 0.0)


def test_charges_are_averaged_along_the_path() -> None:
    """Z = 2 + 3 u: the work of u from 0 to 0.4 is 2 u + 1.5 u^2; the index of P is the first."""
    cell = np.array([[6.0, 0, 0], [1.0, 5.0, 0], [0.5, -0.7, 7.0]])
    places = [np.array([[0.0, 0, 0], [0, u, 0]]) for u in (0.0, 0.1, 0.4)]
    path = np.array([np.full((2, 3), 0.9) + p @ np.linalg.inv(cell) for p in places]) % 1.0
    z = np.zeros((3, 2, 3, 3))
    for n, u in enumerate((0.0, 0.1, 0.4)):
        z[n, 1, 0, 1] = 2.0 + 3.0 * u
        z[n, 0] = -z[n, 1]
    dipoles, error = polarization.atomic_dipoles(path, np.array([cell] * 3), z)
    np.testing.assert_allclose(dipoles.sum(axis=0), [2.0 * 0.4 + 1.5 * 0.16, 0, 0], atol=1e-12)
    assert error[0] == pytest.approx(3.0 * np.hypot(0.1**2, 0.3**2) / np.sqrt(12.0))


@pytest.mark.parametrize("n", [1, 2, 3])
def test_mean_of_local_dipoles_is_the_whole(n: int) -> None:
    sites, cell, elements = lattice(n)
    cells = polarization.local_cells(sites, cell, elements, "Ti", ENVIRONMENTS)
    assert len(cells.centers) == n**3
    np.testing.assert_allclose(cells.weights.sum(axis=1), 5.0)
    dipoles = np.random.default_rng(0).normal(size=(len(elements), 3))
    local = polarization.local_polarization(dipoles, cells, np.linalg.det(cell))
    whole = 16.0217663 * dipoles.sum(axis=0) / np.linalg.det(cell)
    np.testing.assert_allclose(local.mean(axis=0), whole)


def test_domains_are_seen_in_the_map() -> None:
    """Ti up in one half and down in the other; each cell has its own."""
    sites, cell, elements = lattice(4)
    cells = polarization.local_cells(sites, cell, elements, "Ti", ENVIRONMENTS)
    up = np.where(sites[:, 0] < 0.5, 1.0, -1.0) * (elements == "Ti")
    local = polarization.local_polarization(
        0.71 * up[:, None] * [0, 0, 1], cells, np.linalg.det(cell)
    )
    sign = np.where(sites[cells.centers, 0] < 0.5, 1.0, -1.0)
    np.testing.assert_allclose(local[:, 2], 16.0217663 * 0.71 / 64.0 * sign, rtol=1e-7)


def test_weights_that_do_not_add_up_are_refused() -> None:
    sites, cell, elements = lattice(2)
    wrong = [ENVIRONMENTS[0], polarization.Environment("O", 6, 0.25)]
    with pytest.raises(ValueError, match=r"those of atom 3 \(O\) add up to 0.5"):
        polarization.local_cells(sites, cell, elements, "Ti", wrong)
    with pytest.raises(ValueError, match="there is no Pb to be the center"):
        polarization.local_cells(sites, cell, elements, "Pb", wrong)


def test_mean_polarization_has_honest_errors() -> None:
    """Displacements with noise that lasts ten frames, in 100 runs of 400 frames."""
    sites, cell, elements = lattice(1)
    z = isotropic(1)
    noise = np.random.default_rng(4).normal(size=(100, 450)) * np.sqrt(1.0 - 0.8**2) * 0.05
    heights = 0.1 + signal.lfilter([1.0], [1.0, -0.8], noise, axis=1)[:, 50:]
    estimates = []
    for run in heights:
        series = []
        for height in run:
            moved = sites + np.where(elements == "Ti", height / EDGE, 0.0)[:, None] * [0, 0, 1]
            dipoles, _ = polarization.atomic_dipoles(
                np.array([sites, moved % 1.0]), np.array([cell, cell]), np.array([z, z])
            )
            series.append(dipoles[:, 2].sum() / EDGE**3)
        estimates.append(mean_of(np.array(series)))
    check_coverage(estimates, 7.1 * 0.1 / 64.0)

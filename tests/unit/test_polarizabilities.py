"""What polarizabilities are compared, and how their fluctuations are."""

import numpy as np
import pytest
from ase.build import molecule

from lammps_les.analysis.moments import molecular_moments
from lammps_les.analysis.polarizabilities import fit_polarizabilities, whole_polarizability


def test_of_a_cell_it_is_that_of_epsilon_inf() -> None:
    """epsilon_inf = epsilon_e (1 + chi), chi = sum alpha / (epsilon_0 V)."""
    volume, chi, epsilon_inf = 300.0, 0.4, 2.1
    unit = volume / (4.0 * np.pi * 14.399645)
    epsilon_e = epsilon_inf / (1.0 + chi)
    alpha = chi * unit * np.eye(3)
    whole = whole_polarizability(epsilon_e * alpha, epsilon_e * np.eye(3), volume)
    np.testing.assert_allclose(whole, (epsilon_inf - 1.0) * unit * np.eye(3))
    np.testing.assert_allclose(
        whole_polarizability(epsilon_e * alpha, epsilon_e * np.eye(3), None), alpha
    )
    tensor = np.diag([1.5, 2.0, 2.5])
    rooted = np.sqrt(tensor) @ alpha @ np.sqrt(tensor)
    np.testing.assert_allclose(whole_polarizability(rooted, tensor, None), alpha)


def test_correlations_of_parts() -> None:
    rng = np.random.default_rng(1)
    m = rng.normal(size=(50, 3, 3))
    labels = m + m.transpose(0, 2, 1) + 7.0 * np.eye(3)
    trace = np.trace(labels, axis1=1, axis2=2)[:, None, None] / 3.0 * np.eye(3)
    found = fit_polarizabilities(0.5 * trace - 2.0 * (labels - trace) + 1.0, labels)
    assert found.isotropic == pytest.approx(1.0)
    assert found.anisotropic == pytest.approx(-1.0)
    assert found.slopes == pytest.approx((0.5, -2.0))
    constant = fit_polarizabilities(np.ones((50, 3, 3)), labels)
    assert constant[:2] == (0.0, 0.0)


def test_moments_of_multipoles_are_those_of_charges_that_make_them() -> None:
    """A dipole as two charges, a quadrupole as three."""
    atoms = molecule("H2O")
    zero = np.zeros(3)
    step, u = 1e-3, np.array([0.1, -0.2, 0.3])
    dipoles = np.stack([u, zero, zero])
    found = molecular_moments(atoms, zero, 0.0, dipoles)
    ends = atoms[[0, 0]] + atoms[[1, 2]]
    ends.set_masses([atoms.get_masses()[0] / 2] * 2 + [*atoms.get_masses()[1:]])
    ends.positions[0] += step * u
    ends.positions[1] -= step * u
    half = 0.5 / step
    pair = molecular_moments(ends, np.array([half, -half, 0.0, 0.0]))
    np.testing.assert_allclose(found.dipole, pair.dipole, atol=1e-9)
    np.testing.assert_allclose(found.quadrupole, pair.quadrupole, atol=1e-9)
    q = np.diag([0.1, 0.2, -0.3])
    quadrupoles = np.stack([q, np.zeros((3, 3)), np.zeros((3, 3))])
    np.testing.assert_allclose(
        molecular_moments(atoms, zero, 0.0, None, quadrupoles).quadrupole, q, atol=1e-12
    )

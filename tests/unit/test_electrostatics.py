"""Long-range sums: against differences, other programs' numbers, and symmetry."""

import math

import numpy as np
import pytest
import torch
from scipy import constants
from torch import Tensor

from lammps_les.electrostatics import (
    LongRangeParameters,
    is_periodic,
    long_range_energy,
    long_range_response,
    wave_vector_triples,
)
from lammps_les.units import NORM_COULOMB

CELLS = {
    "cubic": [[7.1, 0.0, 0.0], [0.0, 7.1, 0.0], [0.0, 0.0, 7.1]],
    "triclinic": [[6.3, 0.0, 0.0], [1.9, 7.4, 0.0], [-2.2, 1.1, 5.8]],
    "left_handed": [[0.0, 6.9, 0.3], [6.1, 0.2, 0.0], [0.4, -0.5, 8.0]],
}
BOUNDARIES = [*CELLS, "open"]


def system(boundary: str, channels: int = 2) -> tuple[Tensor, Tensor, Tensor, bool]:
    """Positions, charges (not neutral), cell, periodic of ten atoms."""
    generator = torch.Generator().manual_seed(7)
    cell = torch.tensor(CELLS.get(boundary, CELLS["cubic"]), dtype=torch.float64)
    fractional = torch.rand(10, 3, generator=generator, dtype=torch.float64) * 1.5
    charges = torch.randn(10, channels, generator=generator, dtype=torch.float64)
    return fractional @ cell, charges, cell, boundary != "open"


def parameters(remove_self: bool = True, **changes: float) -> LongRangeParameters:
    """Parameters of a model, none of them one."""
    fields = {
        "sigma": 0.9,
        "dl": 1.7,
        "norm": 90.0,
        "remove_self": remove_self,
        "self_factor": 2.0,
        "open_shift": 0.02,
    }
    return LongRangeParameters(**{**fields, **changes})


def central_difference(energy, x: Tensor, step: float = 1e-4) -> Tensor:
    """Fourth-order central differences of a scalar function in every element of x."""
    result = torch.zeros_like(x)
    for index in np.ndindex(*x.shape):
        values = []
        for shift in (-2, -1, 1, 2):
            moved = x.clone()
            moved[index] += shift * step
            values.append(float(energy(moved)))
        result[index] = (values[0] - 8 * values[1] + 8 * values[2] - values[3]) / (12 * step)
    return result


@pytest.mark.parametrize("remove_self", [True, False])
@pytest.mark.parametrize("boundary", BOUNDARIES)
def test_forces(boundary, remove_self):
    r, q, cell, periodic = system(boundary)
    p = parameters(remove_self)
    numeric = central_difference(lambda x: long_range_energy(x, q, cell, periodic, p), r)
    forces = long_range_response(r, q, cell, periodic, p).forces
    torch.testing.assert_close(forces, -numeric, rtol=0, atol=2e-8)


@pytest.mark.parametrize("remove_self", [True, False])
@pytest.mark.parametrize("boundary", BOUNDARIES)
def test_potential(boundary, remove_self):
    r, q, cell, periodic = system(boundary)
    p = parameters(remove_self)
    numeric = central_difference(lambda x: long_range_energy(r, x, cell, periodic, p), q)
    potential = long_range_response(r, q, cell, periodic, p).potential
    torch.testing.assert_close(potential, numeric, rtol=0, atol=2e-8)


@pytest.mark.parametrize("remove_self", [True, False])
@pytest.mark.parametrize("boundary", BOUNDARIES)
def test_virial(boundary, remove_self):
    r, q, cell, periodic = system(boundary)
    p = parameters(remove_self)

    def strained(strain):
        deformation = torch.eye(3, dtype=torch.float64) + strain
        return long_range_energy(r @ deformation.T, q, cell @ deformation.T, periodic, p)

    numeric = central_difference(strained, torch.zeros(3, 3, dtype=torch.float64), 1e-5)
    virial = long_range_response(r, q, cell, periodic, p).virial
    torch.testing.assert_close(virial, -numeric, rtol=0, atol=1e-6)


@pytest.mark.parametrize("remove_self", [True, False])
@pytest.mark.parametrize("boundary", BOUNDARIES)
def test_energy_is_half_charge_times_potential(boundary, remove_self):
    r, q, cell, periodic = system(boundary)
    p = parameters(remove_self)
    response = long_range_response(r, q, cell, periodic, p)
    energy = long_range_energy(r, q, cell, periodic, p)
    torch.testing.assert_close(0.5 * (q * response.potential).sum(), energy)
    torch.testing.assert_close(response.energies.sum(), energy)


@pytest.mark.parametrize("boundary", BOUNDARIES)
def test_differentiable_twice(boundary):
    r, q, cell, periodic = system(boundary)
    inputs = (r[:4].requires_grad_(), q[:4].requires_grad_(), cell.requires_grad_(periodic))
    assert torch.autograd.gradgradcheck(
        lambda r, q, c: long_range_energy(r, q, c, periodic, parameters()), inputs
    )


def test_rock_salt_has_the_madelung_energy():
    """Narrow Gaussians do not overlap, so rock salt has its point-charge energy.

    Madelung constant 1.7475645946 (Kittel, Introduction to Solid State Physics, ch. 3).
    """
    edge = 5.64
    grid = torch.cartesian_prod(*[torch.arange(2)] * 3)
    q = (1.0 - 2.0 * (grid.sum(dim=1) % 2)).double()[:, None]
    r = grid.double() * edge / 2
    cell = edge * torch.eye(3, dtype=torch.float64)
    p = LongRangeParameters(0.3, 0.2, 2 * math.pi * 14.399645, True, 1.0)
    expected = -1.7475645946 * 14.399645 / (edge / 2) * 4
    assert float(long_range_energy(r, q, cell, True, p)) == pytest.approx(expected, rel=1e-9)


def test_norm_of_charges_in_e_is_that_of_coulomb():
    """N = 2 pi e^2/(4 pi epsilon_0), in eV A."""
    expected = 1e10 * constants.e / (2.0 * constants.epsilon_0)
    assert pytest.approx(expected, rel=1e-6) == NORM_COULOMB


def test_two_charges_in_the_open():
    r = torch.tensor([[0.0, 0.0, 0.0], [0.0, 0.0, 2.0]], dtype=torch.float64)
    q = torch.tensor([[0.5], [-2.0]], dtype=torch.float64)
    p = LongRangeParameters(1.0, 2.0, 2 * math.pi, False, 1.0)
    # erf(sqrt 2) = 0.9544997361036416; a Gaussian of width 1 in its own field: 1/sqrt(2 pi)
    expected = -0.9544997361036416 / 2 + 4.25 * 0.3989422804014327
    energy = long_range_energy(r, q, torch.zeros(3, 3, dtype=torch.float64), False, p)
    assert float(energy) == pytest.approx(expected, rel=1e-12)


def test_open_is_the_limit_of_a_large_cell():
    """A cluster without charge, dipole and quadrupole hardly feels its images, 20 A away."""
    r = torch.tensor([[0.0, 0, 0], [1.0, 0, 0], [-1.0, 0, 0]], dtype=torch.float64)
    r = torch.cat([r, torch.tensor([[0, 1.0, 0], [0, -1.0, 0], [0, 0, 1.0], [0, 0, -1.0]])])
    q = torch.tensor([[6.0], *[[-1.0]] * 6], dtype=torch.float64)
    p = LongRangeParameters(0.8, 0.6, 10.0, False, 1.0)
    cell = 20.0 * torch.eye(3, dtype=torch.float64)
    periodic = float(long_range_energy(r, q, cell, True, p))
    assert periodic == pytest.approx(float(long_range_energy(r, q, cell, False, p)), abs=1e-6)


@pytest.mark.parametrize("boundary", list(CELLS))
def test_mirrored_cell(boundary):
    r, q, cell, _ = system(boundary)
    mirror = torch.diag(torch.tensor([-1.0, 1.0, 1.0], dtype=torch.float64))
    one = long_range_response(r, q, cell, True, parameters())
    two = long_range_response(r @ mirror, q, cell @ mirror, True, parameters())
    torch.testing.assert_close(two.energies, one.energies)
    torch.testing.assert_close(two.forces, one.forces @ mirror)
    torch.testing.assert_close(two.virial, mirror @ one.virial @ mirror)


@pytest.mark.parametrize("boundary", list(CELLS))
def test_choice_of_the_cell_does_not_matter(boundary):
    r, q, cell, _ = system(boundary)
    other = torch.stack([cell[0], cell[0] + cell[1], cell[2] - cell[1]])
    one = long_range_response(r, q, cell, True, parameters())
    two = long_range_response(r, q, other, True, parameters())
    for name in ("energies", "potential", "forces", "virial"):
        torch.testing.assert_close(getattr(two, name), getattr(one, name))


@pytest.mark.parametrize("edge", [4.0, 4.0 * (1 + 1e-8), 4.0 * (1 - 1e-8)])
def test_shell_on_the_cutoff_belongs_to_the_sum(edge):
    """|n|^2 <= 4 holds for 32 triples, 16 up to sign; 6 of them lie on the cutoff."""
    cell = edge * torch.eye(3, dtype=torch.float64)
    triples = wave_vector_triples(cell, 2.0)
    assert len(triples) == 16
    assert int((triples.norm(dim=1) == 2.0).sum()) == 3
    both = torch.cat([triples, -triples])
    assert len(torch.unique(both, dim=0)) == 32


def test_mixed_boundaries_are_refused():
    with pytest.raises(RuntimeError, match="periodic in all three directions or in none"):
        is_periodic(torch.tensor([True, True, False]))
    assert is_periodic(torch.ones(3, dtype=torch.bool))
    assert not is_periodic(torch.zeros(3, dtype=torch.bool))

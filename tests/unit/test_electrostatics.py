"""Long-range sums: against differences, other programs' numbers, and symmetry."""

import math
from functools import partial

import numpy as np
import pytest
import torch
from scipy import constants
from torch import Tensor

from lammps_les.electrostatics import (
    Latents,
    LongRangeParameters,
    is_periodic,
    long_range_derivatives,
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
FIXED_LATENTS = [
    "lefthanded_q_kappa_alpha1_kept",
    "open_quQ_kappa_alpha9_removed",
    "open_quQ_kept",
    "ortho_2channels_quQ_kappa_alpha9_removed",
    "ortho_q_removed",
    "ortho_quQ_alpha9_kept",
    "ortho_quQ_kappa_alpha9_removed_200",
    "ortho_quQ_removed",
    "ortho_qu_kept",
    "triclinic_quQ_alpha1_removed",
    "triclinic_quQ_kappa_alpha9_removed",
    "triclinic_quQ_kappa_removed",
    "triclinic_quQ_kept",
]


def symmetric(tensor: Tensor) -> Tensor:
    """Symmetric part [..., 3, 3]."""
    return 0.5 * (tensor + tensor.transpose(-1, -2))


def traceless(tensor: Tensor) -> Tensor:
    """Symmetric part without its trace, [..., 3, 3]."""
    trace = tensor.diagonal(dim1=-2, dim2=-1).mean(-1)
    return symmetric(tensor) - trace[..., None, None] * torch.eye(3, dtype=tensor.dtype)


def system(boundary: str, channels: int = 2) -> tuple[Tensor, Latents, Tensor, bool]:
    """Positions, latents (not neutral), cell, periodic of ten atoms."""
    generator = torch.Generator().manual_seed(7)

    def normal(*shape: int) -> Tensor:
        return torch.randn(10, channels, *shape, generator=generator, dtype=torch.float64)

    cell = torch.tensor(CELLS.get(boundary, CELLS["cubic"]), dtype=torch.float64)
    fractional = torch.rand(10, 3, generator=generator, dtype=torch.float64) * 1.5
    root = 0.05 * normal(3, 3)
    latents = Latents(
        charge=normal(),
        dipole=0.3 * normal(3),
        quadrupole=traceless(0.3 * normal(3, 3)),
        kappa=0.01 * normal() ** 2,
        alpha=root @ root.transpose(2, 3),
    )
    return fractional @ cell, latents, cell, boundary != "open"


def charged(boundary: str) -> tuple[Tensor, Latents, Tensor, bool]:
    """The same with charges alone."""
    r, latents, cell, periodic = system(boundary)
    return r, Latents(latents.charge), cell, periodic


def parameters(remove_self: bool = True, **changes: float) -> LongRangeParameters:
    """Parameters of a model, none of them one."""
    fields = {
        "sigma": 0.9,
        "dl": 1.7,
        "norm": 90.0,
        "remove_self": remove_self,
        "self_factor": 2.0,
        "open_shift": 0.0,
    }
    return LongRangeParameters(**{**fields, **changes})


def slope(energy, x: Tensor, direction: Tensor, step: float = 2e-5) -> float:
    """Fourth-order central difference of a scalar function along a direction."""
    values = [float(energy(x + shift * step * direction)) for shift in (-2, -1, 1, 2)]
    return (values[0] - 8 * values[1] + 8 * values[2] - values[3]) / (12 * step)


@pytest.mark.parametrize("remove_self", [True, False])
@pytest.mark.parametrize("boundary", BOUNDARIES)
@pytest.mark.parametrize("kind", [system, charged])
def test_derivatives_are_differences(kind, boundary, remove_self):
    """Along random directions of positions, of the strain, and of each latent."""
    r, latents, cell, periodic = kind(boundary)
    shift = 0.02 if kind is charged else 0.0
    p = parameters(remove_self, open_shift=shift)
    found = long_range_derivatives(r, latents, cell, periodic, p)

    def strained(strain: Tensor) -> Tensor:
        deformation = (torch.eye(3, dtype=torch.float64) + strain).T
        return long_range_energy(r @ deformation, latents, cell @ deformation, periodic, p)

    def with_latent(name: str, x: Tensor) -> Tensor:
        return long_range_energy(r, latents._replace(**{name: x}), cell, periodic, p)

    pairs = [
        (lambda x: long_range_energy(x, latents, cell, periodic, p), r, -found.forces),
        (strained, torch.zeros(3, 3, dtype=torch.float64), -found.virial),
    ]
    for name, x in latents._asdict().items():
        if x is not None:
            by_latent = getattr(found.latents, name)
            pairs.append((partial(with_latent, name), x, by_latent))
    generator = torch.Generator().manual_seed(3)
    for energy, x, gradient in pairs:
        for _ in range(4):
            direction = torch.randn(x.shape, generator=generator, dtype=torch.float64)
            expected = slope(energy, x, direction)
            assert float((gradient * direction).sum()) == pytest.approx(expected, rel=1e-7)


@pytest.mark.parametrize("name", FIXED_LATENTS)
def test_sum_of_the_original_program(shared, name):
    """The les library, by automatic differentiation (reference/multipoles)."""
    with np.load(shared / "reference" / "multipoles" / f"{name}.npz") as file:
        data = {key: torch.from_numpy(np.asarray(file[key])) for key in file if key != "terms"}
    alpha = data.get("alpha")
    if alpha is not None and alpha.dim() == 2:
        alpha = alpha[:, :, None, None] * torch.eye(3, dtype=alpha.dtype)
    latents = Latents(data["q"], data.get("u"), data.get("Q"), data.get("kappa"), alpha)
    values = [data[key].item() for key in ("sigma", "dl", "norm", "remove_self")]
    p = LongRangeParameters(*values, self_factor=1.0)
    arguments = (data["positions"], latents, data["cell"], bool(data["pbc"].all()), p)
    scripted = torch.jit.script(long_range_response)(*arguments)
    response, found = long_range_response(*arguments), long_range_derivatives(*arguments)
    pairs = [
        (response.energies.sum(), "energy"),
        (scripted.energies.sum(), "energy"),
        (response.energies, "energies"),
        (response.potential, "potential"),
        (response.field, "field"),
        (response.charge_induced, "charge_induced"),
        (response.dipole_induced, "dipole_induced"),
        (found.forces, "forces"),
        (found.virial, "virial"),
        (found.latents.charge, "dE_dq"),
        (found.latents.dipole, "dE_du"),
        (found.latents.quadrupole, "dE_dQ"),
        (found.latents.kappa, "dE_dkappa"),
        (found.latents.alpha, "dE_dalpha"),
    ]
    for value, key in pairs:
        if value is None:  # those that the model does not have
            assert float(data.get(key, torch.zeros(1)).abs().max()) == 0.0 or key == "field"
            continue
        expected = data[key]
        if key == "dE_dQ":
            value, expected = traceless(value), traceless(expected)
        elif key == "dE_dalpha" and expected.dim() == 2:
            value = value.diagonal(dim1=-2, dim2=-1).sum(-1)
        elif key == "dE_dalpha":
            value, expected = symmetric(value), symmetric(expected)
        torch.testing.assert_close(
            value, expected, rtol=0, atol=1e-9, msg=lambda m, k=key: f"{k}: {m}"
        )


@pytest.mark.parametrize("boundary", BOUNDARIES)
def test_differentiable_twice(boundary):
    r, latents, cell, periodic = system(boundary, channels=1)
    inputs = [r[:3], *(x[:3] for x in latents), cell]
    inputs = [x.detach().clone().requires_grad_() for x in inputs[: None if periodic else -1]]

    def energy(*x: Tensor) -> Tensor:
        return long_range_energy(
            x[0], Latents(*x[1:6]), x[6] if periodic else cell, periodic, parameters()
        )

    assert torch.autograd.gradgradcheck(energy, inputs)


def test_charges_alone_may_have_a_shift_in_the_open_sum():
    r, latents, cell, _ = system("open")
    p = parameters(open_shift=1e-6)
    shifted = long_range_energy(r, Latents(latents.charge), cell, False, p)
    plain = long_range_energy(r, Latents(latents.charge), cell, False, parameters())
    assert 1e-9 < abs(float(shifted - plain)) < 1e-2
    with pytest.raises(RuntimeError, match="open_shift is for charges alone"):
        long_range_energy(r, latents, cell, False, p)


def test_single_precision_keeps_its_digits_in_the_open_sum():
    """Upward recursion in float32 would lose 3 of them."""
    r, latents, cell, _ = system("open")
    single = Latents(*(x.float() for x in latents))
    rounded = Latents(*(x.double() for x in single))
    found = long_range_response(r.float(), single, cell, False, parameters())
    expected = long_range_response(r.float().double(), rounded, cell, False, parameters())
    assert found.potential.dtype == torch.float32
    for mine, theirs in zip(found, expected, strict=True):
        torch.testing.assert_close(mine.double(), theirs, rtol=1e-5, atol=1e-5 * theirs.abs().max())


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
    assert float(long_range_energy(r, Latents(q), cell, True, p)) == pytest.approx(
        expected, rel=1e-9
    )


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
    energy = long_range_energy(r, Latents(q), torch.zeros(3, 3, dtype=torch.float64), False, p)
    assert float(energy) == pytest.approx(expected, rel=1e-12)


def test_open_is_the_limit_of_a_large_cell():
    """A cluster without charge, dipole and quadrupole hardly feels its images, 20 A away."""
    r = torch.tensor([[0.0, 0, 0], [1.0, 0, 0], [-1.0, 0, 0]], dtype=torch.float64)
    r = torch.cat([r, torch.tensor([[0, 1.0, 0], [0, -1.0, 0], [0, 0, 1.0], [0, 0, -1.0]])])
    q = torch.tensor([[6.0], *[[-1.0]] * 6], dtype=torch.float64)
    p = LongRangeParameters(0.8, 0.6, 10.0, False, 1.0)
    cell = 20.0 * torch.eye(3, dtype=torch.float64)
    periodic = float(long_range_energy(r, Latents(q), cell, True, p))
    assert periodic == pytest.approx(
        float(long_range_energy(r, Latents(q), cell, False, p)), abs=1e-6
    )


@pytest.mark.parametrize("boundary", list(CELLS))
def test_mirrored_cell(boundary):
    r, latents, cell, _ = system(boundary)
    mirror = torch.diag(torch.tensor([-1.0, 1.0, 1.0], dtype=torch.float64))
    mirrored = Latents(
        latents.charge,
        latents.dipole @ mirror,
        mirror @ latents.quadrupole @ mirror,
        latents.kappa,
        mirror @ latents.alpha @ mirror,
    )
    one = (r, latents, cell, True, parameters())
    two = (r @ mirror, mirrored, cell @ mirror, True, parameters())
    torch.testing.assert_close(
        long_range_response(*two).energies, long_range_response(*one).energies
    )
    here, there = long_range_derivatives(*one), long_range_derivatives(*two)
    torch.testing.assert_close(there.forces, here.forces @ mirror)
    torch.testing.assert_close(there.virial, mirror @ here.virial @ mirror)


@pytest.mark.parametrize("boundary", list(CELLS))
def test_choice_of_the_cell_does_not_matter(boundary):
    r, latents, cell, _ = system(boundary)
    other = torch.stack([cell[0], cell[0] + cell[1], cell[2] - cell[1]])
    for function in (long_range_response, long_range_derivatives):
        one = function(r, latents, cell, True, parameters())
        two = function(r, latents, other, True, parameters())
        for value, expected in zip(two, one, strict=True):
            torch.testing.assert_close(value, expected)


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


@pytest.mark.parametrize("boundary", BOUNDARIES)
def test_no_channels_and_no_atoms_have_no_energy(boundary):
    r, latents, cell, periodic = system(boundary)
    for positions, given in (
        (r, Latents(latents.charge[:, :0])),
        (r, Latents(*(x[:, :0] for x in latents))),
        (r[:0], Latents(*(x[:0] for x in latents))),
    ):
        arguments = (positions, given, cell, periodic, parameters())
        assert float(long_range_energy(*arguments)) == 0.0
        found = long_range_derivatives(*arguments)
        assert found.forces.shape == positions.shape
        assert not found.forces.any()
        assert not found.virial.any()

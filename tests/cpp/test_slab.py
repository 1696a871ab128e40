"""Slabs: the sum of an extended cell, less its images, against a plain sum over the plane."""

import math

import pytest
import torch
from torch import Tensor

from lammps_les import _core

NORM, SIGMA, DL = 90.0, 1.0, 1.0
PLANE = torch.tensor([[5.0, 0.0], [1.2, 4.6]], dtype=torch.float64)
HEIGHT = 8.0
N = 6
DIPOLES = [False, True]
# relative to the largest force
KINDS = [("direct", 3e-8), ("mesh", 3e-6)]


def slab(charged: bool = True, dipoles: bool = True) -> tuple[Tensor, Tensor]:
    """Positions [N, 3] within 6 A of height, and charges, or charges and dipoles [N, 1, 4]."""
    random = torch.Generator().manual_seed(3)
    r = torch.rand(N, 3, generator=random, dtype=torch.float64) * torch.tensor([5.0, 5.0, 6.0])
    s = torch.randn(N, 1, 4, generator=random, dtype=torch.float64)
    s = s * torch.tensor([0.4, 0.15, 0.15, 0.15])
    if not charged:
        s[:, :, 0] -= s[:, :, 0].mean()
    return r, s if dipoles else s[:, :, :1]


def box(height: float = HEIGHT) -> Tensor:
    cell = torch.zeros(3, 3, dtype=torch.float64)
    cell[:2, :2], cell[2, 2] = PLANE, height
    return cell


def pair_potential(x: Tensor, plane: Tensor) -> Tensor:
    """Potential at x [..., 3] of a smeared charge and its images in the plane, eV per file unit.

    Sum over wave vectors G of the plane: exp(i G.x) (pi/AG) [exp(Gz) erfc(G s/2 + z/s) + (z -> -z)]
    with s = sqrt2 sigma, and for G = 0 what is left of it but for a constant,
    -(2 pi/A) [z erf(z/s) + s/sqrt(pi) exp(-(z/s)^2)]; in units of N/2pi.
    """
    area, width = torch.linalg.det(plane).abs(), math.sqrt(2.0) * SIGMA
    z = x[..., 2]
    flat = z * torch.erf(z / width) + width / math.sqrt(math.pi) * torch.exp(-((z / width) ** 2))
    v = -2.0 * math.pi / area * flat
    reciprocal = 2.0 * math.pi * torch.linalg.inv(plane).T
    for n in torch.cartesian_prod(*[torch.arange(-7.0, 8.0, dtype=torch.float64)] * 2):
        if not n.any():
            continue
        g = n @ reciprocal
        length = torch.linalg.vector_norm(g)
        if length > 2.6 * math.pi:
            continue
        both = [
            torch.exp(side * length * z) * torch.erfc(0.5 * length * width + side * z / width)
            for side in (1.0, -1.0)
        ]
        v = v + math.pi / (area * length) * torch.cos(x[..., :2] @ g) * (both[0] + both[1])
    return NORM / (2.0 * math.pi) * v


def plain_energy(r: Tensor, s: Tensor, plane: Tensor = PLANE) -> Tensor:
    """1/2 sum over pairs, each charge with itself included; dipoles by derivatives."""
    left, right = (torch.zeros((), dtype=torch.float64, requires_grad=True) for _ in range(2))
    q, u = s[:, 0, 0], s[:, 0, 1:]
    if s.size(2) == 1:
        v = pair_potential(r[:, None] - r[None, :], plane)
        return 0.5 * (q @ v @ q)
    v = pair_potential((r + left * u)[:, None] - (r + right * u)[None, :], plane)

    def slope(value: Tensor, variable: Tensor) -> Tensor:
        return torch.autograd.grad(value, variable, create_graph=True)[0]

    of_left, of_right = slope((v @ q).sum(), left), slope((q @ v).sum(), right)
    return 0.5 * (q @ v @ q + of_left + of_right + slope(slope(v.sum(), left), right))


def solver(kind: str, cell: Tensor, extension: float, dl: float = DL) -> _core.Solver:
    return _core.Solver(
        kind, cell, sigma=SIGMA, dl=dl, norm=NORM, mesh_accuracy=1e-7, slab=extension
    )


def energy(solver: _core.Solver, r: Tensor, s: Tensor) -> tuple[float, Tensor]:
    """1/2 <s, K s>, and its negative gradient by positions, [N, 3]."""
    dipoles = s.size(2) > 1
    potential, field, *gradient = solver.apply(r, s, order=2 if dipoles else 1).derivatives
    q, u = s[:, :, 0], s[:, :, 1:]
    value, forces = (q * potential).sum(), -(q.unsqueeze(2) * field).sum(1)
    if dipoles:
        value = value + (u * field).sum()
        forces = forces - (u.unsqueeze(3) * gradient[0]).sum((1, 2))
    return 0.5 * float(value), forces


@pytest.mark.parametrize("charged", [False, True])
@pytest.mark.parametrize("dipoles", DIPOLES)
@pytest.mark.parametrize(("kind", "tolerance"), KINDS)
def test_a_slab_is_a_sum_over_its_plane(
    kind: str, tolerance: float, charged: bool, dipoles: bool
) -> None:
    r, s = slab(charged, dipoles)
    leaf = r.clone().requires_grad_(True)
    plain = plain_energy(leaf, s)
    expected = -torch.autograd.grad(plain, leaf)[0]
    found, forces = energy(solver(kind, box(), 3.0), r, s)
    scale = float(expected.abs().max())
    assert found == pytest.approx(float(plain.detach()), abs=tolerance * scale)
    torch.testing.assert_close(forces, expected, rtol=0, atol=tolerance * scale)


@pytest.mark.parametrize("dl", [1.0, 2.0])
def test_it_does_not_depend_on_the_extension(dl: float) -> None:
    """But for what the sharp edge of the sphere of wave vectors leaves."""
    r, s = slab()
    values = [energy(solver("direct", box(), e, dl), r, s)[1] for e in (2.5, 3.0, 4.1, 9.0)]
    spread = max(float((v - values[0]).abs().max()) for v in values)
    assert spread < {1.0: 1e-6, 2.0: 0.05}[dl]


def test_where_the_slab_lies_does_not_matter() -> None:
    r, s = slab()
    k = solver("direct", box(), 3.0)
    reference, forces = energy(k, r, s)
    for shift in (-40.0, 2.0, 300.0):
        moved, same = energy(k, r + shift * torch.tensor([0.0, 0.0, 1.0]), s)
        assert moved == pytest.approx(reference, abs=1e-8)
        torch.testing.assert_close(same, forces, rtol=0, atol=1e-9)


def test_other_normals() -> None:
    """The third lattice vector is the normal, wherever it points."""
    r, s = slab()
    turn = torch.linalg.qr(torch.arange(9.0, dtype=torch.float64).view(3, 3).sin())[0]
    reference, forces = energy(solver("direct", box(), 3.0), r, s)
    turned = s.clone()
    turned[:, :, 1:] = s[:, :, 1:] @ turn
    found, of_turned = energy(solver("direct", box() @ turn, 3.0), r @ turn, turned)
    assert found == pytest.approx(reference, abs=1e-10)
    torch.testing.assert_close(of_turned, forces @ turn, rtol=0, atol=1e-10)


@pytest.mark.parametrize("dipoles", DIPOLES)
@pytest.mark.parametrize(("kind", "tolerance"), KINDS)
def test_virial(kind: str, tolerance: float, dipoles: bool) -> None:
    """Minus the derivative by strain, in the plane and along the normal, dipoles as they are."""
    r, s = slab(dipoles=dipoles)
    fields = solver(kind, box(), 3.0).apply(r, s, order=2 if dipoles else 1)
    torch.testing.assert_close(fields.atom_virial.sum(0), fields.virial, rtol=0, atol=1e-9)
    h = 1e-4
    for a, b in ((0, 0), (1, 1), (0, 1), (2, 2)):
        energies = []
        for step in (h, -h):
            strain = torch.eye(3, dtype=torch.float64)
            strain[a, b] += 0.5 * step
            strain[b, a] += 0.5 * step
            plane = PLANE @ strain[:2, :2]
            energies.append(float(plain_energy(r @ strain, s, plane).detach()))
        expected = -(energies[0] - energies[1]) / (2.0 * h)
        assert float(fields.virial[a, b]) == pytest.approx(expected, abs=2e-5)


def test_one_atom_is_a_sum_over_its_plane_too() -> None:
    """A net charge and a dipole along the normal, whose images and background are taken off."""
    r, s = slab()
    leaf = r[:1].clone().requires_grad_(True)
    expected = plain_energy(leaf, s[:1])
    found, forces = energy(solver("direct", box(), 3.0), r[:1], s[:1])
    assert found == pytest.approx(float(expected.detach()), abs=1e-6)
    assert forces.abs().max() < 1e-9


def test_quadrupoles_are_pairs_of_dipoles() -> None:
    """Their potential and its gradients, by n at r + h v and -n at r - h v."""
    r, s = slab()
    h = 1e-3
    random = torch.Generator().manual_seed(6)
    n, v = torch.randn(2, N, 1, 3, generator=random, dtype=torch.float64)
    quadrupole = n[..., :, None] * v[..., None, :] + v[..., :, None] * n[..., None, :]
    k = solver("direct", box(), 3.0)
    found = k.apply(r, torch.cat([s, quadrupole.flatten(2)], 2), order=2)
    pairs = torch.cat([torch.zeros_like(n[..., :1]), n / (2 * h)], 2)
    moved = torch.cat([r, r + h * v[:, 0], r - h * v[:, 0]])
    expected = k.apply(moved, torch.cat([s, pairs, -pairs]), order=2)
    for of_quadrupoles, of_pairs in zip(found.derivatives, expected.derivatives, strict=True):
        scale = float(of_pairs[:N].abs().max())
        torch.testing.assert_close(of_quadrupoles, of_pairs[:N], rtol=0, atol=1e-5 * scale)


def test_virial_of_two_applications_is_bilinear() -> None:
    r, s = slab()
    other = s.flip(0)
    k = solver("direct", box(), 3.0)
    of_one, of_other = k.apply(r, s, order=2), k.apply(r, other, order=2)
    cross, both = k.apply(r, other, of_one, order=2), k.apply(r, s + other, order=2)
    total = of_one.virial + of_other.virial + 2.0 * cross.virial
    torch.testing.assert_close(both.virial, total, rtol=0, atol=1e-9)
    torch.testing.assert_close(cross.atom_virial.sum(0), cross.virial, rtol=0, atol=1e-9)


def test_what_cannot_be_is_refused() -> None:
    total = _core.LongRangeSum(sigma=1.0, dl=2.0, norm=NORM, remove_self=True)
    for boundary in ([True, False, False], [False, True, True], [False, False, True]):
        with pytest.raises(RuntimeError, match="boundaries must be periodic along all three"):
            total.choose(boundary, box(), N)
    tilted = box()
    tilted[2, 0] = 0.5
    with pytest.raises(RuntimeError, match="third lattice vector .* normal"):
        total.choose([True, True, False], tilted, N)
    total.choose([True, True, False], box(), N)
    r, s = slab()
    result = total.compute(r, s[:, :, 0], box())
    assert "slab, extended 3 times" in total.description()
    alone = _core.long_range(
        r, s[:, :, 0], box(), sigma=1.0, dl=2.0, norm=NORM, remove_self=True, slab=3.0
    )
    torch.testing.assert_close(result["forces"], alone["forces"], rtol=0, atol=1e-12)

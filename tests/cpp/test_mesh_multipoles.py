"""Dipoles and quadrupoles on the mesh, against the plain sums and finite differences."""

import pytest
import torch
from torch import Tensor

from lammps_les import _core
from lammps_les.electrostatics import LongRangeParameters, wave_vector_triples
from lammps_les.electrostatics.periodic import periodic_fields

SIGMA, DL, NORM = 1.0, 2.0, 90.4756
COMPONENTS = [1, 4, 13]  # charges; and dipoles; and quadrupoles
# edges of one length, so that all three have as many points
TRICLINIC = torch.tensor([[1.0, 0.0, 0.0], [0.28, 0.96, 0.0], [-0.28, 0.0, 0.96]]).double()
CELLS = {
    "triclinic": 11.0 * TRICLINIC,
    "left-handed": torch.tensor([[2.3, 8.2, 0.0], [9.1, 0.4, 0.0], [-1.7, 3.1, 13.4]]).double(),
}


def sources(rng: torch.Generator, n: int, components: int, channels: int = 1) -> Tensor:
    """[n, channels, components]: q of 0.4, u of 0.15 A and Q of 0.15 A^2, symmetric, traceless."""
    q, u, quadrupole = torch.randn(n, channels, 13, generator=rng, dtype=torch.float64).split(
        [1, 3, 9], dim=2
    )
    matrix = quadrupole.unflatten(2, (3, 3))
    matrix = 0.5 * (matrix + matrix.mT)
    trace = matrix.diagonal(dim1=2, dim2=3).mean(2)[..., None, None]
    matrix = matrix - trace * torch.eye(3, dtype=torch.float64)
    packed = torch.cat([0.4 * q, 0.15 * u, 0.15 * matrix.flatten(2)], 2)
    return packed[:, :, :components]


def system(
    seed: int, cell: Tensor, components: int, n: int = 40, channels: int = 1
) -> tuple[Tensor, Tensor]:
    """Positions of atoms anywhere, a third of them outside of the cell, and their sources."""
    rng = torch.Generator().manual_seed(seed)
    positions = torch.rand(n, 3, generator=rng, dtype=torch.float64) @ cell
    positions[: n // 3] += cell[0] - 2 * cell[2]
    return positions, sources(rng, n, components, channels)


def mesh(cell: Tensor, components: int, **given: float) -> _core.Solver:
    constants = {"sigma": SIGMA, "dl": DL, "norm": NORM}
    return _core.Solver(
        "mesh", cell, **constants, mesh_moments=COMPONENTS.index(components), **given
    )


def apply(
    solver: _core.Solver, positions: Tensor, s: Tensor, earlier: _core.Fields | None = None
) -> _core.Fields:
    """With as many gradients as forces take."""
    return solver.apply(positions, s, earlier, order=1 + COMPONENTS.index(s.size(2)))


def act_on(s: Tensor, fields: list[Tensor]) -> Tensor:
    """Of fields F [n, C, ...] and their gradients q F + u.grad F + 1/2 Q:grad grad F, [n, ...]."""
    s = s.double()
    shape = fields[0].shape[2:]
    total = torch.einsum("nc,nc...->n...", s[:, :, 0], fields[0].double())
    if s.size(2) > 1:
        total = total + torch.einsum("nca,nc...a->n...", s[:, :, 1:4], fields[1].double())
    if s.size(2) > 4:
        flat = fields[2].double().flatten(-2)
        total = total + 0.5 * torch.einsum("nca,nc...a->n...", s[:, :, 4:], flat)
    assert total.shape == (len(s), *shape)
    return total


def forces(s: Tensor, fields: _core.Fields) -> Tensor:
    return -act_on(s, fields.derivatives[1:])


def plain(positions: Tensor, s: Tensor, cell: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """K s [n, C, M], forces, and the symmetric part of -dE/d(strain) of the plain sum."""
    parameters = LongRangeParameters(SIGMA, DL, NORM, False, 0.0)
    triples = wave_vector_triples(cell, DL)
    r = positions.clone().requires_grad_()
    strain = torch.zeros(3, 3, dtype=torch.float64, requires_grad=True)
    bent = torch.eye(3, dtype=torch.float64) + 0.5 * (strain + strain.T)
    fields = periodic_fields(r @ bent.T, s, cell @ bent.T, triples, parameters)
    by_r, by_strain = torch.autograd.grad(0.5 * (s * fields).sum(), [r, strain])
    return fields.detach(), -by_r, -by_strain


def relative_error(value: Tensor, exact: Tensor) -> float:
    return ((value.double() - exact).norm() / exact.norm()).item()


# relative rms error of forces for 40 atoms in a triclinic cell, by points of the window and spacing
# [A]: charges, and dipoles, and quadrupoles. Of another program with the same windows
ERRORS = {
    (6, 0.80): (1.3e-4, 4e-4, 4e-3),
    (7, 0.80): (2.1e-5, 6e-5, 6e-4),
    (8, 0.80): (3.9e-6, 1e-5, 9e-5),
    (8, 0.66): (8.5e-7, 3e-6, 2e-5),
    (9, 0.80): (4e-7, 2e-6, 1e-5),
    (10, 0.80): (6e-8, 2e-7, 2e-6),
}


@pytest.mark.parametrize("loops", [True, False])
@pytest.mark.parametrize("components", COMPONENTS)
@pytest.mark.parametrize(("order", "spacing"), ERRORS)
def test_errors_of_forces(order: int, spacing: float, components: int, loops: bool) -> None:
    cell = 20 * spacing * TRICLINIC  # 20 points on each axis
    errors = []
    for seed in range(5):
        positions, s = system(seed, cell, components)
        solver = mesh(cell, components, mesh_spacing=spacing, mesh_order=order, mesh_loops=loops)
        found = forces(s, apply(solver, positions, s))
        errors.append(relative_error(found, plain(positions, s, cell)[1]))
    mean = sum(errors) / len(errors)
    assert mean < 2.0 * ERRORS[order, spacing][COMPONENTS.index(components)]


@pytest.mark.parametrize("loops", [True, False])
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
@pytest.mark.parametrize("components", COMPONENTS)
@pytest.mark.parametrize("cell", CELLS)
def test_fields_forces_and_virial(
    cell: str, components: int, dtype: torch.dtype, loops: bool
) -> None:
    box = CELLS[cell]
    positions, s = system(1, box, components, channels=2)
    s = s.to(dtype).double()
    fields, force, virial = plain(positions, s, box)
    solver = mesh(box, components, mesh_spacing=0.6, mesh_order=9, mesh_loops=loops)
    found = apply(solver, positions, s.to(dtype))
    assert len(found.derivatives) == 2 + COMPONENTS.index(components)
    pairs = [
        (found.derivatives[0], fields[:, :, 0]),
        (forces(s, found), force),
        (found.virial, virial),
        (found.atom_virial.sum(0), virial),
    ]
    if components > 1:
        pairs.append((found.derivatives[1], fields[:, :, 1:4]))
    if components > 4:
        pairs.append((0.5 * found.derivatives[2].flatten(-2), fields[:, :, 4:]))
    for value, exact in pairs:
        assert relative_error(value, exact) < (2e-6 if dtype == torch.float64 else 1e-5)
    assert found.derivatives[0].dtype == dtype
    assert found.derivatives[0].is_contiguous()


@pytest.mark.parametrize("loops", [True, False])
@pytest.mark.parametrize("components", COMPONENTS)
@pytest.mark.parametrize("cell", CELLS)
def test_forces_are_the_slope_of_the_energy(cell: str, components: int, loops: bool) -> None:
    """Of this mesh, though it is a coarse one."""
    box = CELLS[cell]
    positions, s = system(2, box, components, n=12)
    solver = mesh(box, components, mesh_spacing=0.85, mesh_order=6, mesh_loops=loops)
    force = forces(s, apply(solver, positions, s))
    exact = plain(positions, s, box)[1]
    assert 1e-5 < relative_error(force, exact) < 3e-2
    for i in range(3):
        for a in range(3):
            energies = []
            for step in (1e-4, -1e-4):
                moved = positions.clone()
                moved[i, a] += step
                energies.append(0.5 * act_on(s, apply(solver, moved, s).derivatives).sum())
            slope = float(energies[1] - energies[0]) / 2e-4
            assert slope == pytest.approx(float(force[i, a]), abs=2e-7 * float(exact.norm()))


# windows of odd order end on planes where the atom is half way between two
BESIDE = [half + d for half in (0.0, 0.4) for d in (0.0, 1e-9, -1e-9, 1e-6, -1e-6)]


@pytest.mark.parametrize("loops", [True, False])
@pytest.mark.parametrize("components", COMPONENTS)
@pytest.mark.parametrize(("order", "spacing"), ERRORS)
def test_atoms_on_planes_of_the_mesh(
    order: int, spacing: float, components: int, loops: bool
) -> None:
    """The error is that of atoms anywhere, and the energy has no jump."""
    cell = 20 * spacing * TRICLINIC
    rng = torch.Generator().manual_seed(5)
    points = torch.randint(0, 20, (40, 3), generator=rng).double()
    s = sources(rng, 40, components)
    solver = mesh(cell, components, mesh_spacing=spacing, mesh_order=order, mesh_loops=loops)
    energies = []
    for beside in BESIDE:
        positions = (points + beside / 0.8) / 20 @ cell
        found = apply(solver, positions, s)
        _, exact, _ = plain(positions, s, cell)
        most = ERRORS[order, spacing][COMPONENTS.index(components)]
        assert relative_error(forces(s, found), exact) < 6.0 * most
        energies.append(0.5 * act_on(s, found.derivatives).sum())
    jumps = [abs(float(e - energies[n])) for n in (0, 5) for e in energies[n + 1 : n + 3]]
    assert max(jumps) < 1e-7 * float(exact.norm())


@pytest.mark.parametrize("components", COMPONENTS)
def test_the_operation_is_symmetric(components: int) -> None:
    positions, one = system(3, CELLS["left-handed"], components, channels=2)
    other = sources(torch.Generator().manual_seed(8), 40, components, 2)
    solver = mesh(CELLS["left-handed"], components, mesh_accuracy=1e-3)
    of_one, of_other = (apply(solver, positions, s).derivatives for s in (one, other))
    work = float(act_on(other, of_one).sum())
    assert abs(work) > 1.0
    assert work == pytest.approx(float(act_on(one, of_other).sum()), rel=1e-11)
    alone = apply(solver, positions, one[:, 1:]).derivatives  # channels do not mix
    for first, both in zip(alone, of_one, strict=True):
        torch.testing.assert_close(first[:, 0], both[:, 1], rtol=0, atol=1e-10)


@pytest.mark.parametrize("fewer", COMPONENTS)
def test_virial_of_two_applications_is_bilinear(fewer: int) -> None:
    """Also where the second sources have fewer components: what a field induces."""
    cell = CELLS["triclinic"]
    positions, one = system(4, cell, 13, channels=2)
    other = torch.zeros_like(one)
    other[:, :, :fewer] = sources(torch.Generator().manual_seed(8), 40, fewer, 2)
    solver = mesh(cell, 13, mesh_accuracy=1e-4)
    of_one, of_other = apply(solver, positions, one), apply(solver, positions, other)
    cross = apply(solver, positions, other, of_one)
    torch.testing.assert_close(cross.derivatives, of_other.derivatives, rtol=0, atol=0)
    back = apply(solver, positions, one, of_other)
    both = apply(solver, positions, one + other)
    for name in ("virial", "atom_virial"):
        mixed = [getattr(f, name) for f in (both, of_one, of_other)]
        expected = mixed[0] - mixed[1] - mixed[2]
        assert expected.abs().max() > 0.1
        found = getattr(cross, name) + getattr(back, name)
        torch.testing.assert_close(found, expected, rtol=0, atol=1e-9)
    torch.testing.assert_close(cross.atom_virial.sum(0), cross.virial, rtol=0, atol=1e-9)
    torch.testing.assert_close(cross.virial, cross.virial.mT, rtol=0, atol=1e-10)


@pytest.mark.parametrize("loops", [True, False])
@pytest.mark.parametrize("components", COMPONENTS)
def test_one_atom_and_none(components: int, loops: bool) -> None:
    cell = CELLS["left-handed"]
    solver = mesh(cell, components, mesh_spacing=0.6, mesh_order=9, mesh_loops=loops)
    positions, s = system(6, cell, components, n=1)
    found = apply(solver, positions, s)
    fields, _, virial = plain(positions, s, cell)
    assert relative_error(found.derivatives[0], fields[:, :, 0]) < 1e-6
    assert relative_error(found.virial, virial) < 1e-6
    assert forces(s, found).norm() < 1e-6 * fields.norm()
    none = apply(solver, positions[:0], s[:0])
    for order, derivative in enumerate(none.derivatives):
        assert derivative.shape == (0, 1, *[3] * order)
    assert none.virial.norm() == 0.0
    empty = apply(solver, positions, s[:, :0])
    assert empty.derivatives[1].shape == (1, 0, 3)


def test_gradients_that_the_virial_needs_are_asked_for() -> None:
    positions, s = system(7, CELLS["triclinic"], 13)
    solver = mesh(CELLS["triclinic"], 13)
    with pytest.raises(RuntimeError, match="up to order 2"):
        solver.apply(positions, s, order=1)
    assert len(solver.apply(positions, s, order=2).derivatives) == 3
    with pytest.raises(RuntimeError, match=r"\[n, C, 13\] were expected"):
        solver.apply(positions, s[:, :, :5], order=2)

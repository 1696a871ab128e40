"""The operation K of the solvers, linear and symmetric, and the long-range sum above it."""

import re

import numpy as np
import pytest
import torch
from torch import Tensor

from lammps_les import _core

CELL = torch.tensor([[9.1, 0.0, 0.0], [2.3, 8.2, 0.0], [-1.7, 3.1, 10.4]], dtype=torch.float64)
CONSTANTS = {"sigma": 1.0, "dl": 1.9, "norm": 90.4756}
KINDS = {"direct": 1e-11, "mesh": 2e-6, "open": 1e-11}  # error of net force and gradients, relative


def solver(kind: str) -> _core.Solver:
    cell = None if kind == "open" else CELL
    return _core.Solver(kind, cell, **CONSTANTS, mesh_accuracy=1e-6)


def atoms(channels: int = 2, n: int = 21) -> tuple[Tensor, Tensor, Tensor]:
    """Positions, and two sets of sources [n, channels, 1]."""
    rng = torch.Generator().manual_seed(4)
    positions = torch.rand(n, 3, generator=rng, dtype=torch.float64) @ CELL
    one, other = torch.randn(2, n, channels, 1, generator=rng, dtype=torch.float64)
    return positions, one, other


@pytest.mark.parametrize("kind", KINDS)
def test_fields_are_linear_and_symmetric_in_the_sources(kind: str) -> None:
    positions, one, other = atoms()
    k = solver(kind)
    of_one, of_other, of_both = (k.apply(positions, s) for s in (one, other, one - 3.0 * other))
    for of_a, of_b, both in zip(
        of_one.derivatives, of_other.derivatives, of_both.derivatives, strict=True
    ):
        torch.testing.assert_close(both, of_a - 3.0 * of_b, rtol=0, atol=1e-10)
    moments = k.moments(positions, one) - 3.0 * k.moments(positions, other)
    torch.testing.assert_close(k.moments(positions, one - 3.0 * other), moments, rtol=0, atol=1e-10)
    work = float((one[:, :, 0] * of_other.derivatives[0]).sum())
    assert abs(work) > 1.0
    assert work == pytest.approx(float((other[:, :, 0] * of_one.derivatives[0]).sum()), rel=1e-12)


@pytest.mark.parametrize("channels", [1, 3])
def test_the_mesh_gives_what_the_direct_sum_gives(channels: int) -> None:
    positions, one, other = atoms(channels)
    mesh, direct = solver("mesh"), solver("direct")
    found, expected = (k.apply(positions, one, k.apply(positions, other)) for k in (mesh, direct))
    pairs = list(zip(found.derivatives, expected.derivatives, strict=True))
    pairs += [(getattr(found, n), getattr(expected, n)) for n in ("virial", "atom_virial")]
    pairs.append((mesh.moments(positions, one), direct.moments(positions, one)))
    for value, right in pairs:
        torch.testing.assert_close(value, right, rtol=0, atol=1e-5 * float(right.abs().max()))


@pytest.mark.parametrize("kind", KINDS)
def test_channels_do_not_mix(kind: str) -> None:
    positions, one, _ = atoms()
    k = solver(kind)
    for c in range(2):
        alone = k.apply(positions, one[:, c : c + 1])
        both = k.apply(positions, one)
        for of_c, of_both in zip(alone.derivatives, both.derivatives, strict=True):
            torch.testing.assert_close(of_c[:, 0], of_both[:, c], rtol=0, atol=1e-11)


@pytest.mark.parametrize("kind", KINDS)
def test_gradients_are_slopes_of_the_fields(kind: str) -> None:
    """Of the energy <one, K other>, as the atom moves that has a source in `one` alone."""
    positions, one, other = atoms()
    k = solver(kind)
    one[1:], other[0] = 0.0, 0.0
    gradient = k.apply(positions, other).derivatives[1]
    slope = torch.zeros(3, dtype=torch.float64)
    for a in range(3):
        for step in (1e-5, -1e-5):
            moved = positions.clone()
            moved[0, a] += step
            potential = k.apply(moved, other).derivatives[0]
            slope[a] += (one[:, :, 0] * potential).sum() / (2 * step)
    expected = (one * gradient).sum((0, 1))
    torch.testing.assert_close(slope, expected, rtol=0, atol=1e-7 * float(expected.norm()))


@pytest.mark.parametrize("kind", KINDS)
def test_virial_of_two_applications_is_bilinear(kind: str) -> None:
    """What sources that respond to a field need: |S + S'|^2 has a cross term."""
    positions, one, other = atoms()
    k = solver(kind)
    of_one, of_other = k.apply(positions, one), k.apply(positions, other)
    cross = k.apply(positions, other, of_one)
    torch.testing.assert_close(cross.derivatives, of_other.derivatives, rtol=0, atol=0)
    for name in ("virial", "atom_virial"):
        back = getattr(k.apply(positions, one, of_other), name)
        expected = getattr(k.apply(positions, one + other), name)
        expected = expected - getattr(of_one, name) - getattr(of_other, name)
        assert expected.abs().max() > 0.1
        torch.testing.assert_close(getattr(cross, name) + back, expected, rtol=0, atol=1e-10)
    torch.testing.assert_close(cross.atom_virial.sum(0), cross.virial, rtol=0, atol=1e-10)


@pytest.mark.parametrize("kind", KINDS)
def test_moments_of_other_sources_are_refused_by_name(kind: str) -> None:
    positions, one, _ = atoms()
    for components, name in ((4, r"charges and dipoles\)"), (13, "dipoles and quadrupoles")):
        with pytest.raises(RuntimeError, match=f"{name}.* not implemented"):
            solver(kind).moments(positions, one.expand(-1, -1, components))


@pytest.mark.parametrize("method", ["direct", "mesh", "open"])
def test_forces_of_the_long_range_sum(method: str) -> None:
    """They are the slope of the energy, and add up to zero; no solver leaves a net force."""
    positions, one, _ = atoms()
    periodic = method != "open"
    total = _core.LongRangeSum(
        **CONSTANTS, remove_self=not periodic, method=method if periodic else "auto"
    )
    total.choose([periodic] * 3, CELL, len(positions))
    result = total.compute(positions, one[:, :, 0], CELL)
    assert result["forces"].sum(0).abs().max() < 1e-10
    energies = []
    for step in (1e-5, -1e-5):
        moved = positions.clone()
        moved[3, 1] += step
        energies.append(float(total.compute(moved, one[:, :, 0], CELL)["energy"].sum()))
    slope = (energies[1] - energies[0]) / 2e-5
    scale = float(result["forces"].square().mean().sqrt())
    assert slope == pytest.approx(float(result["forces"][3, 1]), abs=1e-5 * scale)
    # with its self term either way
    work = float((result["potential"] * one[:, :, 0]).sum())
    assert work == pytest.approx(2 * float(result["energy"].sum()), rel=1e-12)
    assert total.is_mesh() == (method == "mesh")


def test_choice_of_the_solver() -> None:
    cube = torch.eye(3, dtype=torch.float64)
    total = _core.LongRangeSum(**CONSTANTS, remove_self=True)
    assert "takes the direct sum" in total.choose([True] * 3, 8.0 * cube, 50)
    assert "takes the mesh" in total.choose([True] * 3, 60.0 * cube, 20000)
    assert total.choose([False] * 3, cube, 20000) == ""
    mesh = _core.LongRangeSum(**CONSTANTS, remove_self=True, method="mesh")
    with pytest.raises(RuntimeError, match="kspace mesh is for periodic systems"):
        mesh.choose([False] * 3, cube, 20000)


def test_a_mesh_with_other_numbers_of_points_along_each_axis() -> None:
    cell = torch.tensor([[9.1, 0.0, 0.0], [2.3, 14.2, 0.0], [-1.7, 3.1, 19.4]], dtype=torch.float64)
    positions, one, _ = atoms(1)
    positions = positions @ torch.linalg.inv(CELL) @ cell
    total = _core.LongRangeSum(
        **CONSTANTS, remove_self=True, method="mesh", spacing=0.6, order=6, mesh_error="no"
    )
    total.choose([True] * 3, cell, len(positions))
    found = total.compute(positions, one[:, :, 0], cell)
    (sizes,) = re.findall(r"mesh (\d+) x (\d+) x (\d+)", total.description())
    assert len(set(sizes)) == 3
    exact = _core.long_range(positions, one[:, :, 0], cell, **CONSTANTS, remove_self=True)
    for name in ("forces", "virial"):
        right = exact[name]
        torch.testing.assert_close(found[name], right, rtol=0, atol=1e-4 * float(right.abs().max()))


def test_measured_once_while_the_cell_is_the_same() -> None:
    positions, one, _ = atoms()
    total = _core.LongRangeSum(**CONSTANTS, remove_self=True, method="mesh")
    measured = []
    for stretch, forget in ((1.0, False), (1.001, False), (1.02, False), (1.02, True)):
        if forget:
            total.forget_mesh()
        total.choose([True] * 3, stretch * CELL, len(positions))
        assert not total.is_set_up()
        result = total.compute(stretch * positions, one[:, :, 0], stretch * CELL)
        assert total.is_set_up()
        measured.append(result["measured"] is not None)
    assert measured == [True, False, True, True]


def test_fields_and_shares_of_no_atoms_and_of_no_channels() -> None:
    positions, one, _ = atoms()
    for kind in KINDS:
        none = solver(kind).apply(positions[:0], one[:0])
        assert [d.shape for d in none.derivatives] == [(0, 2), (0, 2, 3)]
        none = solver(kind).apply(positions, one[:, :0])
        assert none.derivatives[0].shape == (len(positions), 0)
        np.testing.assert_array_equal(none.virial.numpy(), np.zeros((3, 3)))

"""The window of the mesh: as good for atoms on the planes of the mesh as for any others."""

import pytest
import torch

from lammps_les import _core

POINTS, SPACING = 16, 0.8  # of the mesh on each axis, A
CONSTANTS = {"sigma": 1.0, "dl": 2.0, "norm": 90.4756, "remove_self": True}
# relative rms error of forces of atoms anywhere, at this spacing
ERRORS = {5: 2e-3, 6: 3e-4, 7: 5e-5, 8: 1e-5, 9: 1.5e-6, 10: 3e-7}
# A from a plane; windows of odd order end on planes where the atom is half way between two
BESIDE = [half + d for half in (0.0, 0.5 * SPACING) for d in (0.0, 1e-9, -1e-9, 1e-6, -1e-6)]
SHAPES = {
    "cubic": torch.eye(3),
    # edges of one length each, so that all three have the points of the cubic cell
    "triclinic": torch.tensor([[1.0, 0.0, 0.0], [0.28, 0.96, 0.0], [-0.28, 0.0, 0.96]]),
}


def on_planes(shape: str, beside: float) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Atoms on points of the mesh, all three axes, `beside` A off; positions, charges, cell."""
    rng = torch.Generator().manual_seed(5)
    cell = POINTS * SPACING * SHAPES[shape].double()
    points = torch.randint(0, POINTS, (40, 3), generator=rng).double()
    charges = torch.randn(40, 1, generator=rng, dtype=torch.float64)
    return (points + beside / SPACING) / POINTS @ cell, charges, cell


def mesh_sum(
    positions: torch.Tensor,
    charges: torch.Tensor,
    cell: torch.Tensor,
    order: int,
    loops: bool,
    spacing: float = SPACING,
    reference: bool = False,
) -> dict[str, torch.Tensor]:
    mesh = {"mesh_accuracy": 1e-5, "mesh_spacing": spacing, "mesh_order": order}
    mesh["mesh_reference"] = reference
    return _core.long_range(positions, charges, cell, **CONSTANTS, **mesh, mesh_loops=loops)


def relative_error(value: torch.Tensor, exact: torch.Tensor) -> float:
    return ((value.double() - exact).norm() / exact.norm()).item()


@pytest.mark.parametrize("loops", [True, False])
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("order", ERRORS)
def test_atoms_on_and_beside_planes(
    order: int, shape: str, dtype: torch.dtype, loops: bool
) -> None:
    for beside in BESIDE:
        positions, charges, cell = on_planes(shape, beside)
        exact = _core.long_range(positions, charges, cell, **CONSTANTS)
        result = mesh_sum(positions, charges.to(dtype), cell, order, loops)
        bound = ERRORS[order] + (2e-6 if dtype == torch.float32 else 0.0)
        assert relative_error(result["forces"], exact["forces"]) < bound
        assert relative_error(result["potential"], exact["potential"]) < bound


@pytest.mark.parametrize("loops", [True, False])
@pytest.mark.parametrize("order", ERRORS)
def test_forces_are_the_slope_of_the_energy_where_a_window_ends(order: int, loops: bool) -> None:
    """But for one vector, the same for all atoms, that keeps the momentum."""
    positions, charges, cell = on_planes("triclinic", 0.5 * SPACING * (order % 2))
    forces = mesh_sum(positions, charges, cell, order, loops)["forces"]
    step, left = 1e-5, torch.zeros(3, 3, dtype=torch.float64)
    for i in range(3):
        for a in range(3):
            energies = []
            for sign in (1, -1):
                moved = positions.clone()
                moved[i, a] += sign * step
                energies.append(mesh_sum(moved, charges, cell, order, loops)["energy"].sum())
            left[i, a] = (energies[1] - energies[0]) / (2 * step) - forces[i, a]
    scale = forces.square().mean().sqrt()
    assert left.abs().max() < ERRORS[order] * scale
    assert (left - left[0]).abs().max() < 1e-7 * scale


@pytest.mark.parametrize("order", ERRORS)
def test_finer_meshes_are_better_to_the_last_digits(order: int) -> None:
    """The transform that divides the spectrum is that of the very window that spreads."""
    positions, charges, cell = on_planes("triclinic", 0.3)
    exact = _core.long_range(positions, charges, cell, **CONSTANTS)["forces"]
    errors = [
        relative_error(mesh_sum(positions, charges, cell, order, True, spacing)["forces"], exact)
        for spacing in (0.8, 0.5)
    ]
    assert errors[1] < 0.25 * errors[0]


@pytest.mark.parametrize("vacuum", [1, 5])
@pytest.mark.parametrize("spacing", [0.95, 0.8, 0.6])
@pytest.mark.parametrize("order", ERRORS)
def test_the_reference_mesh_is_ten_times_more_accurate(
    order: int, spacing: float, vacuum: int
) -> None:
    positions, charges, cell = on_planes("triclinic", 0.3)
    cell[2] *= vacuum
    exact = _core.long_range(positions, charges, cell, **CONSTANTS)
    mesh, reference = (
        mesh_sum(positions, charges, cell, order, True, spacing, finer) for finer in (False, True)
    )
    for name in ("forces", "potential"):
        error = relative_error(mesh[name], exact[name])
        assert relative_error(reference[name], exact[name]) < 0.1 * error
        # so that the error measured is right within a tenth
        measured = relative_error(mesh[name], reference[name])
        assert measured == pytest.approx(error, rel=0.1)

"""Edges selected on the device from a list that holds the skin, as on a GPU: same results."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from ase import Atoms
from lmp import Run, run

from lammps_les import _core

STYLES = {"step": "edges step", "rebuild": "edges rebuild gpu_aware no"}


def assert_same(result: Run, reference: Run) -> None:
    assert result.energy == pytest.approx(reference.energy, rel=1e-9)
    for name, column in reference.columns.items():
        scale = np.abs(column).max()
        np.testing.assert_allclose(result.columns[name], column, rtol=0, atol=1e-9 * scale)
    np.testing.assert_allclose(result.stress, reference.stress, rtol=0, atol=1e-12)


@pytest.mark.parametrize("ranks", [1, 2, 4])
@pytest.mark.parametrize("form", ["local", "phase"])
@pytest.mark.parametrize("name", ["linear", "two_layers", "three_layers", "shipped"])
def test_as_edges_of_each_step(
    name: str,
    form: str,
    ranks: int,
    water: Callable[..., Atoms],
    toy_model: Callable[..., Path],
    shipped: Callable[..., Path],
    tmp_path: Path,
) -> None:
    """Over neighbor rebuilds and steps between them, with per-atom energies and virials."""
    atoms = water(4)
    atoms.set_cell(atoms.cell.array + 0.4 * np.eye(3, k=-1), scale_atoms=True)
    commands = [
        "compute e all pe/atom",
        "compute w all stress/atom NULL virial",
        "compute sums all reduce sum c_e c_w[1] c_w[6]",
        "neighbor 1.0 bin",
        "neigh_modify every 5 delay 0 check no",
        "velocity all create 300.0 5",
        "timestep 0.0005",
        "fix f all efield/bec 0.1 0.0 0.3",
        "fix 1 all nve",
        "thermo 13",
        "thermo_style custom step pe c_sums[*]",
        "run 13",
        *(f'print "VALUE sum{k} $(c_sums[{k}]:%.17g)"' for k in (1, 2, 3)),
    ]
    results = {
        edges: run(
            tmp_path / edges,
            atoms,
            shipped() if name == "shipped" else toy_model(name),
            ranks=ranks,
            style=f"bec {form} {style}",
            commands=commands,
        )
        for edges, style in STYLES.items()
    }
    assert_same(results["rebuild"], results["step"])
    for k in (1, 2, 3):
        value, reference = (results[e].values[f"sum{k}"] for e in ("rebuild", "step"))
        assert value == pytest.approx(reference, rel=1e-9)


@pytest.mark.parametrize("ranks", [1, 2])
def test_atoms_that_get_more_neighbors_than_their_rows_have_places(
    ranks: int, water: Callable[..., Atoms], shipped: Callable[..., Path], tmp_path: Path
) -> None:
    """A drop that shrinks by a tenth in each step, within one neighbor list and before it."""
    atoms = water(3)
    atoms.pbc, atoms.cell = False, None
    atoms.positions -= atoms.positions.mean(axis=0)
    commands = [
        "neighbor 4.0 bin",
        "neigh_modify every 1000 delay 0 check no",
        *(f"variable v{x} atom -1e5*{x}" for x in "xyz"),  # a tenth of the way to the middle
        "velocity all set v_vx v_vy v_vz",
        "timestep 1e-6",
        "fix 1 all nve",
        "run 3",
    ]
    results = {
        edges: run(tmp_path / edges, atoms, shipped(), ranks=ranks, style=style, commands=commands)
        for edges, style in STYLES.items()
    }
    assert_same(results["rebuild"], results["step"])

    def most(positions: np.ndarray) -> int:
        return (np.linalg.norm(positions[:, None] - positions, axis=2) < 4.5).sum(axis=1).max() - 1

    # the rows were made for the first, with room for 4 and the rest of 8
    assert most(results["step"].vectors("")) > most(atoms.positions) + 12


@pytest.mark.parametrize("ranks", [1, 2])
def test_published_two_layer_model(
    ranks: int, water: Callable[..., Atoms], published: Callable[..., Path], tmp_path: Path
) -> None:
    """Images of an atom on its own rank are one row of the network."""
    atoms, model = water(3), published("cace-lr_water_4channels_mp1")
    results = [
        run(tmp_path / edges, atoms, model, ranks=ranks, style=style, channels=4)
        for edges, style in STYLES.items()
    ]
    assert_same(results[1], results[0])


@pytest.mark.parametrize("order", range(5, 11))
def test_mesh_by_tensor_operations(order: int) -> None:
    """Spreading and interpolation as on a GPU, against the loops of the CPU."""
    rng = torch.Generator().manual_seed(3)
    cell = torch.tensor([[11.0, 0.0, 0.0], [2.0, 12.0, 0.0], [-1.0, 3.0, 13.0]]).double()
    positions = torch.rand(50, 3, generator=rng, dtype=torch.float64) @ cell
    charges = torch.randn(50, 2, generator=rng, dtype=torch.float64)
    settings = {"sigma": 1.0, "dl": 2.0, "norm": 90.5, "remove_self": True, "atom_virial": True}
    mesh = {"mesh_accuracy": 1e-4, "mesh_spacing": 0.6, "mesh_order": order}
    loops, tensors = (
        _core.long_range(positions, charges, cell, **settings, **mesh, mesh_loops=mesh_loops)
        for mesh_loops in (True, False)
    )
    for name, values in loops.items():
        assert values.abs().max() > 1e-3
        torch.testing.assert_close(tensors[name], values, rtol=1e-10, atol=1e-10)
    for impossible in (4, 11):
        with pytest.raises(RuntimeError, match="expected 5 to 10"):
            _core.long_range(
                positions, charges, cell, **settings, **mesh | {"mesh_order": impossible}
            )


@pytest.mark.parametrize("response", ["full", "field"])
@pytest.mark.parametrize("edges", STYLES)
@pytest.mark.parametrize("name", ["linear", "two_layers"])
def test_empty_ranks_in_a_field(
    name: str,
    edges: str,
    response: str,
    water: Callable[..., Atoms],
    toy_model: Callable[..., Path],
    tmp_path: Path,
) -> None:
    """A slice of vacuum leaves two of four ranks without atoms, edges and charges."""
    atoms = water(2)
    atoms.set_cell(atoms.cell.array * np.array([[1.0], [1.0], [8.0]]))
    one, four = (
        run(
            tmp_path / str(ranks),
            atoms,
            toy_model(name),
            ranks=ranks,
            before=["processors 1 1 4"] if ranks == 4 else [],
            style=STYLES[edges],
            commands=[f"fix f all efield/bec 0.1 0.0 0.3 response {response}", "run 0"],
        )
        for ranks in (1, 4)
    )
    assert "0 min" in next(line for line in four.log.splitlines() if line.startswith("Nlocal:"))
    assert_same(four, one)

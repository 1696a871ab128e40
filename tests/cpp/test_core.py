"""The C++ solvers and the evaluator, against the plain Python sums."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from lammps_les import _core
from lammps_les.electrostatics import (
    Latents,
    LongRangeParameters,
    long_range_derivatives,
    long_range_response,
)

CELLS = {
    "cubic": np.diag([9.0, 9.0, 9.0]),
    "long": np.diag([4.0, 7.0, 23.0]),  # edges that are multiples of dl put a shell on the cutoff
    "triclinic": np.array([[9.1, 0.0, 0.0], [2.3, 8.2, 0.0], [-1.7, 3.1, 10.4]]),
    "left-handed": np.array([[2.3, 8.2, 0.4], [9.1, -0.3, 0.2], [-1.7, 3.1, 10.4]]),
    "open": None,
}


def system(
    cell: np.ndarray | None, channels: int, n: int = 23
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor | None]:
    rng = np.random.default_rng(7)
    spread = cell if cell is not None else np.diag([8.0, 8.0, 8.0])
    positions = rng.uniform(-0.5, 1.5, (n, 3)) @ spread  # some outside the cell
    charges = rng.normal(0.2, 1.0, (n, channels))
    lattice = None if cell is None else torch.tensor(cell)
    return torch.tensor(positions), torch.tensor(charges), lattice


@pytest.mark.parametrize("remove_self", [True, False])
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("shape", CELLS)
def test_long_range(shape: str, channels: int, remove_self: bool) -> None:
    positions, charges, cell = system(CELLS[shape], channels)
    constants = {
        "sigma": 0.9,
        "dl": 1.0 if shape == "long" else 1.7,
        "norm": 3.3,
        "remove_self": remove_self,
        "self_factor": 2.0,
        "open_shift": 0.01,
    }
    result = _core.long_range(positions, charges, cell, **constants, atom_virial=True)
    lattice = torch.zeros(3, 3, dtype=torch.float64) if cell is None else cell
    arguments = (
        positions,
        Latents(charges),
        lattice,
        cell is not None,
        LongRangeParameters(**constants),
    )
    response, reference = long_range_response(*arguments), long_range_derivatives(*arguments)
    for mine, theirs in (
        ("energy", response.energies),
        ("potential", response.potential),
        ("forces", reference.forces),
    ):
        torch.testing.assert_close(result[mine], theirs, rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(result["virial"], reference.virial, rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(
        result["atom_virial"].sum(0), result["virial"], rtol=1e-12, atol=1e-12
    )


def test_float32_charges() -> None:
    positions, charges, cell = system(CELLS["triclinic"], 1)
    constants = {"sigma": 1.0, "dl": 2.0, "norm": 1.0, "remove_self": True}
    double = _core.long_range(positions, charges, cell, **constants)
    single = _core.long_range(positions, charges.float(), cell, **constants)
    assert single["potential"].dtype == torch.float32
    for name in ("energy", "potential", "forces"):
        scale = double[name].abs().max()
        torch.testing.assert_close(
            single[name].double() / scale, double[name] / scale, rtol=0, atol=2e-6
        )


def test_tiles_do_not_matter() -> None:
    """More atoms than one tile holds, in another order."""
    positions, charges, cell = system(np.diag([30.0, 30.0, 30.0]), 1, n=1500)
    constants = {"sigma": 1.0, "dl": 2.0, "norm": 1.0, "remove_self": False}
    whole = _core.long_range(positions, charges, cell, **constants)
    order = torch.randperm(1500, generator=torch.Generator().manual_seed(0))
    shuffled = _core.long_range(positions[order], charges[order], cell, **constants)
    torch.testing.assert_close(shuffled["forces"], whole["forces"][order], rtol=0, atol=1e-12)
    torch.testing.assert_close(shuffled["virial"], whole["virial"], rtol=1e-11, atol=1e-11)


def test_no_atoms() -> None:
    empty = torch.zeros(0, 3, dtype=torch.float64)
    constants = {"sigma": 1.0, "dl": 2.0, "norm": 1.0, "remove_self": True}
    for cell in (torch.eye(3, dtype=torch.float64) * 8, None):
        result = _core.long_range(empty, empty[:, :1], cell, **constants)
        assert result["forces"].shape == (0, 3)
        assert float(result["virial"].abs().sum()) == 0.0


@pytest.mark.parametrize("form", ["local", "phase"])
@pytest.mark.parametrize(
    "name",
    [
        "linear",
        "two_channels",
        "two_layers",
        "three_layers",
        "total_charge",
        "total_charge_two_layers",
        "deep",
        "wrapped",
    ],
)
@pytest.mark.parametrize("periodic", [True, False])
def test_calculator_through_core_agrees_with_forward(
    periodic: bool, name: str, form: str, toy_model: Callable[..., Path]
) -> None:
    """The calculator goes through the C++ core, `forward` through the plain Python sums."""
    from ase import Atoms

    from lammps_les.calculators import LesCalculator
    from lammps_les.data.neighbors import neighbor_list
    from lammps_les.model_file import load_model

    rng = np.random.default_rng(5)
    cell = CELLS["triclinic"] * 0.7
    atoms = Atoms("OH2" * 6, scaled_positions=rng.uniform(0, 1, (18, 3)), cell=cell, pbc=periodic)
    calculator = LesCalculator(toy_model(name), bec=form, multichannel_bec=True)
    atoms.calc = calculator
    species = torch.tensor([calculator.metadata.network.species.index(s) for s in atoms.symbols])
    edge_index, shifts = neighbor_list(
        atoms.positions, cell, periodic, calculator.metadata.network.cutoff
    )
    pbc = torch.tensor([periodic] * 3)
    reference = load_model(toy_model(name))[0].forward(
        torch.tensor(atoms.positions),
        species,
        torch.tensor(cell),
        pbc,
        edge_index,
        shifts,
        True,
        form,
    )
    calculator.calculate(atoms, ["energy", "forces", "stress", "born_effective_charges"])
    mine = calculator.results
    assert mine["energy"] == pytest.approx(float(reference["energy"]), rel=1e-12)
    np.testing.assert_allclose(mine["forces"], reference["forces"].numpy(), rtol=0, atol=1e-10)
    np.testing.assert_allclose(
        mine["born_effective_charges"], reference["bec"].numpy(), rtol=0, atol=1e-10
    )


def test_wrong_input_is_refused() -> None:
    positions, charges, cell = system(CELLS["cubic"], 1)
    constants = {"sigma": 1.0, "dl": 2.0, "norm": 1.0, "remove_self": True}
    got = r"positions: expected Double \[n, 3\] on cpu, got Float \[23, 3\] on cpu"
    with pytest.raises(ValueError, match=got):
        _core.long_range(positions.float(), charges, cell, **constants)
    got = r"charges: expected Double or Float \[23, n\] on cpu, got Double \[22, 1\] on cpu"
    with pytest.raises(ValueError, match=got):
        _core.long_range(positions, charges[:-1], cell, **constants)

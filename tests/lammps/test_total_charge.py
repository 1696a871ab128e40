"""Models whose charges are shifted to a fixed sum, in LAMMPS and by `forward` of the model file."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from ase import Atoms
from lmp import run

from lammps_les.data.neighbors import neighbor_list
from lammps_les.model_file import load_model


@pytest.mark.parametrize("form", ["local", "phase"])
@pytest.mark.parametrize("periodic", [True, False])
@pytest.mark.parametrize("name", ["total_charge", "total_charge_two_layers"])
def test_as_the_model_file_itself(
    name: str,
    periodic: bool,
    form: str,
    water: Callable[..., Atoms],
    toy_model: Callable[..., Path],
    tmp_path: Path,
) -> None:
    atoms = water(3)
    if not periodic:
        atoms.pbc, atoms.cell = False, None
    module, metadata = load_model(toy_model(name))
    kinds = torch.tensor([metadata.network.species.index(s) for s in atoms.symbols])
    positions, cell = torch.tensor(atoms.positions), torch.tensor(atoms.cell.array)
    edges = neighbor_list(atoms.positions, atoms.cell.array, periodic, metadata.network.cutoff)
    expected = module(
        positions, kinds, cell, torch.full((3,), periodic), edges[0], edges[1], True, form
    )
    for ranks in (1, 2):
        found = run(tmp_path / str(ranks), atoms, toy_model(name), ranks=ranks, style=f"bec {form}")
        charges = found.columns["q0"]
        assert charges.sum() == pytest.approx(metadata.charges.total, abs=1e-10)
        in_e = metadata.charges.unit * metadata.charges.sign[0] * expected["charge"][:, 0].numpy()
        np.testing.assert_allclose(charges, in_e, rtol=0, atol=1e-10)
        assert found.energy == pytest.approx(float(expected["energy"]), abs=1e-8)
        np.testing.assert_allclose(found.forces, expected["forces"].numpy(), rtol=0, atol=1e-9)
        np.testing.assert_allclose(found.bec, expected["bec"].numpy(), rtol=0, atol=1e-9)

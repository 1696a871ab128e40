"""Structures and model files for runs of LAMMPS."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from ase import Atoms
from ase.build import molecule
from generate import changed, imported_metadata, toy_metadata

from lammps_les.models import CaceConfig, CaceNetwork, MessageConfig, RepresentationConfig
from lammps_les_export import write_model
from lammps_les_export.adapters import read_checkpoint


@pytest.fixture
def water() -> Callable[..., Atoms]:
    """Boxes of randomly turned molecules on a lattice: n^3 of them, `spacing` A apart."""

    def box(n: int = 4, spacing: float = 3.1, seed: int = 0) -> Atoms:
        rng = np.random.default_rng(seed)
        atoms = Atoms(cell=[n * spacing] * 3, pbc=True)
        for cell in np.ndindex(n, n, n):
            one = molecule("H2O")
            one.euler_rotate(*rng.uniform(0.0, 360.0, 3))
            one.translate((np.array(cell) + 0.5) * spacing - one.get_center_of_mass())
            atoms += one
        atoms.positions += rng.normal(0.0, 0.03, (len(atoms), 3))
        return atoms

    return box


@pytest.fixture(scope="session")
def published(shared: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """Model file of a published checkpoint by name, sign of the charges as in the checkpoint."""
    folder = tmp_path_factory.mktemp("published")

    def path(name: str, dtype: str = "float64") -> Path:
        target = folder / f"{name}-{dtype}.pt"
        if not target.exists():
            (checkpoint,) = (shared / "checkpoints").glob(f"{name}.[pmc]*")
            imported = read_checkpoint(checkpoint)
            write_model(target, imported.network, imported_metadata(imported, dtype))
        return target

    return path


@pytest.fixture(scope="session")
def shipped(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """Model file of the water model that ships, by dtype."""
    from lammps_les import pretrained

    folder = tmp_path_factory.mktemp("shipped")

    def path(dtype: str = "float64") -> Path:
        target = folder / f"{dtype}.pt"
        if not target.exists():
            network, metadata = pretrained.load("water_rpbe-d3")
            write_model(target, network, changed(metadata.model_dump(), dtype=dtype))
        return target

    return path


@pytest.fixture(scope="session")
def two_layer_cace(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """Model file, by dtype, of a network of two layers with all kinds of messages, untrained."""
    folder = tmp_path_factory.mktemp("two_layer_cace")

    def path(dtype: str = "float64") -> Path:
        target = folder / f"{dtype}.pt"
        if not target.exists():
            torch.manual_seed(4)
            message = MessageConfig(attenuated=True, per_l=True)
            representation = RepresentationConfig(
                cutoff=3.0, n_bessel=3, n_radial=4, max_l=2, layers=2, messages=(message,)
            )
            network = CaceNetwork(CaceConfig(("H", "O"), representation=representation))
            write_model(target, network, toy_metadata(network, dtype))
        return target

    return path

"""Models that come with the package: one folder each, with weights, configuration and a README."""

from pathlib import Path

from lammps_les.model_file import Metadata
from lammps_les.models import Chain
from lammps_les.pretrained.folder import (
    CONFIG,
    WEIGHTS,
    OtherWeights,
    load_folder,
    save_folder,
    trained_total_charges,
)

__all__ = [
    "CONFIG",
    "WEIGHTS",
    "OtherWeights",
    "folder",
    "load",
    "load_folder",
    "names",
    "save_folder",
    "trained_total_charges",
]

_HERE = Path(__file__).parent


def names() -> list[str]:
    """Names of the models that come with the package."""
    return sorted(path.parent.name for path in _HERE.glob("*/config.json"))


def folder(name: str) -> Path:
    """Folder of a model that comes with the package.

    Raises:
        ValueError: there is no such model; says which there are.
    """
    if name not in names():
        raise ValueError(f"no pretrained model '{name}'; there are: {', '.join(names())}")
    return _HERE / name


def load(name: str) -> tuple[Chain, Metadata]:
    """Network and metadata of a model that comes with the package, ready for ``write_model``.

    Raises:
        ValueError: there is no such model; says which there are.
    """
    return load_folder(folder(name))

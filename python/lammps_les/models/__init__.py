"""Short-range networks that also predict latent charges."""

from lammps_les.models.config import (
    MessageConfig,
    NetworkConfig,
    ReadoutConfig,
    RepresentationConfig,
)
from lammps_les.models.network import LesNetwork
from lammps_les.models.representation import CaceRepresentation

__all__ = [
    "CaceRepresentation",
    "LesNetwork",
    "MessageConfig",
    "NetworkConfig",
    "ReadoutConfig",
    "RepresentationConfig",
]

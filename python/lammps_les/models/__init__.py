"""Short-range networks that also predict latent charges.

They run as TorchScript, which makes a slice of every ``:`` in an index, also of one that takes
everything; its derivative fills a tensor with zeros and copies into it. So where large
gradients pass, they are written with ``unsqueeze``, ``split`` and ``unbind``.
"""

from lammps_les.models.chain import Chain
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
    "Chain",
    "LesNetwork",
    "MessageConfig",
    "NetworkConfig",
    "ReadoutConfig",
    "RepresentationConfig",
]

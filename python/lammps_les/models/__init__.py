"""Short-range networks that also predict latent charges.

They run as TorchScript, which makes a slice of every ``:`` in an index, also of one that takes
everything; its derivative fills a tensor with zeros and copies into it. So where large
gradients pass, they are written with ``unsqueeze``, ``split`` and ``unbind``.
"""

from lammps_les.models.allegro.config import AllegroConfig
from lammps_les.models.allegro.network import AllegroNetwork
from lammps_les.models.cace.config import (
    CaceConfig,
    MessageConfig,
    ReadoutConfig,
    RepresentationConfig,
)
from lammps_les.models.cace.network import CaceNetwork
from lammps_les.models.cace.representation import CaceRepresentation
from lammps_les.models.chain import Chain
from lammps_les.models.kinds import (
    KINDS,
    NetworkConfig,
    build_network,
    default_config,
    network_of,
    with_charges,
)
from lammps_les.models.mace.config import MaceConfig
from lammps_les.models.mace.network import MaceNetwork
from lammps_les.models.nequip.config import NequipConfig
from lammps_les.models.nequip.network import NequipNetwork

__all__ = [
    "KINDS",
    "network_of",
    "with_charges",
    "default_config",
    "build_network",
    "NetworkConfig",
    "MaceConfig",
    "MaceNetwork",
    "AllegroConfig",
    "AllegroNetwork",
    "CaceRepresentation",
    "Chain",
    "CaceNetwork",
    "MessageConfig",
    "CaceConfig",
    "NequipConfig",
    "NequipNetwork",
    "ReadoutConfig",
    "RepresentationConfig",
]

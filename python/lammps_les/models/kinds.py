"""Kinds of networks, by their names in files."""

from collections.abc import Callable, Mapping
from typing import Any

from pydantic import TypeAdapter

from lammps_les.models.allegro.config import AllegroConfig
from lammps_les.models.allegro.network import AllegroNetwork
from lammps_les.models.cace.config import CaceConfig
from lammps_les.models.cace.network import CaceNetwork
from lammps_les.models.chain import Chain
from lammps_les.models.mace.config import MaceConfig
from lammps_les.models.mace.network import MaceNetwork
from lammps_les.models.nequip.config import NequipConfig
from lammps_les.models.nequip.network import NequipNetwork

KINDS: dict[str, tuple[type[Any], Callable[[Any], Chain]]] = {
    "cace": (CaceConfig, CaceNetwork),
    "mace": (MaceConfig, MaceNetwork),
    "nequip": (NequipConfig, NequipNetwork),
    "allegro": (AllegroConfig, AllegroNetwork),
}
"""By ``network.kind``: the description of ``network.config``, and what is built from it."""


def network_of(kind: Any, config: Mapping[str, Any]) -> Chain:
    """A network, with weights of no meaning yet, from the metadata that describe it.

    Args:
        kind: ``network.kind`` of the metadata.
        config: ``network.config``.

    Raises:
        ValueError: a kind that is not known here, or no configuration of one; pydantic's
            ValidationError, which is one, names the key.
    """
    if kind not in KINDS:
        raise ValueError(f"expected one of the kinds {', '.join(KINDS)}, got {kind!r}")
    description, network = KINDS[kind]
    return network(TypeAdapter(description).validate_python(config))

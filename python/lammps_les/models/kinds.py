"""Kinds of networks: what may stand in a configuration, and what is built from it."""

from collections.abc import Mapping
from dataclasses import fields, replace
from typing import Annotated, Any

import torch
from pydantic import Discriminator, Tag, TypeAdapter
from torch.overrides import TorchFunctionMode

from lammps_les.models.allegro.config import AllegroConfig
from lammps_les.models.allegro.network import AllegroNetwork
from lammps_les.models.cace.config import CaceConfig
from lammps_les.models.cace.network import CaceNetwork
from lammps_les.models.chain import Chain
from lammps_les.models.mace.config import MaceConfig
from lammps_les.models.mace.network import MaceNetwork
from lammps_les.models.nequip.config import NequipConfig
from lammps_les.models.nequip.network import NequipNetwork

_NETWORKS: dict[type[Any], Any] = {
    CaceConfig: CaceNetwork,
    MaceConfig: MaceNetwork,
    NequipConfig: NequipNetwork,
    AllegroConfig: AllegroNetwork,
}
_CONFIGS = {config.kind: config for config in _NETWORKS}
KINDS = tuple(_CONFIGS)
"""Names of the kinds, as in files; the first is the default."""
MOST_WEIGHTS = 50_000_000
"""Of a network; the largest of those published have some ten million."""


def _kind(config: Any) -> Any:
    if isinstance(config, Mapping):
        return config.get("kind", KINDS[0])
    return getattr(config, "kind", None)


NetworkConfig = Annotated[
    Annotated[CaceConfig, Tag("cace")]
    | Annotated[MaceConfig, Tag("mace")]
    | Annotated[NequipConfig, Tag("nequip")]
    | Annotated[AllegroConfig, Tag("allegro")],
    Discriminator(
        _kind,
        custom_error_type="network_kind",
        custom_error_message=f"expected one of {', '.join(KINDS)}",
    ),
]
"""Configuration of a network of any kind; without ``kind`` of the first."""


def default_config(kind: str) -> Any:
    """Configuration of a kind with its default sizes."""
    return _CONFIGS[kind]()


def build_network(config: NetworkConfig) -> Chain:
    """A network with weights drawn at random.

    Raises:
        ValueError: no species, parts that do not fit together, or too many weights.
    """
    if not config.species:
        raise ValueError("species: expected at least one element symbol")
    with _NoMemoryBeyond(MOST_WEIGHTS):
        network: Chain = _NETWORKS[type(config)](config)
    count = sum(weight.numel() for weight in network.parameters())
    if count > MOST_WEIGHTS:
        plain = default_config(config.kind)
        names = [f.name for f in fields(config) if f.name not in ("species", "cutoff")]
        changed = [name for name in names if getattr(config, name) != getattr(plain, name)]
        raise ValueError(
            f"{', '.join(changed)} with {len(config.species)} species make a network of {count:,} "
            f"weights, at most {MOST_WEIGHTS:,} can be; lower one of them"
        )
    return network


class _NoMemoryBeyond(TorchFunctionMode):
    """After so many drawn numbers, further ones take no memory; what they are has no meaning."""

    def __init__(self, most: int) -> None:
        super().__init__()
        self.left = most

    def __torch_function__(
        self, func: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> torch.Tensor:
        kwargs = kwargs or {}
        if func in (torch.randn, torch.empty):
            size = func(*args, **{**kwargs, "device": "meta"})
            self.left -= size.numel()
            if self.left < 0:
                return size if func is torch.empty else torch.zeros([]).expand(size.shape)
        return func(*args, **kwargs)


def with_charges(network: Chain, channels: int) -> Chain:
    """A network as it is, with readouts of latent charges drawn at random.

    Raises:
        ValueError: it has charges already.
    """
    if network.channels > 0:
        raise ValueError(f"the network has {network.channels} latent charge(s) per atom already")
    weights = network.state_dict()
    dtype = next(iter(weights.values())).dtype
    charged = build_network(replace(network.config, channels=channels)).to(dtype)
    charged.load_state_dict({**charged.state_dict(), **weights})
    return charged


def network_of(kind: Any, fields: Mapping[str, Any]) -> Chain:
    """The network that the metadata of a file describe, with weights of no meaning yet.

    Args:
        kind: ``network.kind`` of the metadata.
        fields: ``network.config``.

    Raises:
        ValueError: a kind that is not known here, or no configuration of one; pydantic's
            ValidationError, which is one, names the key.
    """
    return build_network(TypeAdapter(NetworkConfig).validate_python({**fields, "kind": kind}))

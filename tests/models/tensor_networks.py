"""Small random networks of tensors, by name."""

import dataclasses
from typing import Any

import torch
from cace_networks import LATENTS, stirred

from lammps_les.models import AllegroConfig, MaceConfig, NequipConfig, build_network

_NEQUIP = {"cutoff": 3.0, "n_bessel": 3, "radial_hidden": (5,), "average_neighbors": 4.0}
_MACE = {**_NEQUIP, "features": 4, "readout_hidden": 3, "pair_repulsion": True}
_ALLEGRO = {
    **_NEQUIP,
    "embedding": 4,
    "scalars": 5,
    "features": 3,
    "latent_hidden": (4,),
    "readout_hidden": (4,),
}
SPECIES = ("H", "O", "Na")
TENSORS: dict[str, tuple[str, Any]] = {
    "nequip": ("nequip", NequipConfig(SPECIES, features=4, **_NEQUIP)),
    "nequip, full parity": (
        "nequip",
        NequipConfig(
            SPECIES,
            features=(4, 3, 2),
            max_l=2,
            parity="full",
            embedding=3,
            pair_repulsion=True,
            readout_hidden=(4,),
            **{**_NEQUIP, "average_neighbors": (3.0, 4.0, 5.0)},
        ),
    ),
    "nequip, no parity": (
        "nequip",
        NequipConfig(SPECIES, features=4, parity="none", layers=4, **_NEQUIP),
    ),
    "nequip, one layer": ("nequip", NequipConfig(SPECIES, features=4, layers=1, **_NEQUIP)),
    "mace": ("mace", MaceConfig(SPECIES, **_MACE)),
    "mace, vectors": (
        "mace",
        MaceConfig(
            SPECIES,
            hidden_max_l=1,
            max_l=2,
            density=True,
            residual_first=False,
            distance_transform="agnesi",
            couplings="paths",
            **_MACE,
        ),
    ),
    "mace, three layers": (
        "mace",
        MaceConfig(
            SPECIES,
            hidden_max_l=2,
            max_l=2,
            layers=3,
            correlation=2,
            radial="gaussian",
            distance_transform="soft",
            **_MACE,
        ),
    ),
    "mace, one layer": ("mace", MaceConfig(SPECIES, layers=1, last_readout_only=True, **_MACE)),
    "mace, multipoles": (
        "mace",
        MaceConfig(SPECIES, latents=LATENTS, hidden_max_l=1, max_l=2, correlation=2, **_MACE),
    ),
    "nequip, multipoles": (
        "nequip",
        NequipConfig(SPECIES, latents=LATENTS, features=(4, 3, 2), max_l=2, layers=2, **_NEQUIP),
    ),
    "allegro, multipoles": (
        "allegro",
        AllegroConfig(SPECIES, latents=LATENTS, max_l=2, layers=1, **_ALLEGRO),
    ),
    "allegro": (
        "allegro",
        AllegroConfig(
            SPECIES,
            layers=3,
            max_l=1,
            **{**_ALLEGRO, "average_neighbors": (3.0, 4.0, 5.0)},
        ),
    ),
    "allegro, natural parity": (
        "allegro",
        AllegroConfig(SPECIES, max_l=2, parity="natural", couple_channels=False, **_ALLEGRO),
    ),
}


def build(name: str, **changes: Any) -> torch.nn.Module:
    """One of them, in float64."""
    kind, config = TENSORS[name]
    torch.manual_seed(4)
    return stirred(build_network(dataclasses.replace(config, **changes)).double())

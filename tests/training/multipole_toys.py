"""Networks of all kinds with latents beyond charges, stirred so that none of them is zero."""

from collections.abc import Sequence

import torch
from training_toys import LONG_RANGE

from lammps_les.models import Chain
from lammps_les.models.kinds import network_of
from lammps_les.training.physics import Physics

FULL = ("charge", "dipole", "quadrupole", "alpha")
SIZES = {
    "cace": {
        "representation": {"cutoff": 3.2, "n_bessel": 3, "n_radial": 2, "max_l": 2},
        "energy": {"hidden": [6]},
        "charge": {"hidden": [6]},
        "multipole": {"hidden": [4], "mixtures": 2},
    },
    "mace": {"features": 4, "max_l": 2, "radial_hidden": [8], "readout_hidden": 4},
    "nequip": {"features": 4, "layers": 2, "max_l": 2, "radial_hidden": [8]},
    "allegro": {
        "features": 2,
        "scalars": 8,
        "embedding": 8,
        "max_l": 2,
        "radial_hidden": [8],
        "latent_hidden": [8],
        "readout_hidden": [8],
    },
}
EPSILON_INF = [[1.9, 0.1, 0.0], [0.1, 1.7, 0.0], [0.0, 0.0, 1.6]]
CHI = [[0.3, 0.05, 0.0], [0.05, 0.2, 0.02], [0.0, 0.02, 0.25]]


def section(kind: str, latents: Sequence[str] = FULL, channels: int = 1) -> dict:
    """The section ``network`` of a configuration."""
    sizes = SIZES[kind] if kind == "cace" else {"cutoff": 3.2, "n_bessel": 4, **SIZES[kind]}
    return {"kind": kind, "channels": channels, "latents": list(latents), **sizes}


def multipole_network(kind: str, latents: Sequence[str] = FULL, channels: int = 1) -> Chain:
    """In float64, with all weights moved from where they begin."""
    torch.manual_seed(5)
    fields = {**section(kind, latents, channels), "species": ["H", "O"]}
    network = network_of(fields.pop("kind"), fields).double()
    with torch.no_grad():
        for parameter in network.parameters():
            parameter += 0.2 * torch.randn_like(parameter)
    return network


def physics_of(network: Chain, form: str = "local") -> Physics:
    """With a dielectric tensor, a susceptibility that is not that of the network, signs of both."""
    return Physics(
        long_range=LONG_RANGE,
        charge_unit=0.8,
        charge_sign=(-1.0, 1.0)[: network.channels],
        epsilon_inf=EPSILON_INF,
        susceptibility=CHI,
        bec_form=form,
        layers=network.layers,
    )

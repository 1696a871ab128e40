"""How the atoms of a trained model answer a field: what its file says of that, and what may not be.

With alpha, what the latents are screened by is epsilon_e = epsilon_inf / (1 + chi), one number for
all times, with the mean chi of the training frames.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from lammps_les.electrostatics import coupling_dielectric
from lammps_les.keys import BORN_EFFECTIVE_CHARGES, DIPOLE, POLARIZABILITY, TOTAL_CHARGE
from lammps_les.models import Chain
from lammps_les.training.config import RunConfig
from lammps_les.training.frames import Frame, join
from lammps_les.training.losses import used_quantities
from lammps_les.training.physics import Physics
from lammps_les.training.prediction import predict
from lammps_les.training.stability import (
    SOFTNESS,
    SUSCEPTIBILITY,
    check_susceptibility,
    largest_susceptibility,
)


@dataclass(frozen=True)
class Response:
    """Of a trained network.

    Attributes:
        physics: with the susceptibility of the training frames.
        fields: ``epsilon_e``, ``susceptibility`` and ``softness`` of the metadata, where they are.
        notes: a sentence on each.
    """

    physics: Physics
    fields: dict[str, Any]
    notes: list[str]


def trained_response(network: Chain, physics: Physics, frames: Sequence[Frame]) -> Response:
    """Means over the periodic training frames; without any, epsilon_e is epsilon_inf.

    Raises:
        ValueError: chi of a frame is not below 1.
    """
    found: dict[str, list[Tensor]] = {SUSCEPTIBILITY: [], SOFTNESS: []}
    names = network.latent_names
    periodic = [f for f in frames if f.periodic] if {"kappa", "alpha"} & {*names} else []
    for frame in periodic:
        with torch.no_grad():
            predicted = predict(network, join([frame]), physics, ())
        for name, values in found.items():
            if name in predicted:
                values.append(predicted[name][0].double().cpu())
    fields: dict[str, Any] = {}
    notes = []
    if found[SUSCEPTIBILITY]:
        chi = torch.stack(found[SUSCEPTIBILITY])
        check_susceptibility(chi, [frame.where for frame in periodic])
        mean = chi.mean(0)
        physics = replace(physics, susceptibility=mean.tolist())
        fields["susceptibility"] = float(torch.trace(mean)) / 3.0
        fields["epsilon_e"] = coupling_dielectric(physics.epsilon_inf, mean)
        notes.append(
            f"mean susceptibility chi of the training structures {fields['susceptibility']:.3f}, "
            f"largest {float(largest_susceptibility(chi).max()):.3f} (it must stay below 1): "
            "latents couple to fields with epsilon_inf / (1 + chi)"
        )
    if found[SOFTNESS]:
        softness = float(torch.stack(found[SOFTNESS]).mean())
        fields["softness"] = softness
        left = 1.0 - fields.get("susceptibility", 0.0)
        stiffness = 2.0 * physics.long_range.norm * max(softness, 1e-300)
        length = 2.0 * math.pi * math.sqrt(left / stiffness)
        notes.append(
            f"kappa lowers the energy of long waves: cells longer than {length:.3g} A are unstable"
        )
    return Response(physics, fields, notes)


def check_loss(config: RunConfig, network: Chain) -> None:
    """Refuse quantities in the loss that such latents do not have.

    Raises:
        ValueError: names the quantity and the latent.
    """
    used, latents = used_quantities(config.loss), network.latent_names
    if not latents:
        named = {BORN_EFFECTIVE_CHARGES.name, DIPOLE.name, TOTAL_CHARGE.name, POLARIZABILITY.name}
        for name in used:
            if name in named:
                raise ValueError(f"loss.weights.{name} needs charges, but network.channels is 0")
    if POLARIZABILITY.name in used and "alpha" not in latents:
        raise ValueError(
            f"loss.weights.{POLARIZABILITY.name} needs alpha among the latents of the network, "
            f"which has {', '.join(latents)}"
        )
    if BORN_EFFECTIVE_CHARGES.name in used and "kappa" in latents:
        raise ValueError(
            f"loss.weights.{BORN_EFFECTIVE_CHARGES.name} does not go with kappa: induced charges "
            "flow through the whole cell and leave no Born effective charge to learn from. Leave "
            "kappa out of network.latents, or set the weight to 0"
        )

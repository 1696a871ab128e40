"""Outputs of a network for the atoms of a batch."""

from collections.abc import Sequence
from functools import partial

import torch
from torch import Tensor

from lammps_les.electrostatics import Evaluated, Latents, evaluate_pieces
from lammps_les.models import Chain


def evaluate(
    network: Chain,
    edges: Tensor,
    edge_index: Tensor,
    species: Tensor,
    total_charges: Tensor,
) -> list[Evaluated]:
    """All pieces; total charges [N] in e of the systems that atoms are part of."""
    piece = partial(network.layer, row_length=0, total_charge=total_charges)
    return evaluate_pieces(piece, network.layers, edges, edge_index, species)


def latents_of(network: Chain, found: Sequence[Evaluated]) -> tuple[Tensor, Latents]:
    """Energies [N] and latents; charges [N, 0] where the network has none."""
    energies, *outputs = found[-1].outputs
    named = dict(zip(network.latent_names, outputs, strict=True))
    return energies, Latents(**{"charge": energies.new_zeros(len(energies), 0), **named})


def given(latents: Latents) -> list[Tensor]:
    """Those that a model has, in their order."""
    return [x for x in latents if x is not None]


def joined(parts: Sequence[Latents], dim: int = 0) -> Latents:
    """Latents of the atoms of all frames."""
    fields = zip(*parts, strict=True)
    return Latents(*(None if x[0] is None else torch.cat(x, dim) for x in fields))  # type: ignore[arg-type]

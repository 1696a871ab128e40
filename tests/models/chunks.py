"""Networks of every kind by name, and chunks of centers with their edges to evaluate them on."""

from typing import Any, NamedTuple

import torch
from cace_networks import LATENTS, REPRESENTATIONS, build
from generate import toy_models
from tensor_networks import TENSORS
from tensor_networks import build as build_tensors
from torch import Tensor

SEPARATE = {
    "one layer": REPRESENTATIONS["shared mixing"],
    "nu 4": REPRESENTATIONS["shared mixing"],
    "three layers": REPRESENTATIONS["three layers"],
    "attenuated": REPRESENTATIONS["shared messages"],
}
CACE = [*REPRESENTATIONS, *(f"{name}, separate" for name in SEPARATE), "no charges"]
CACE += ["one layer, multipoles", "three layers, separate, multipoles", "one layer, kappa alpha"]
TOYS = ["linear", "two_channels", "harmonic", "two_layers", "three_layers", "deep"]
ONE_LAYER = [name for name in CACE if name in REPRESENTATIONS and REPRESENTATIONS[name].layers == 1]
ONE_LAYER += ["one layer, separate", "nu 4, separate", "no charges"]
ONE_LAYER += ["one layer, multipoles", "one layer, kappa alpha"]
SEVERAL_LAYERS = [name for name in CACE if name not in ONE_LAYER]


def network_of(name: str, channels: int = 2) -> torch.nn.Module:
    """A network of a kind, by the name of a representation or of a toy; float64."""
    if name in TENSORS:
        return build_tensors(name, channels=channels)
    if name in TOYS:
        return toy_models()[name][0].double()
    if name == "no charges":
        return build(REPRESENTATIONS["one layer"], channels=0)
    kind, *more = name.split(", ")
    others: dict[str, Any] = {}
    if "separate" in more:
        others["charge_representation"] = SEPARATE[kind]
    if "multipoles" in more:
        others["latents"] = LATENTS
    if "kappa alpha" in more:
        others["latents"] = ("charge", "kappa", "alpha")
    return build(REPRESENTATIONS[kind], channels=channels, **others)


class Edges(NamedTuple):
    """What a piece is given of the edges of some centers."""

    vectors: Tensor
    index: Tensor
    species: Tensor
    n: int
    source: Tensor


def chunk(network, positions: Tensor, edge_index: Tensor, species: Tensor, atoms: Tensor) -> Edges:
    """Edges of some atoms as a host may number them: centers first, then a row for each edge."""
    mine = torch.isin(edge_index[0], atoms)
    center, neighbor = edge_index[:, mine]
    place = torch.empty(len(species), dtype=torch.int64)
    place[atoms] = torch.arange(len(atoms))
    order = torch.argsort(place[center], stable=True)
    center, neighbor = center[order], neighbor[order]
    rows = len(atoms) + torch.arange(len(neighbor))
    kinds = torch.cat([species[atoms], species[neighbor]])
    vectors = positions[neighbor] - positions[center]
    return Edges(vectors, torch.stack([place[center], rows]), kinds, len(atoms), neighbor)


def in_rows(part: Edges, length: int, cutoff: float) -> Edges:
    """The same in rows of a length, edges in any places, two cutoffs long where there is none."""
    generator = torch.Generator().manual_seed(5)
    vectors = torch.zeros(part.n * length, 3, dtype=part.vectors.dtype)
    vectors[:, 1] = 2.0 * cutoff
    index = torch.arange(part.n).repeat_interleave(length).repeat(2, 1)
    index[1] = torch.randint(len(part.species), (part.n * length,), generator=generator)
    source = torch.randint(int(part.source.max()) + 1, (part.n * length,), generator=generator)
    places = places_in_rows(part, length)
    vectors[places], source[places] = part.vectors, part.source
    index[1, places] = part.index[1]
    return part._replace(vectors=vectors, index=index, source=source)


def places_in_rows(part: Edges, length: int) -> Tensor:
    """Where edges stand in ``in_rows``."""
    generator = torch.Generator().manual_seed(6)
    counts = torch.bincount(part.index[0], minlength=part.n).tolist()
    assert max(counts) < length
    places = [
        center * length + torch.randperm(length, generator=generator)[:count]
        for center, count in enumerate(counts)
    ]
    return torch.cat(places)


def call(network, t: int, kept: Tensor, sent: Tensor, part: Edges, *row_length: int):
    """A piece; the first one is given no rows of ``sent``."""
    source = part.source if t > 0 else part.source[:0]
    arguments = (part.vectors, part.index, part.species, part.n)
    return network.piece(t, kept, sent, source, *arguments, *row_length)

"""The NequIP network of a checkpoint."""

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple, get_args

import torch
from torch import Tensor

from lammps_les.models import Chain, build_network
from lammps_les.models.nequip.config import NequipConfig, Parity
from lammps_les.models.nequip.paths import (
    LayerIrreps,
    edge_parity,
    hidden_irreps,
    layer_irreps,
)
from lammps_les.models.o3.irreps import Irrep, format_irreps, parse_irreps
from lammps_les_export.adapters.imported import UnsupportedModelError, checked, refuse_unless
from lammps_les_export.adapters.nequip_heads import Asked, of_features
from lammps_les_export.adapters.nequip_state import (
    Arguments,
    Weights,
    average_neighbors,
    cutoff_of,
    pair_repulsion,
    take_what_has_no_influence,
    type_names,
)

_PRESETS: dict[str, tuple[int, int, tuple[int, ...]]] = {
    "S": (2, 1, (128, 64)),
    "M": (4, 2, (128, 64, 32)),
    "L": (6, 3, (128, 64, 32, 32)),
    "XL": (6, 4, (320, 96, 64, 32, 32)),
}
"""num_layers, l_max, num_features of PresetNequIPGNNModel."""
_ODD_GATES = ({"e": "silu", "o": "tanh"},)


def read_nequip(
    arguments: Arguments, weights: Weights, asked: Asked
) -> tuple[Chain, dict[str, float], list[str]]:
    """The network, its atomic energies [eV], and what was decided."""
    take_what_has_no_influence(arguments)
    for name, values in (
        ("convnet_sc", (True,)),
        ("learnable_shift", (False,)),
        ("convnet_resnet", (False,)),
        ("convnet_nonlinearity_type", ("gate",)),
        ("convnet_nonlinearity_scalars", _ODD_GATES),
        ("convnet_nonlinearity_gates", _ODD_GATES),
        ("categorical_graph_field_embed", (None, [])),
        ("readout_mlp_nonlinearity", ("silu",)),
    ):
        arguments.only(name, values)
    arguments.take("bessel_trainable", None)
    species = type_names(arguments)
    features, embedding, layers, max_l, parity, radial_hidden = _tensors(arguments, weights)
    depth = arguments.whole("readout_mlp_hidden_layers_depth", 0, most=8)
    width = arguments.take("readout_mlp_hidden_layers_width", None)
    has_charges = "latent_charge_readout.mlp_module.mlp.0.weight" in weights.tensors
    scale = weights.by_species("per_type_energy_scale_shift.scales", len(species), 1.0)
    shifts = weights.by_species("per_type_energy_scale_shift.shifts", len(species), 0.0)
    config = checked(
        NequipConfig,
        species=species,
        channels=int(has_charges),
        latents=asked.latents,
        heads=asked.heads(max_l, local=False),
        cutoff=cutoff_of(arguments, weights),
        layers=layers,
        features=features,
        embedding=embedding,
        max_l=max_l,
        parity=parity,
        n_bessel=arguments.whole("num_bessels", 8),
        cutoff_power=arguments.whole("polynomial_cutoff_p", 6),
        radial_hidden=radial_hidden,
        average_neighbors=average_neighbors(arguments, species),
        readout_hidden=(features[0] if width is None else width,) * depth,
        scale=tuple(scale),
        **pair_repulsion(arguments, weights, species),
    )
    notes: list[str] = []
    config = _with_parity_of_weights(config, weights, notes)
    refuse_unless(
        config.heads is None or config.parity != "none",
        f"{', '.join(asked.latents[1:])} of tensors without parity",
    )
    state = _state(config, weights)  # first, so that a network is as large as its weights
    network = build_network(config).double()
    network.load_state_dict(state)
    return network.eval(), dict(zip(species, shifts, strict=True)), notes


class _Tensors(NamedTuple):
    """What the arguments say of tensors and radial functions; as in NequipConfig."""

    features: tuple[int, ...]
    embedding: int
    layers: int
    max_l: int
    parity: Parity
    radial_hidden: tuple[int, ...]


def _tensors(arguments: Arguments, weights: Weights) -> _Tensors:
    if arguments.owner.endswith("FullNequIPGNNModel"):
        return _tensors_in_full(arguments)
    if arguments.owner.endswith("PresetNequIPGNNModel"):
        name = str(arguments.take("preset")).upper()
        refuse_unless(name in _PRESETS, f"preset {name!r}, known are {', '.join(_PRESETS)}")
        layers, max_l, features = _PRESETS[name]
        preset = {"num_layers": layers, "l_max": max_l, "num_features": features}
        standard = {"parity": False, "type_embed_num_features": 32}
        arguments.values = {**standard, **preset, **arguments.values}
    layers, max_l = arguments.whole("num_layers", 4), arguments.whole("l_max", 1, most=6)
    numbers = arguments.take("num_features", 32)
    features = (numbers,) * (max_l + 1) if isinstance(numbers, int) else tuple(numbers)
    refuse_unless(len(features) == max_l + 1, f"num_features = {numbers!r} with l_max = {max_l}")
    embedding = arguments.take("type_embed_num_features", None)
    parity: Parity = "full" if arguments.take("parity", True) else "natural"
    stored = weights.hidden_widths("layer0_convnet.conv.edge_mlp")  # defaults have changed
    depth = arguments.whole("radial_mlp_depth", len(stored), most=8)
    width = arguments.whole("radial_mlp_width", max(stored, default=0))
    embedding = features[0] if embedding is None else embedding
    return _Tensors(features, embedding, layers, max_l, parity, (width,) * depth)


def _tensors_in_full(arguments: Arguments) -> _Tensors:
    """Of a model that is described layer by layer, where it could be said in short."""
    hidden = [parse_irreps(str(text)) for text in arguments.take("feature_irreps_hidden")]
    depths, widths = (list(arguments.take(f"radial_mlp_{what}")) for what in ("depth", "width"))
    harmonics = arguments.take("irreps_edge_sh")
    if isinstance(harmonics, int):
        refuse_unless(0 <= harmonics <= 6, f"irreps_edge_sh = {harmonics}")
        harmonics = format_irreps(Irrep(1, l, (-1) ** l) for l in range(harmonics + 1))
    edges = parse_irreps(str(harmonics))
    refuse_unless(
        len(hidden) == len(depths) == len(widths) > 0 and 0 < len(edges) <= 7,
        "lists of layers that are empty or differ in length",
    )
    refuse_unless(
        len(set(depths)) == len(set(widths)) == 1,
        "radial perceptrons that differ from layer to layer",
    )
    refuse_unless(0 <= depths[0] <= 8, f"radial_mlp_depth = {depths[0]!r}")
    numbers = dict((irrep.l, irrep.multiplicity) for irrep in hidden[0])
    features = tuple(numbers.get(l, hidden[0][0].multiplicity) for l in range(len(edges)))
    embedding = arguments.whole("type_embed_num_features")
    for parity in get_args(Parity):
        found = _Tensors(
            features, embedding, len(hidden), len(edges) - 1, parity, (widths[0],) * depths[0]
        )
        expected = hidden_irreps(features, parity)
        same_edges = edges == [Irrep(1, l, edge_parity(parity, l)) for l in range(len(edges))]
        if same_edges and hidden == [expected] * (len(hidden) - 1) + [expected[:1]]:
            return found
    raise UnsupportedModelError(
        f"checkpoint not supported: harmonics {harmonics} and tensors "
        f"{', '.join(format_irreps(irreps) for irreps in hidden)}; supported are those of "
        "NequIPGNNModel, the same from layer to layer and scalars (0e) at the end"
    )


def _with_parity_of_weights(
    config: NequipConfig, weights: Weights, notes: list[str]
) -> NequipConfig:
    """With ``parity: false``, NequIP up to 0.7 made tensors without parity, later ones natural."""
    if config.parity != "natural":
        return config
    without = replace(config, parity="none")
    last = f"edge_mlp.mlp.{2 * len(config.radial_hidden)}.weight"
    found = [weights.tensors[f"layer{t}_convnet.conv.{last}"].size(1) for t in range(config.layers)]
    if found != [_n_radial(irreps) for irreps in layer_irreps(without)] or found == [
        _n_radial(irreps) for irreps in layer_irreps(config)
    ]:
        return config
    notes.append(
        "the tensors of this model have no parity: a molecule and its mirror image may differ in "
        "energy"
    )
    return without


def _n_radial(irreps: LayerIrreps) -> int:
    return sum(irreps.before[path.sender].multiplicity for path in irreps.paths)


def _state(config: NequipConfig, weights: Weights) -> dict[str, Tensor]:
    """Weights by the names of the network."""
    n_species, n_scalars, parity = len(config.species), config.multiplicities[0], config.parity
    embedding = weights.take("type_embed.embed_module.weight", n_species, config.n_embedded)
    frequencies = weights.take("bessel_encode.bessel_weights", 1, config.n_bessel)
    state = {"embedding": embedding, "basis.frequencies": frequencies[0]}
    for t, irreps in enumerate(layer_irreps(config)):
        theirs, ours = f"layer{t}_convnet.conv", f"convolutions.{t}"
        up = _blocks(weights, f"{theirs}.linear_1", [(n, n) for n, _, _ in irreps.before])
        state |= {f"{ours}.up.{index}.weight": block for index, block in enumerate(up)}
        radial = weights.perceptron(
            f"{theirs}.edge_mlp", config.n_bessel, config.radial_hidden, _n_radial(irreps)
        )
        state |= {f"{ours}.radial.layers.{k}.weight": weight for k, weight in enumerate(radial)}
        mixed = [0] * len(irreps.messages)
        for path in irreps.paths:
            mixed[path.message] += irreps.before[path.sender].multiplicity
        down = _blocks(
            weights,
            f"{theirs}.linear_2",
            [(a, irrep.multiplicity) for a, irrep in zip(mixed, irreps.messages, strict=True)],
        )
        state |= {f"{ours}.down.{index}.weight": block for index, block in enumerate(down)}
        if t > 0:
            pairs = [
                (before, message)
                for before, ours_before in enumerate(irreps.before)
                for message, ours_after in enumerate(irreps.messages)
                if ours_before[1:] == ours_after[1:]
            ]
            shapes = [
                (irreps.before[b].multiplicity, config.n_embedded, irreps.messages[m].multiplicity)
                for b, m in pairs
            ]
            blocks = dict(zip(pairs, _blocks(weights, f"{theirs}.sc", shapes), strict=True))
            for index, pair in enumerate(sorted(pairs, key=lambda pair: pair[1])):
                own = torch.einsum("sv,uvw->suw", embedding, blocks[pair])
                state[f"{ours}.own_weights.{index}"] = own / math.sqrt(config.n_embedded)
    readout = weights.perceptron(
        "per_atom_energy_readout.mlp_module", n_scalars, config.readout_hidden, 1
    )
    state |= {f"energy_readout.layers.{k}.weight": weight for k, weight in enumerate(readout)}
    if config.channels > 0:
        charge = weights.perceptron("latent_charge_readout.mlp_module", n_scalars, (), 1)
        state["charge_readout.weight"] = charge[0]
    if config.heads is not None:
        before = layer_irreps(config)[-1].before
        counts = [
            sum(irrep.multiplicity for irrep in before if irrep[1:] == (l, edge_parity(parity, l)))
            for l in (1, 2)
        ]
        state |= of_features(weights, config.heads, config.latents, [n_scalars, *counts])
    return state


def _blocks(weights: Weights, name: str, shapes: Sequence[tuple[int, ...]]) -> list[Tensor]:
    """Blocks that stand one after the other in a row of weights."""
    sizes = [math.prod(shape) for shape in shapes]
    flat = weights.take(f"{name}.weight", sum(sizes))
    return [b.view(shape) for b, shape in zip(torch.split(flat, sizes), shapes, strict=True)]

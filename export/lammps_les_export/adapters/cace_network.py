"""Representation and readouts of a CACE checkpoint, brought into the layout of ``CaceNetwork``.

The original numbers a feature (radial m, invariant p, sender a, receiver b, layer t), ours
(t, p, a, b, m).
"""

import math
from collections import Counter
from dataclasses import dataclass
from itertools import product
from typing import Any

import torch
from torch import Tensor

from lammps_les.models.cace.angular import (
    MultiIndex,
    invariant_labels,
    monomials,
    multinomial,
    sum_index,
)
from lammps_les.models.cace.config import MessageConfig, ReadoutConfig, RepresentationConfig
from lammps_les_export.adapters.imported import agree, expect, refuse_unless
from lammps_les_export.unpickler import Stub

_SILU = ("torch.nn.functional.silu", "torch.nn.modules.activation.SiLU")
_IDENTITY = "torch.nn.modules.linear.Identity"


@dataclass(frozen=True)
class Part:
    """Sizes and weights of one part of the network.

    Attributes:
        config: sizes.
        weights: state dict in float64.
        numbers: atomic numbers in the order of the species index; only for a representation.
    """

    config: Any
    weights: dict[str, Tensor]
    numbers: tuple[int, ...] = ()

    def __eq__(self, other: object) -> bool:
        """Equal sizes and equal weights, to the last bit."""
        return (
            isinstance(other, Part)
            and (self.config, self.numbers, self.weights.keys())
            == (other.config, other.numbers, other.weights.keys())
            and all(torch.equal(w, other.weights[k]) for k, w in self.weights.items())
        )


def read_representation(cace: Stub) -> Part:
    """Read a ``Cace`` module."""
    refuse_unless(
        cace.kind == "cace.representations.cace_representation.Cace", f"representation {cace.kind}"
    )
    expect(cace, "charge_spin_key", None, default=None)
    numbers = _species(cace)
    radial = cace.get("radial_basis")
    refuse_unless(radial.kind == "cace.modules.radial.BesselRBF", f"radial basis {radial.kind}")
    step = cace.get("cutoff_fn")
    refuse_unless(
        step.kind == "cace.modules.cutoff.PolynomialCutoff", f"cutoff function {step.kind}"
    )
    edges = cace.get("edge_coding")
    refuse_unless(edges.kind == "cace.modules.type.EdgeEncoder", f"edge encoder {edges.kind}")
    expect(edges, "directed", True)
    angular = cace.get("angular_basis")
    refuse_unless(
        angular.kind == "cace.modules.angular.AngularComponent", f"angular basis {angular.kind}"
    )
    cutoff, max_l, max_nu = (
        float(cace.get("cutoff")),
        int(cace.get("max_l")),
        int(cace.get("max_nu")),
    )
    for module in (radial, step):
        refuse_unless(
            agree(module.get("cutoff"), cutoff), f"{module.kind} has another cutoff than {cutoff}"
        )
    power = float(step.get("p"))
    refuse_unless(power.is_integer() and power >= 2, f"polynomial cutoff of order {power}")
    _check_invariants(cace.get("symmetrizer"), max_l, max_nu)

    mixing = torch.stack(
        cace.get("radial_transform").get("weights").parameters()
    ).double()  # [l, b, m, (ab)]
    per_channel = mixing.dim() == 4
    mixing = mixing.permute(0, 3, 1, 2) if per_channel else mixing[:, None]
    frequencies = radial.get("bessel_weights").double()
    sender = cace.get("node_embedding_sender").get("embedding_weights").double()
    receiver = cace.get("node_embedding_receiver").get("embedding_weights").double()
    layers = [_read_layer(m) for m in cace.get("message_passing_list").children()]
    config = RepresentationConfig(
        cutoff=cutoff,
        embedding_size=sender.size(1),
        n_bessel=frequencies.numel(),
        n_radial=mixing.size(3),
        max_l=max_l,
        max_nu=max_nu,
        cutoff_power=int(power),
        mixing_per_channel=per_channel,
        average_neighbors=float(cace.get("mp_norm_factor")) ** -2,
        layers=len(layers) + 1,
        messages=tuple(layer.config for layer in layers) or (MessageConfig(),),
    )
    weights = {
        "sender": sender,
        "receiver": receiver,
        # the stored prefactor sqrt(2/cutoff) is rounded to the precision of the file; ours is not
        "mixing": mixing * (radial.get("prefactor").double() / math.sqrt(2.0 / cutoff)),
        "radial.frequencies": frequencies,
    }
    for index, layer in enumerate(layers):
        for name, weight in layer.weights.items():
            is_input = name == "invariant.perceptron.hidden.0.weight" or (
                name == "invariant.perceptron.last.weight" and not layer.config.invariant_hidden
            )
            weights[f"messages.{index}.{name}"] = (
                _reorder(weight, config, 1) if is_input else weight
            )
    return Part(config, weights, numbers)


def _species(cace: Stub) -> tuple[int, ...]:
    encoder = cace.get("node_onehot")
    refuse_unless(
        encoder.kind == "cace.modules.type.NodeEncoder", f"element encoder {encoder.kind}"
    )
    numbers = tuple(int(z) for z in cace.get("zs"))
    listed = encoder.get("index_map").tolist()
    refuse_unless(
        [z for z, i in sorted(enumerate(listed), key=lambda item: item[1]) if i >= 0]
        == list(numbers),
        f"element encoder and list of elements {numbers} disagree",
    )
    return numbers


def _check_invariants(symmetrizer: Stub, max_l: int, max_nu: int) -> None:
    """Compare the stored table of products with the formula, term by term."""
    refuse_unless(
        symmetrizer.kind == "cace.modules.symmetrize_basis.Symmetrizer",
        f"symmetrizer {symmetrizer.kind}",
    )
    stored = symmetrizer.get("vec_dict_allnu")
    by_length = {
        length: [_terms(label) for label in invariant_labels(max_l, max_nu) if len(label) == length]
        for length in (1, 2, 3)
    }
    for length, ours in by_length.items():
        theirs = [_as_counter(group) for group in stored.get(length + 1, {}).values()]
        refuse_unless(
            theirs == ours, f"products of {length + 1} factors that are not those of CACE"
        )
    refuse_unless(set(stored) <= {2, 3, 4}, f"products of {max(stored)} factors")


def _terms(label: tuple[int, ...]) -> Counter[tuple[MultiIndex, ...]]:
    """Factors and weight of each term of an invariant, written out from its formula."""
    terms = []
    for ijk in product(*(monomials(order) for order in label)):
        weight = math.prod(multinomial(index) for index in ijk)
        if len(ijk) == 1:
            factors = [ijk[0], ijk[0]]
        elif len(ijk) == 2:
            factors = [*ijk, sum_index(*ijk)]
        else:
            i, j, d = ijk
            factors = [i, j, sum_index(i, d), sum_index(j, d)]
        terms.append((*factors, weight))
    return _as_counter(terms)


def _as_counter(terms: list[tuple[Any, ...]]) -> Counter[tuple[MultiIndex, ...]]:
    """Terms (factor, factor, ..., weight) without regard to the order of the factors."""
    counter: Counter[tuple[MultiIndex, ...]] = Counter()
    for *factors, weight in terms:
        counter[tuple(sorted(tuple(factor) for factor in factors))] += weight
    return counter


def _read_layer(modules: Stub) -> Part:
    """One message-passing layer: [memory, attenuated, invariant], any of them None."""
    weights: dict[str, Tensor] = {}
    hidden: tuple[int, ...] = ()
    per_l = per_channel = False
    for module in modules.children():
        if module is None:
            continue
        match module.kind.removeprefix("cace.modules.interaction."):
            case "NodeMemory":
                stacked = torch.stack(
                    module.get("memory_coef").parameters()
                ).double()  # [l, m, (ab)]
                weights["memory"] = stacked.transpose(1, 2)[:, :, None]
            case "MessageAr":
                for ours, theirs in (("prefactor", "prefactor"), ("kappa", "invr0")):
                    stacked = torch.stack(module.get(theirs).parameters()).double()  # [l, m, (ab)]
                    weights[f"attenuated.{ours}"] = stacked.transpose(1, 2).flatten(1)
            case "MessageBchi":
                refuse_unless(
                    module.get("hnet") is not None,
                    "a message network without weights (never evaluated)",
                )
                expect(module, "residual", False, default=False)
                network = _perceptron(module.get("hnet"))
                weights |= {f"invariant.perceptron.{k}": v for k, v in network.weights.items()}
                hidden = network.config.hidden
                per_l = not module.get("shared_l", True)
                per_channel = not module.get("shared_channels", True)
            case _:
                refuse_unless(False, f"message {module.kind}")
    config = MessageConfig(
        memory="memory" in weights,
        attenuated="attenuated.kappa" in weights,
        invariant="invariant.perceptron.last.weight" in weights,
        invariant_hidden=hidden,
        per_l=per_l,
        per_channel=per_channel,
    )
    refuse_unless(config.attenuated or config.invariant, "a message-passing layer without messages")
    return Part(config, weights)


def read_readout(atomwise: Stub, representation: RepresentationConfig) -> Part:
    """Read an ``Atomwise`` module of CACE or of the les library."""
    refuse_unless(
        atomwise.kind in ("cace.modules.atomwise.Atomwise", "les.module.atomwise.Atomwise"),
        f"readout {atomwise.kind}",
    )
    refuse_unless(atomwise.get("outnet") is not None, "a readout without weights (never evaluated)")
    refuse_unless(
        atomwise.get("feature_key", None) in (None, "node_feats"), "a readout of other features"
    )
    expect(atomwise, "residual", False, default=False)
    expect(atomwise, "post_process", None, default=None)
    network = _perceptron(atomwise.get("outnet"))
    has_linear = bool(atomwise.get("add_linear_nn"))
    weights = {f"perceptron.{k}": v for k, v in network.weights.items()}
    bias = network.config.bias
    if has_linear:
        linear, activation, linear_bias = _dense(atomwise.get("linear_nn"))
        refuse_unless(activation == _IDENTITY, f"activation {activation} of the linear readout")
        weights["linear.weight"] = linear
        if linear_bias is not None:
            weights["linear.bias"] = linear_bias
        refuse_unless(
            (linear_bias is not None) == bias, "constants in some layers of a readout only"
        )
    first = "perceptron.hidden.0.weight" if network.config.hidden else "perceptron.last.weight"
    for name in (first, *(["linear.weight"] if has_linear else [])):
        weights[name] = _reorder(weights[name], representation, representation.layers)
    scale = float(atomwise.get("output_scaling_factor", 1.0))
    return Part(ReadoutConfig(network.config.hidden, bias, has_linear, scale), weights)


def _perceptron(sequential: Stub) -> Part:
    """Read a ``Sequential`` of ``Dense`` layers: silu in between, none after the last."""
    refuse_unless(
        sequential.kind == "torch.nn.modules.container.Sequential",
        f"network of kind {sequential.kind}",
    )
    layers = [_dense(layer) for layer in sequential.children()]
    weights: dict[str, Tensor] = {}
    for index, (weight, activation, bias) in enumerate(layers):
        last = index == len(layers) - 1
        allowed = (_IDENTITY,) if last else _SILU
        refuse_unless(
            activation in allowed, f"activation {activation} in layer {index + 1} of {len(layers)}"
        )
        name = "last" if last else f"hidden.{index}"
        weights[f"{name}.weight"] = weight
        if bias is not None:
            weights[f"{name}.bias"] = bias
    with_bias = {bias is not None for _, _, bias in layers}
    refuse_unless(len(with_bias) == 1, "constants in some layers of a network only")
    hidden = tuple(weight.size(0) for weight, _, _ in layers[:-1])
    return Part(ReadoutConfig(hidden=hidden, bias=with_bias.pop(), linear=False), weights)


def _dense(layer: Stub) -> tuple[Tensor, str, Tensor | None]:
    """Weight, name of the activation, and constants."""
    refuse_unless(
        layer.kind in ("cace.modules.blocks.Dense", "les.module.blocks.Dense"),
        f"layer {layer.kind}",
    )
    expect(layer, "use_batchnorm", False, default=False)
    linear, bias = layer.get("linear").get("weight").double(), layer.get("linear").get("bias")
    return linear, layer.get("activation").kind, bias if bias is None else bias.double()


def _reorder(weight: Tensor, config: RepresentationConfig, layers: int) -> Tensor:
    """Bring the columns of a first layer from the original's feature order to ours."""
    channels = config.embedding_size**2
    n_invariants = len(invariant_labels(config.max_l, config.max_nu))
    expected = config.n_radial * n_invariants * channels * layers
    refuse_unless(
        weight.size(1) == expected, f"a readout of {weight.size(1)} features, expected {expected}"
    )
    split = weight.view(-1, config.n_radial, n_invariants, channels, layers)
    return split.permute(0, 4, 2, 3, 1).reshape(weight.size(0), expected)

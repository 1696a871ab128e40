"""Modules of e3nn in a stored model, as plain numbers."""

import math
from typing import Any

import torch
from torch import Tensor

from lammps_les.models.o3.irreps import Irrep, format_irreps, parse_irreps
from lammps_les_export.adapters.imported import agree, expect, quoted, refuse_unless, weight
from lammps_les_export.unpickler import Stub

_SILU = ("torch.nn.functional.silu", "torch.nn.modules.activation.SiLU")


def irreps_of(value: Any) -> list[Irrep]:
    """Irreps that are stored as text or as an object."""
    if isinstance(value, str):
        return parse_irreps(value)
    refuse_unless(
        isinstance(value, Stub) and value.kind == "e3nn.o3._irreps.Irreps",
        f"{value!r}, expected irreps",
    )
    irreps = []
    for item in value.arguments[0]:
        (multiplicity, irrep), *_ = item.arguments
        ((l, parity),) = irrep.arguments
        irreps.append(Irrep(int(multiplicity), int(l), int(parity)))
    return irreps


def natural_irreps(value: Any) -> list[Irrep]:
    """Irreps of parity (-1)^l."""
    irreps = irreps_of(value)
    refuse_unless(
        all(irrep.parity == (-1) ** irrep.l for irrep in irreps),
        f"features {format_irreps(irreps)}; tensors of parity (-1)^l are supported only",
    )
    return irreps


def linear_maps(linear: Stub, max_l: int = 0) -> list[Tensor]:
    """Weights [in, out] for l = 0 ... max_l of a ``Linear``, without the factor in^(-1/2)."""
    expect(linear, "bias_numel", 0)
    irreps_in, irreps_out = (natural_irreps(linear.get(f"irreps_{k}")) for k in ("in", "out"))
    parts: dict[int, list[Tensor]] = {}
    factors: dict[int, float] = {}
    weights = _Weights(linear)
    for instruction in linear.get("instructions"):
        i_in, i_out, shape, factor = instruction.arguments
        l = irreps_in[i_in].l
        refuse_unless(l == irreps_out[i_out].l, "a linear map between different l")
        parts.setdefault(l, []).append(weights.take(shape))
        factors[l] = float(factor)
    weights.refuse_others()
    refuse_unless(
        set(parts) >= set(range(max_l + 1)),
        f"a linear map of l = {sorted(parts)}, expected {list(range(max_l + 1))}",
    )
    maps = [torch.cat(parts[l]) for l in range(max_l + 1)]
    for l, stacked in enumerate(maps):
        refuse_unless(
            agree(factors[l], stacked.size(0) ** -0.5), f"a linear map with the factor {factors[l]}"
        )
    return maps


class _Weights:
    """Weights of a module one after the other."""

    def __init__(self, module: Stub) -> None:
        self.kind, self.all, self.used = module.kind, weight(module, "weight", -1), 0

    def take(self, shape: tuple[int, ...]) -> Tensor:
        """The next, in a shape."""
        begin, self.used = self.used, self.used + math.prod(shape)
        refuse_unless(
            min(shape) > 0 and self.used <= self.all.numel(),
            f"{self.kind} has a weight of {self.all.numel()} numbers, too few for {quoted(shape)} "
            f"from {begin} on",
        )
        return self.all[begin : self.used].view(*shape)

    def refuse_others(self) -> None:
        refuse_unless(
            self.used == self.all.numel(),
            f"{self.kind} has a weight of {self.all.numel()} numbers, expected {self.used}",
        )


def species_maps(product: Stub) -> dict[int, Tensor]:
    """Weights [species, in, out] for each l of a product with the one-hot element.

    They are without the factor (species in)^(-1/2).
    """
    irreps = natural_irreps(product.get("irreps_in1"))
    maps: dict[int, Tensor] = {}
    weights = _Weights(product)
    for instruction in product.get("instructions"):
        i_in, _, _, mode, _, factor, shape = instruction.arguments
        l = irreps[i_in].l
        refuse_unless(mode == "uvw" and l not in maps, f"a product with elements of mode {mode}")
        expected = ((2 * l + 1) / (shape[0] * shape[1])) ** 0.5
        refuse_unless(agree(factor, expected), f"a product with elements, factor {factor}")
        maps[l] = weights.take(shape).transpose(0, 1)
    weights.refuse_others()
    return maps


def convolution_paths(product: Stub) -> list[tuple[int, int, int]]:
    """(l1, l2, l3) of the paths of a product of features and harmonics, as weights stand."""
    first, second, out = (natural_irreps(product.get(f"irreps_{k}")) for k in ("in1", "in2", "out"))
    paths = []
    for place, instruction in enumerate(product.get("instructions")):
        i_1, i_2, i_out, mode, has_weight, factor, _ = instruction.arguments
        path = (first[i_1].l, second[i_2].l, out[i_out].l)
        refuse_unless(
            (mode, has_weight, i_out) == ("uvu", True, place)
            and agree(factor, (2 * path[2] + 1) ** 0.5),
            f"a product of features and harmonics of mode {mode}, factor {factor}",
        )
        paths.append(path)
    return paths


def silu_factor(activation: Stub) -> float:
    """Constant of a ``normalize2mom`` of silu."""
    refuse_unless(
        activation.kind == "e3nn.math._normalize_activation.normalize2mom"
        and getattr(activation.get("f"), "kind", None) in _SILU,
        f"activation {activation.kind} of {getattr(activation.get('f', None), 'kind', None)}; "
        "silu is supported",
    )
    return float(activation.get("cst"))


def perceptron(network: Stub, factor: float) -> list[Tensor]:
    """Weights [in, out] of a ``FullyConnectedNet``, without the factors in^(-1/2).

    Args:
        network: the module.
        factor: which silu is taken to be multiplied by; that of the file goes into the weights.
    """
    layers = network.children()
    weights, before = [], factor
    for index, layer in enumerate(layers):
        for name in ("var_in", "var_out"):
            expect(layer, name, 1)
        weights.append(weight(layer, "weight", -1, -1) * (before / factor))
        if index < len(layers) - 1:
            before = silu_factor(layer.get("act"))
        else:
            expect(layer, "act", None)
    return weights

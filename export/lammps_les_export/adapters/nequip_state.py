"""Arguments and weights in a checkpoint of nequip-train, each taken once."""

import math
import re
from collections.abc import Iterable, Mapping
from typing import Any

import torch
from ase.data import chemical_symbols
from torch import Tensor

from lammps_les_export.adapters.imported import agree, refuse_unless

_REQUIRED = object()
_DERIVED = re.compile(r"(^|\.)(_empty|output_mask|w3j|_w3j\w*)$")
"""Of the state of a model: what follows from its arguments."""
_CUTOFF = "edge_norm._rmax_recip"
_BUFFERS = {
    *(_CUTOFF, "pair_potential.atomic_numbers", "pair_potential._qqr2exesquare"),
    "change_of_basis_2e",
}
"""Not trained, and not averaged."""


class Arguments:
    """Named values, of which every one has to be asked for.

    Args:
        owner: what they are arguments of.
        values: by name.
    """

    def __init__(self, owner: str, values: Any) -> None:
        refuse_unless(isinstance(values, Mapping), f"{owner}: expected named values")
        self.owner = owner
        self.values = dict(values)

    def take(self, name: str, default: Any = _REQUIRED) -> Any:
        """The value; the default, or a KeyError, where there is none."""
        if default is _REQUIRED and name not in self.values:
            raise KeyError(f"{self.owner} in this file has no {name!r}")
        return self.values.pop(name, default)

    def number(self, name: str, default: Any = _REQUIRED) -> float:
        """A finite number."""
        value = self.take(name, default)
        fine = isinstance(value, (int, float)) and math.isfinite(value)
        refuse_unless(fine, f"{self.owner} has {name} = {value!r}, expected a number")
        return value

    def whole(self, name: str, default: Any = _REQUIRED, most: int = 10_000) -> int:
        """A whole number from 0 to ``most``."""
        value = self.take(name, default)
        fine = isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= most
        refuse_unless(
            fine,
            f"{self.owner} has {name} = {value!r}, expected a whole number from 0 to {most}",
        )
        return value

    def flag(self, name: str, default: bool) -> bool:
        """Yes or no."""
        value = self.take(name, default)
        refuse_unless(
            isinstance(value, bool), f"{self.owner} has {name} = {value!r}, expected a yes or no"
        )
        return value

    def hidden(self, name: str, width: int, depth: int = 1) -> tuple[int, ...]:
        """Widths of the hidden layers of a perceptron, from their depth and width."""
        depth = self.whole(f"{name}_hidden_layers_depth", depth, most=8)
        return (self.whole(f"{name}_hidden_layers_width", width),) * depth

    def only(self, name: str, values: Iterable[Any]) -> None:
        """Refuse another value than those; the first is that of files that do not say it."""
        values = list(values)
        found = self.take(name, values[0])
        refuse_unless(
            any(type(found) is type(value) and found == value for value in values),
            f"{self.owner} has {name} = {found!r}, supported is "
            + " or ".join(repr(value) for value in values),
        )

    def refuse_others(self) -> None:
        """Refuse what nobody has asked for."""
        names = ", ".join(f"{name} = {value!r}" for name, value in self.values.items())
        refuse_unless(not self.values, f"{self.owner} has {names}, which is not known here")


class Weights:
    """The tensors of the one model in a checkpoint, in float64; averaged ones where there are.

    Args:
        root: the checkpoint.
        fixed: last parts of names of tensors that the training left as they were.

    Raises:
        UnsupportedModelError: not one model, or averages that do not belong to its weights.
    """

    def __init__(self, root: Mapping[str, Any], fixed: Iterable[str]) -> None:
        state = root["state_dict"]
        refuse_unless(isinstance(state, Mapping), "state_dict: expected named tensors")
        found = [str(name).removesuffix(_CUTOFF) for name in state if str(name).endswith(_CUTOFF)]
        refuse_unless(len(found) == 1, f"{len(found)} models in one checkpoint, expected one")
        self.tensors: dict[str, Tensor] = {}
        for name, value in state.items():
            if str(name).startswith(found[0]):
                refuse_unless(isinstance(value, Tensor), f"{name} is no tensor")
                refuse_unless(bool(torch.isfinite(value).all()), f"{name} is not finite")
                self.tensors[name.removeprefix(found[0])] = value.detach().double()
        averages = [
            state[f"ema.ema_weight_{index}"]
            for index in range(len(state))
            if f"ema.ema_weight_{index}" in state
        ]
        about = root["hyper_parameters"].get("info_dict", {})
        trained_with = str(about.get("training_module", ""))
        refuse_unless(
            bool(averages) or "EMA" not in trained_with,
            "averaged weights (ema), which the training module asks for, are missing",
        )
        if averages:
            self._take_averages(averages, state.get("ema._extra_state"), {*_BUFFERS, *fixed})

    def _take_averages(self, averages: list[Any], extra: Any, fixed: set[str]) -> None:
        """Replace weights by their exponential averages, which stand in the order of parameters."""
        holds = extra.get("is_holding_ema_weights") if isinstance(extra, Mapping) else None
        refuse_unless(isinstance(holds, bool), "averaged weights (ema) without their state")
        if not holds:  # they were swapped when the file was written
            return
        names = [
            name
            for name, tensor in self.tensors.items()
            if tensor.numel() > 0
            and not _DERIVED.search(name)
            and name not in fixed
            and name.rpartition(".")[2] not in fixed
        ]
        shapes = [a.shape if isinstance(a, Tensor) else None for a in averages]
        refuse_unless(
            shapes == [self.tensors[name].shape for name in names],
            "averaged weights (ema) that do not belong to the weights of the model",
        )
        for name, average in zip(names, averages, strict=True):
            refuse_unless(bool(torch.isfinite(average).all()), f"{name} is not finite")
            self.tensors[name] = average.detach().double()

    def take(self, name: str, *shape: int) -> Tensor:
        """A tensor; -1 in the shape is any length.

        Raises:
            KeyError: there is none.
            UnsupportedModelError: it has another shape.
        """
        if name not in self.tensors:
            raise KeyError(f"no weights {name!r} in this file")
        tensor = self.tensors.pop(name)
        refuse_unless(
            tensor.dim() == len(shape)
            and all(b in (-1, a) for a, b in zip(tensor.shape, shape, strict=True)),
            f"{name} has the shape {list(tensor.shape)}, expected {list(shape)}",
        )
        return tensor

    def perceptron(self, name: str, n_in: int, hidden: tuple[int, ...], n_out: int) -> list[Tensor]:
        """Weights of layers without constants, with nonlinear functions in between."""
        widths = (n_in, *hidden, n_out)
        return [
            self.take(f"{name}.mlp.{2 * index}.weight", a, b)
            for index, (a, b) in enumerate(zip(widths[:-1], widths[1:], strict=True))
        ]

    def hidden_widths(self, name: str) -> list[int]:
        """Widths of the hidden layers that a perceptron has."""
        found = [f"{name}.mlp.{2 * index}.weight" for index in range(9)]
        return [self.tensors[one].size(-1) for one in found if one in self.tensors][:-1]

    def by_species(self, name: str, n_species: int, default: float) -> list[float]:
        """A number for each species, where one may stand for all, or none for the default."""
        tensor = self.tensors.pop(name).flatten()
        if tensor.numel() == 0:
            return [default] * n_species
        refuse_unless(
            tensor.numel() in (1, n_species),
            f"{name} has {tensor.numel()} numbers, expected 1 or {n_species}",
        )
        return tensor.expand(n_species).tolist()

    def refuse_others(self) -> None:
        """Refuse weights that nobody has asked for."""
        others = [
            name
            for name, tensor in self.tensors.items()
            if tensor.numel() > 0 and not _DERIVED.search(name)
        ]
        refuse_unless(not others, f"weights that are not known here: {', '.join(others)}")


def type_names(arguments: Arguments) -> tuple[str, ...]:
    """The species, of a model whose types are elements."""
    names = arguments.take("type_names")
    known = isinstance(names, (list, tuple)) and all(name in chemical_symbols[1:] for name in names)
    refuse_unless(
        known and len(set(names)) == len(names) > 0,
        f"types named {names!r}, expected element symbols, each once",
    )
    return tuple(names)


def average_neighbors(arguments: Arguments, species: tuple[str, ...]) -> float | tuple[float, ...]:
    """One number, or one for each species."""
    found = arguments.take("avg_num_neighbors")
    if isinstance(found, Mapping):
        refuse_unless(set(found) == set(species), f"avg_num_neighbors of {', '.join(found)}")
        return tuple(float(found[name]) for name in species)
    refuse_unless(isinstance(found, (int, float)) and found > 0.0, f"avg_num_neighbors = {found!r}")
    return float(found)


def cutoff_of(arguments: Arguments, weights: Weights) -> float:
    """The cutoff [A], one for all pairs of elements."""
    arguments.only("per_edge_type_cutoff", (None,))
    cutoff = float(arguments.number("r_max"))
    refuse_unless(
        agree(cutoff * float(weights.take(_CUTOFF)), 1.0),
        f"r_max = {cutoff:g} is not the cutoff of the weights",
    )
    return cutoff


def pair_repulsion(
    arguments: Arguments, weights: Weights, species: tuple[str, ...]
) -> dict[str, bool | int]:
    """What the configuration of a network says of it: none, or ZBL in eV."""
    found = arguments.take("pair_potential", None)
    if found is None:
        return {}
    zbl = Arguments("pair_potential", found)
    zbl.only("_target_", ("nequip.nn.pair_potential.ZBL",))
    zbl.only("units", ("metal",))
    zbl.only("chemical_species", (list(species),))
    power = zbl.number("polynomial_cutoff_p", 6)
    zbl.refuse_others()
    refuse_unless(power == int(power), f"pair_potential has polynomial_cutoff_p = {power}")
    weights.take("pair_potential.atomic_numbers", len(species))  # said by the species
    factor = weights.take("pair_potential._qqr2exesquare")
    refuse_unless(agree(factor, 0.5 * 14.399645), f"pair_potential has the factor {float(factor)}")
    return {"pair_repulsion": True, "repulsion_power": int(power)}


def take_what_has_no_influence(arguments: Arguments) -> None:
    """Take the arguments that say how a model is made, or what the weights say as well."""
    for name in ("seed", "model_dtype", "do_derivatives", "compile_mode"):
        arguments.take(name, None)
    for name in ("scales", "shifts"):
        arguments.take(f"per_type_energy_{name}", None)
        arguments.take(f"per_type_energy_{name}_trainable", None)

"""What adapters make of a checkpoint, and what they say of one that they cannot read."""

import math
from dataclasses import dataclass, field
from typing import Any, TypeVar

from pydantic import TypeAdapter, ValidationError
from torch import Tensor

from lammps_les.models import Chain
from lammps_les.units import CACE_CHARGE_UNIT, NORM_CACE
from lammps_les_export.unpickler import Stub

_MISSING = object()
Config = TypeVar("Config")

NO_CHARGES: dict[str, dict[str, Any]] = {
    "long_range": {
        "sigma": 1.0,
        "dl": 2.0,
        "norm": NORM_CACE,
        "remove_self": False,
        "self_factor": 1.0,
    },
    "charges": {"unit": CACE_CHARGE_UNIT},
    "response": {"remove_mean": True, "bec_form": "local"},
}
"""Sections of the metadata of a network without charges."""


@dataclass(frozen=True)
class Choice:
    """What to take of a checkpoint that holds more than one model file can.

    Attributes:
        head: name of one of several readouts.
        elements: symbols, in the order of the species index; None = all.
    """

    head: str | None = None
    elements: tuple[str, ...] | None = None


EVERYTHING = Choice()


@dataclass(frozen=True)
class ImportedModel:
    """A checkpoint as a network and the facts about it that the file states.

    Attributes:
        network: in float64, the stored weights cast.
        metadata: ``long_range``, ``charges``, ``response`` and ``provenance`` of FORMAT.md, except
            what the network says itself (``charges.channels``) and what the file cannot know:
            ``charges.sign``, ``response.epsilon_inf``, and of ``provenance`` the date of export.
        suggested: ``charge_sign`` (list), ``epsilon_inf`` and ``atomic_energies``, where the file
            holds them.
        notes: a sentence for each decision that the file did not settle.
    """

    network: Chain
    metadata: dict[str, Any]
    suggested: dict[str, Any] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)


class UnsupportedModelError(ValueError):
    """The checkpoint has a part without counterpart here."""


def refuse_unless(condition: bool, reason: str) -> None:
    """Raise :class:`UnsupportedModelError` with ``reason``."""
    if not condition:
        raise UnsupportedModelError(f"checkpoint not supported: {reason}")


def agree(a: Any, b: Any) -> bool:
    """Whether two numbers are one, up to the precision of float32.

    A checkpoint holds some numbers as they were typed, others (buffers) rounded to its type, and
    few decimals survive that: 5.29 becomes 5.2899999618.
    """
    return math.isclose(float(a), float(b), rel_tol=1e-6)


def expect(module: Stub, name: str, value: Any, default: Any = _MISSING) -> None:
    """Refuse the model unless an attribute has the one value that is supported.

    Args:
        module: part of the checkpoint.
        name: attribute.
        value: numbers are compared to 1e-6, whether they are stored plain or as a tensor.
        default: what older versions, which lack the attribute, did.
    """
    found = module.get(name) if default is _MISSING else module.get(name, default)
    if isinstance(value, float) and isinstance(found, (int, float, Tensor)):
        same = agree(found, value)
    else:
        same = found == value
    refuse_unless(bool(same), f"{module.kind} has {name} = {found!r}, supported is {value!r}")


def checked(config: type[Config], **values: Any) -> Config:
    """A configuration with the limits on its values.

    Raises:
        UnsupportedModelError: a value that a network cannot have.
    """
    try:
        return TypeAdapter(config).validate_python(values)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"] if part in values) or "the model"
        reason = first["msg"].removeprefix("Value error, ")
        raise UnsupportedModelError(f"checkpoint not supported: {place}: {reason}") from None

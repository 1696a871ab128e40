"""What adapters make of a checkpoint, and what they say of one that they cannot read."""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, TypeVar

from pydantic import TypeAdapter, ValidationError
from torch import Tensor

from lammps_les.models import Chain
from lammps_les.units import CACE_CHARGE_UNIT, NORM_CACE
from lammps_les_export.unpickler import Stub

WARNING = "warning: "
"""Beginning of notes that say that something speaks against what was done."""
_MISSING = object()
DAMAGE = (LookupError, AttributeError, TypeError, ValueError, ArithmeticError, RuntimeError)
"""What damaged or forged content makes a reader raise."""
_REFUSED = "checkpoint not supported: "
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
        norm: of the long-range sum [eV A per file unit squared], where the file does not say it.
    """

    head: str | None = None
    elements: tuple[str, ...] | None = None
    norm: float | None = None


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
        raise UnsupportedModelError(f"{_REFUSED}{reason}")


@contextmanager
def reading(part: str) -> Iterator[None]:
    """Say of which part of a checkpoint it is that a reader found something else than expected.

    Raises:
        UnsupportedModelError: instead of what damaged or forged content makes a reader raise.
    """
    try:
        yield
    except UnsupportedModelError as error:
        reason = str(error).removeprefix(_REFUSED)
        raise UnsupportedModelError(f"{_REFUSED}{part}: {reason}") from error
    except DAMAGE as error:
        raise UnsupportedModelError(f"{_REFUSED}{part}: {said(error)}") from error


def said(error: Exception) -> str:
    """What an error says, in one line."""
    reason = error.args[0] if isinstance(error, KeyError) and error.args else error
    return shortened(str(reason))


def shortened(text: str) -> str:
    """A text in one line, and not at any length."""
    text = " ".join(text.split())
    return text if len(text) <= 160 else f"{text[:157]}..."


def quoted(value: Any) -> str:
    """A value in a message; of a tensor its size."""
    if isinstance(value, Tensor) and value.numel() != 1:
        return f"a tensor of {str(value.dtype).removeprefix('torch.')} and shape {[*value.shape]}"
    return shortened(repr(_plain(value)))


def _plain(value: Any) -> Any:
    return value.item() if isinstance(value, Tensor) and value.numel() == 1 else value


def weight(module: Stub, name: str, *shape: int) -> Tensor:
    """A tensor of real numbers, in float64.

    Args:
        module: part of the checkpoint.
        name: attribute.
        shape: what is expected; -1 = any length, none = any shape.
    """
    return real(module.get(name), name, *shape)


def real(found: Any, name: str, *shape: int) -> Tensor:
    """The same of a value that is at hand."""
    refuse_unless(
        isinstance(found, Tensor) and found.is_floating_point(),
        f"{name} is {quoted(found)} ({getattr(found, 'dtype', type(found).__name__)}), expected "
        "a tensor of real numbers",
    )
    fits = len(found.shape) == len(shape) and all(
        e in (-1, n) for n, e in zip(found.shape, shape, strict=True)
    )
    refuse_unless(
        not shape or fits,
        f"{name} is of shape {list(found.shape)}, expected {list(shape)}".replace("-1", "any"),
    )
    return found.double()


def number(module: Stub, name: str) -> float:
    """A finite real number, plain or as a tensor."""
    found = _plain(module.get(name))
    is_number = isinstance(found, (int, float)) and not isinstance(found, bool)
    refuse_unless(
        is_number and math.isfinite(found),
        f"{module.kind} has {name} = {quoted(found)}, expected a number",
    )
    return float(found)


def whole_number(module: Stub, name: str) -> int:
    """A whole number, plain or as a tensor."""
    found = number(module, name)
    refuse_unless(
        found.is_integer(), f"{module.kind} has {name} = {found}, expected a whole number"
    )
    return int(found)


def flag(module: Stub, name: str, *default: bool) -> bool:
    """Yes or no."""
    found = module.get(name, *default)
    refuse_unless(
        isinstance(found, bool),
        f"{module.kind} has {name} = {quoted(found)}, expected True or False",
    )
    return bool(found)


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
    found = _plain(module.get(name) if default is _MISSING else module.get(name, default))
    if isinstance(value, float) and isinstance(found, (int, float)):
        same = agree(found, value)
    else:
        same = not isinstance(found, Tensor) and found == value
    refuse_unless(bool(same), f"{module.kind} has {name} = {quoted(found)}, supported is {value!r}")


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
        raise UnsupportedModelError(f"{_REFUSED}{place}: {reason}") from None

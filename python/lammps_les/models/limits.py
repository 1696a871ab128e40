"""Which values a configuration of a network may have, and what is said of others."""

from collections.abc import Callable, Sequence
from typing import Annotated, Any

from ase.data import chemical_symbols
from pydantic import AfterValidator, Field, ValidationError, WrapValidator


def within(low: float, high: float, zero: bool = True) -> WrapValidator:
    """Validator of a number that has a meaning from ``low`` to ``high`` only, ends included.

    Args:
        low: least value; where it is a whole number, so is what is expected.
        high: largest value.
        zero: whether 0 is among what may be.
    """
    if isinstance(low, int):
        expected = f"expected a whole number from {low} to {high}"
    else:
        expected = f"expected a number from {low:g} to {high:g}" + ", not 0" * (not zero)

    def check(value: Any, handler: Callable[[Any], float]) -> float:
        try:
            number = float("nan") if isinstance(value, bool) else handler(value)
        except ValidationError:
            number = float("nan")
        if not low <= number <= high or (number == 0.0 and not zero):
            raise ValueError(expected)
        return number

    return WrapValidator(check)


Widths = Annotated[tuple[Annotated[int, within(1, 1024)], ...], Field(max_length=8)]
"""Of the hidden layers of a perceptron."""


Channels = Annotated[int, within(0, 64)]
"""Latent charges per atom; 0 = energy only."""


LATENTS = ("charge", "dipole", "quadrupole", "kappa", "alpha")
"""All latents that a network may have, in the order in which it gives them."""


def in_order(names: Sequence[str]) -> tuple[str, ...]:
    """Latents in the order of ``LATENTS``.

    Raises:
        ValueError: the charge is missing, or a name is unknown or stands twice.
    """
    if "charge" not in names or len(set(names)) < len(names) or not set(names) <= set(LATENTS):
        raise ValueError(f"expected charge and any of {', '.join(LATENTS[1:])}, each once")
    return tuple(name for name in LATENTS if name in names)


Latents = Annotated[tuple[str, ...], AfterValidator(in_order)]
"""What an atom has beside its energy, in the order of ``LATENTS``."""


def _elements(symbols: tuple[str, ...]) -> tuple[str, ...]:
    for symbol in symbols:
        if symbol not in chemical_symbols[1:]:
            raise ValueError(f"expected element symbols, '{symbol}' is none")
    if len(set(symbols)) < len(symbols):
        raise ValueError("expected each element once")
    return symbols


Elements = Annotated[tuple[str, ...], AfterValidator(_elements)]
"""Symbols of different elements; where there are none, a training takes those of its data."""

"""Parameters of the long-range sum."""

import math
from typing import NamedTuple


class LongRangeParameters(NamedTuple):
    """What a model file says about its long-range sum (FORMAT.md); part of the model, not numerics.

    Attributes:
        sigma: width [A] of the Gaussian that smears each charge.
        dl: real-space resolution [A]; wave vectors up to 2 pi / dl belong to the model.
        norm: N [eV A per charge unit squared].
        remove_self: whether the self-interaction is left out.
        self_factor: how many times it is subtracted in a periodic system where it is left out.
        open_shift: length [A] added to the distance that divides the open pair sum.
    """

    sigma: float
    dl: float
    norm: float
    remove_self: bool
    self_factor: float
    open_shift: float = 0.0


def self_interaction(parameters: LongRangeParameters) -> float:
    """Energy [eV] of a unit smeared charge in its own field, N / (sigma (2 pi)^1.5)."""
    return parameters.norm / (parameters.sigma * (2.0 * math.pi) ** 1.5)

"""Parameters of the long-range sum."""

import math
from typing import NamedTuple

import torch
from torch import Tensor


class LongRangeParameters(NamedTuple):
    """What a model file says about its long-range sum (FORMAT.md); part of the model, not numerics.

    Attributes:
        sigma: width [A] of the Gaussian that smears each source.
        dl: real-space resolution [A]; wave vectors up to 2 pi / dl belong to the model.
        norm: N [eV A per charge unit squared].
        remove_self: whether the self-interaction is left out.
        self_factor: how many times it is subtracted in a periodic system where it is left out.
        open_shift: length [A] added to the distance that divides the open pair sum of charges.
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


def own_fields(sources: Tensor, parameters: LongRangeParameters) -> Tensor:
    """dE/ds of each source in its own field: (c_q q, c_u u, c_Q Q).

    c_q = 2 N / (sigma (2 pi)^1.5), c_u = c_q / (3 sigma^2), c_Q = c_q / (10 sigma^4)

    Args:
        sources: [N, C, M], of ``packed_sources``.
        parameters: of the model.
    """
    c_q = 2.0 * self_interaction(parameters)
    c_u = c_q / (3.0 * parameters.sigma**2)
    c_quadrupole = c_q / (10.0 * parameters.sigma**4)
    q, u, quadrupole = sources[:, :, :1], sources[:, :, 1:4], sources[:, :, 4:]
    return torch.cat([c_q * q, c_u * u, c_quadrupole * quadrupole], dim=2)

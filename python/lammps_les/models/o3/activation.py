"""The activation of scalars and of gates."""

from torch import Tensor
from torch.nn.functional import silu

SILU_FACTOR = 1.6791767923989418
"""What e3nn multiplies silu by, so that of a normal variable it has second moment 1."""


def unit_silu(x: Tensor, factor: float = SILU_FACTOR) -> Tensor:
    """Silu, with the factor by which a normal variable keeps a mean square of 1.

    The factor, as that of ``unit_tanh``, is e3nn's: from a mean over 10^6 samples.
    """
    return factor * silu(x)

"""Layers without constants, with weights of variance 1 and the factor that keeps sizes."""

import math

import torch
from torch import Tensor, nn
from torch.nn.functional import silu


def unit_weights(*shape: int) -> nn.Parameter:
    """Weights drawn from a uniform distribution of variance 1."""
    return nn.Parameter(torch.empty(shape).uniform_(-math.sqrt(3.0), math.sqrt(3.0)))


class Linear(nn.Module):
    """y = gain / sqrt(n_in) x W, over the last axis.

    Args:
        n_in, n_out: lengths.
        gain: of the nonlinearity before.
    """

    def __init__(self, n_in: int, n_out: int, gain: float = 1.0) -> None:
        super().__init__()
        self.scale = gain / math.sqrt(n_in)
        self.weight = unit_weights(n_in, n_out)

    def forward(self, x: Tensor) -> Tensor:
        """[..., n_in] to [..., n_out]."""
        return x @ (self.weight * self.scale)


class Perceptron(nn.Module):
    """Linear layers with silu in between: 0 gives 0.

    Args:
        n_in, n_out: lengths.
        hidden: those in between; empty = linear.
    """

    def __init__(self, n_in: int, hidden: tuple[int, ...], n_out: int) -> None:
        super().__init__()
        widths = (n_in, *hidden, n_out)
        self.layers = nn.ModuleList(
            Linear(a, b, 1.0 if index == 0 else math.sqrt(2.0))
            for index, (a, b) in enumerate(zip(widths[:-1], widths[1:], strict=True))
        )

    def forward(self, x: Tensor) -> Tensor:
        """[..., n_in] to [..., n_out]."""
        for index, layer in enumerate(self.layers):
            if index > 0:
                x = silu(x)
            x = layer(x)
        return x

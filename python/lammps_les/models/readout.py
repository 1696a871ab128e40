"""From invariants of an atom to numbers."""

from collections.abc import Sequence

from torch import Tensor, nn
from torch.nn.functional import silu


class Perceptron(nn.Module):
    """Linear layers with silu in between, none after the last.

    Args:
        sizes: width of the input, of each hidden layer and of the output.
        bias: whether the layers have constants.
    """

    def __init__(self, sizes: Sequence[int], bias: bool = True) -> None:
        super().__init__()
        pairs = list(zip(sizes[:-1], sizes[1:], strict=True))
        self.hidden = nn.ModuleList(nn.Linear(a, b, bias) for a, b in pairs[:-1])
        self.last = nn.Linear(*pairs[-1], bias)

    def forward(self, features: Tensor) -> Tensor:
        """Features [n, sizes[0]] to [n, sizes[-1]]."""
        for layer in self.hidden:
            features = silu(layer(features))
        return self.last(features)


class Readout(nn.Module):
    """scale (perceptron(B) + linear(B)) for each atom.

    Args:
        n_features: length of B.
        n_out: numbers per atom.
        hidden, bias, linear, scale: see :class:`lammps_les.models.ReadoutConfig`.
    """

    def __init__(
        self,
        n_features: int,
        n_out: int,
        hidden: Sequence[int],
        bias: bool,
        linear: bool,
        scale: float,
    ) -> None:
        super().__init__()
        self.scale = scale
        self.perceptron = Perceptron([n_features, *hidden, n_out], bias)
        self.linear = nn.Linear(n_features, n_out, bias) if linear else None

    def forward(self, features: Tensor) -> Tensor:
        """Features [n, n_features] to [n, n_out]."""
        out = self.perceptron(features)
        if self.linear is not None:
            out = out + self.linear(features)
        return out * self.scale

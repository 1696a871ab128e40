"""From invariants of an atom to numbers."""

from collections.abc import Sequence

import torch
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
        return self.store(features)[0]

    def store(self, features: Tensor) -> tuple[Tensor, list[Tensor]]:
        """The same, and what ``backward`` needs: the hidden layers before their silu."""
        stored: list[Tensor] = []
        for layer in self.hidden:
            stored.append(layer(features))
            features = silu(stored[-1])
        return self.last(features), stored

    def backward(self, stored: list[Tensor], weights: Tensor) -> Tensor:
        """Gradient of a weighed sum of outputs by the features.

        Args:
            stored: of ``store``.
            weights: [..., n, sizes[-1]].

        Returns:
            [..., sizes[0], n].
        """
        matrix, by_first = self.first_backward(stored, weights)
        return matrix.t() @ by_first.transpose(-2, -1)

    def first_backward(self, stored: list[Tensor], weights: Tensor) -> tuple[Tensor, Tensor]:
        """The matrix of the first layer, and the gradient by its result, [..., n, sizes[1]]."""
        layers: list[Tensor] = []
        for layer in self.hidden:
            layers.append(layer.weight)  # type: ignore[arg-type]
        layers.append(self.last.weight)
        for index in range(len(stored) - 1, -1, -1):
            gate = torch.sigmoid(stored[index])
            slope = gate * (1.0 + stored[index] * (1.0 - gate))  # of silu
            weights = (weights @ layers[index + 1]) * slope
        return layers[0], weights


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
        self.n_stored = len(hidden)
        self.perceptron = Perceptron([n_features, *hidden, n_out], bias)
        self.linear = nn.Linear(n_features, n_out, bias) if linear else None

    def forward(self, features: Tensor) -> Tensor:
        """Features [n, n_features] to [n, n_out]."""
        return self.store(features)[0]

    def store(self, features: Tensor) -> tuple[Tensor, list[Tensor]]:
        """The same, and what ``backward`` needs."""
        out, stored = self.perceptron.store(features)
        if self.linear is not None:
            out = out + self.linear(features)
        return out * self.scale, stored

    def backward(self, stored: list[Tensor], weights: Tensor) -> Tensor:
        """Weights [..., n, n_out] of outputs to the gradient by features, [..., n_features, n]."""
        weights = weights * self.scale
        matrix, by_first = self.perceptron.first_backward(stored, weights)
        if self.linear is not None:
            matrix = torch.cat([matrix, self.linear.weight])
            by_first = torch.cat([by_first, weights], -1)
        return matrix.t() @ by_first.transpose(-2, -1)

"""What an atom learns from the features of its neighbors."""

import torch
from torch import Tensor, nn

from lammps_les.models.basis import EdgeBasis, mix, sum_neighbors
from lammps_les.models.config import MessageConfig, RepresentationConfig
from lammps_les.models.readout import Perceptron


class InvariantMessage(nn.Module):
    """Weight h(B_j) of neighbor j in the edge basis, "Bchi" of Cheng (2024).

    Args:
        n_features: length of B of one layer.
        representation: gives max_l and the number of channels.
        config: whether h differs by l and channel, and its hidden layers.
    """

    def __init__(
        self, n_features: int, representation: RepresentationConfig, config: MessageConfig
    ) -> None:
        super().__init__()
        self.n_orders = representation.max_l + 1 if config.per_l else 1
        self.n_channels = representation.embedding_size**2 if config.per_channel else 1
        n_out = self.n_orders * self.n_channels
        self.perceptron = Perceptron([n_features, *config.invariant_hidden, n_out])
        self.size = self.n_orders * max(self.n_channels, representation.embedding_size)

    def weights(self, features: Tensor, embedding: Tensor) -> Tensor:
        """What atoms send, [n, size].

        Args:
            features: [n, n_features].
            embedding: [n, K] of the element as sender.
        """
        rows, k = embedding.shape
        h = self.perceptron(features).view(rows, self.n_orders, self.n_channels)
        if self.n_channels == 1:
            h = h * embedding.unsqueeze(1)
        else:
            h = h.view(rows, self.n_orders, k, k) * embedding.view(rows, 1, k, 1)
        return h.reshape(rows, self.size)

    def forward(self, sent: Tensor, basis: EdgeBasis) -> Tensor:
        """Sum over neighbors.

        Args:
            sent: [n, m, size] weights of the neighbors.
            basis: of n atoms.

        Returns:
            [l, K or K**2, b, n].
        """
        n, width, size = sent.shape
        h = sent.reshape(n, width, self.n_orders, size // self.n_orders)
        return sum_neighbors(basis, h.permute(2, 3, 0, 1))


class AttenuatedMessage(nn.Module):
    """Neighbors' A basis, each component times p exp(-r kappa) f_cut(r), "Ar" of Cheng (2024).

    Args:
        representation: gives max_l, channels, n_radial and the cutoff.
    """

    def __init__(self, representation: RepresentationConfig) -> None:
        super().__init__()
        self.channels = representation.embedding_size**2
        shape = [representation.max_l + 1, self.channels * representation.n_radial]
        self.prefactor = nn.Parameter(torch.rand(shape))
        self.kappa = nn.Parameter((torch.rand(shape) + 0.5) / representation.cutoff)

    def forward(self, sent: Tensor, basis: EdgeBasis) -> Tensor:
        """Sum over neighbors.

        Args:
            sent: [n, m, l * c * b] A basis of the neighbors, the radial functions fastest.
            basis: of n atoms.

        Returns:
            [l, c, b, n].
        """
        n, width, size = sent.shape
        n_angular, per_angular = basis.angular.size(1), self.kappa.size(1)
        blocks = torch.split(sent, [count * per_angular for count in basis.sizes], 2)
        parts = []
        for order, block in enumerate(blocks):
            decay = torch.exp(-basis.distance.unsqueeze(2) * self.kappa[order])
            decay = decay * (self.prefactor[order] * basis.step.unsqueeze(2))  # [n, m, (c b)]
            block = block.reshape(n, width, basis.sizes[order], per_angular)
            parts.append((block * decay.unsqueeze(2)).sum(1))
        out = torch.cat(parts, 1).view(n, n_angular, self.channels, per_angular // self.channels)
        return out.permute(1, 2, 3, 0)


class MessageLayer(nn.Module):
    """The next A basis, from the last one and the features made of it.

    A' = memory A + (attenuated + invariant messages, over all neighbors) / sqrt(average_neighbors)

    Args:
        n_features: invariants of one layer.
        n_angular: components of the angular basis.
        representation: shapes.
        config: which of the three terms there are.

    Attributes:
        n_own: columns of what an atom keeps of its A basis.
        n_sent: columns of what its neighbors get.

    Raises:
        ValueError: neither of the messages is there.
    """

    def __init__(
        self,
        n_features: int,
        n_angular: int,
        representation: RepresentationConfig,
        config: MessageConfig,
    ) -> None:
        super().__init__()
        if not (config.attenuated or config.invariant):
            raise ValueError("a message needs 'attenuated' or 'invariant', or both")
        self.norm = representation.average_neighbors**-0.5
        channels = representation.embedding_size**2
        shape = [representation.max_l + 1, channels, 1, representation.n_radial]
        self.memory = nn.Parameter(torch.full(shape, 0.25)) if config.memory else None
        self.attenuated = AttenuatedMessage(representation) if config.attenuated else None
        self.invariant = None
        table = n_angular * channels * representation.n_radial
        self.n_own = table if config.memory else 0
        self.n_sent = table if config.attenuated else 0
        if config.invariant:
            self.invariant = InvariantMessage(n_features, representation, config)
            self.n_sent += self.invariant.size

    def leave(
        self, a: Tensor, earlier: Tensor, features: Tensor, embedding: Tensor
    ) -> list[Tensor]:
        """What the last layer leaves to this one.

        Args:
            a: A basis [l, c, m, n] of the last layer.
            earlier: [n, ...] features of the layers before.
            features: [n, n_features], those of the last layer.
            embedding: [n, K] of the element as sender.

        Returns:
            what atoms keep, [n, features of all layers so far and ``n_own``]; and what they send,
            [n, n_sent].
        """
        table = a.flatten(0, 2).t()  # [n, (l c m)]
        own, sent = [earlier, features], torch.jit.annotate(list[Tensor], [])
        if self.memory is not None:
            own.append(table)
        if self.invariant is not None:
            sent.append(self.invariant.weights(features, embedding))
        if self.attenuated is not None:
            sent.append(table)
        return [torch.cat(own, 1), sent[0] if len(sent) == 1 else torch.cat(sent, 1)]

    def forward(
        self,
        own: Tensor,
        sent: Tensor,
        receiver: Tensor,
        mixing: Tensor,
        order: Tensor,
        basis: EdgeBasis,
    ) -> Tensor:
        """The A basis of n atoms.

        Args:
            own: [n, n_own] what they have kept of the last one.
            sent: [n, m, n_sent] what their neighbors have sent.
            receiver: [K, n] of the element as receiver.
            mixing: [l, c, b, m] of the radial functions.
            order: [l] angular order of each component.
            basis: of the edges.

        Returns:
            A basis [l, c, m, n].
        """
        n_angular, channels, _, n_radial = mixing.shape
        first, rest = sent, sent
        if self.invariant is not None and self.attenuated is not None:
            sizes = [self.invariant.size, sent.size(2) - self.invariant.size]
            first, rest = torch.split(sent, sizes, 2)
        terms: list[Tensor] = []
        if self.invariant is not None:
            terms.append(mix(self.invariant(first, basis), receiver, mixing))
        if self.attenuated is not None:
            terms.append(self.attenuated(rest, basis))
        out = torch.stack(terms).sum(0) * self.norm
        if self.memory is not None:
            table = own.t().view(n_angular, channels, n_radial, own.size(0))
            out = out + self.memory[order].transpose(2, 3) * table
        return out

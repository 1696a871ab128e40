"""What an atom learns from the features of its neighbors."""

import torch
from torch import Tensor, nn

from lammps_les.electrostatics.layers import Cut
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
        representation: shapes.
        config: which of the three terms there are.

    Raises:
        ValueError: neither of the messages is there.
    """

    def __init__(
        self, n_features: int, representation: RepresentationConfig, config: MessageConfig
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
        if config.invariant:
            self.invariant = InvariantMessage(n_features, representation, config)

    def cut(
        self,
        a: Tensor,
        features: Tensor,
        earlier: Tensor,
        embedding: Tensor,
        neighbor: Tensor,
        vectors: Tensor,
    ) -> Cut:
        """What the last layer leaves to the first n atoms of this one; arguments of ``forward``."""
        table = a.flatten(0, 2).t()  # [rows, (l c m)]
        own, sent = [earlier, features], [features[:, :0]]
        if self.memory is not None:
            own.append(table)
        if self.invariant is not None:
            sent.append(self.invariant.weights(features, embedding))
        if self.attenuated is not None:
            sent.append(table)
        made = torch.cat(own + sent, 1)
        n_own = sum([part.size(1) for part in own])
        kept, given = torch.split(made, [n_own, made.size(1) - n_own], 1)
        row = neighbor.reshape(-1)
        others = torch.cat([given, given.new_zeros([1, given.size(1)])])
        return Cut(
            made,
            kept[: neighbor.size(0)],
            others.index_select(0, row),
            row,
            vectors.detach().flatten(1).t(),
        )

    def forward(
        self,
        a: Tensor,
        features: Tensor,
        earlier: Tensor,
        embedding: Tensor,
        receiver: Tensor,
        mixing: Tensor,
        order: Tensor,
        neighbor: Tensor,
        vectors: Tensor,
        basis: EdgeBasis,
    ) -> tuple[Tensor, Tensor, Cut]:
        """The A basis of the first n atoms.

        Args:
            a: A basis [l, c, m, rows] of the last layer.
            features: invariants of it, [rows, n_features].
            earlier: [rows, ...] features of the layers before.
            embedding: [rows, K] of the element as sender.
            receiver: [K, n] of the element as receiver.
            mixing: [l, c, b, m] of the radial functions.
            order: [l] angular order of each component.
            neighbor: [n, m] row of the neighbor, or ``rows`` for none.
            vectors: [3, n, m] edge vectors [A].
            basis: of n atoms.

        Returns:
            A basis [l, c, m, n]; features [n, ...] of all layers before this one, in their order;
            what passed from the last layer to this one.
        """
        cut = self.cut(a, features, earlier, embedding, neighbor, vectors)
        own = cut.own
        n, width = basis.distance.shape
        n_angular, channels, _, n_radial = mixing.shape
        sent = cut.sent.view(n, width, cut.sent.size(1))
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
            n_table = n_angular * channels * n_radial
            own, table = torch.split(own, [own.size(1) - n_table, n_table], 1)
            table = table.t().view(n_angular, channels, n_radial, n)
            out = out + self.memory[order].transpose(2, 3) * table
        return out, own, cut

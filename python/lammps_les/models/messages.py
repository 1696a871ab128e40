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

    def forward(
        self, features: Tensor, embedding: Tensor, neighbor: Tensor, basis: EdgeBasis
    ) -> Tensor:
        """Sum over neighbors.

        Args:
            features: [n_all_rows, n_features].
            embedding: [n_all_rows, K] of the element as sender.
            neighbor: [n, m] row of the neighbor, or n_all_rows for none.
            basis: of n atoms.

        Returns:
            [l, K or K**2, n, b].
        """
        rows, k = embedding.shape
        h = self.perceptron(features).view(rows, self.n_orders, self.n_channels)
        if self.n_channels == 1:
            h = h * embedding[:, None, :]
        else:
            h = h.view(rows, self.n_orders, k, k) * embedding[:, None, :, None]
            h = h.view(rows, self.n_orders, k * k)
        h = torch.cat([h, torch.zeros_like(h[:1])])
        n, width = neighbor.shape
        h = h.index_select(0, neighbor.reshape(n * width)).view(n, width, h.size(1), h.size(2))
        return sum_neighbors(basis, h.permute(2, 3, 0, 1))


class AttenuatedMessage(nn.Module):
    """Neighbors' A basis, each component times p exp(-r kappa) f_cut(r), "Ar" of Cheng (2024).

    Args:
        representation: gives max_l, channels, n_radial and the cutoff.
    """

    def __init__(self, representation: RepresentationConfig) -> None:
        super().__init__()
        channels = representation.embedding_size**2
        shape = [representation.max_l + 1, channels * representation.n_radial]
        self.prefactor = nn.Parameter(torch.rand(shape))
        self.kappa = nn.Parameter((torch.rand(shape) + 0.5) / representation.cutoff)

    def forward(self, a: Tensor, neighbor: Tensor, basis: EdgeBasis) -> Tensor:
        """Sum over neighbors.

        Args:
            a: [l, c, n_all_rows, m].
            neighbor: [n, m] row of the neighbor, or n_all_rows for none.
            basis: of n atoms.

        Returns:
            [l, c, n, m].
        """
        n, width = neighbor.shape
        n_angular, channels, _, n_radial = a.shape
        table = a.permute(2, 0, 1, 3).reshape(a.size(2), n_angular, channels * n_radial)
        table = torch.cat([table, torch.zeros_like(table[:1])])
        row = neighbor.reshape(n * width)
        parts = []
        for order, block in enumerate(torch.split(table, basis.sizes, 1)):
            decay = torch.exp(-basis.distance[..., None] * self.kappa[order])
            decay = decay * (self.prefactor[order] * basis.step[..., None])  # [n, m, (c b)]
            sent = block.index_select(0, row).view(n, width, block.size(1), channels * n_radial)
            parts.append((sent * decay[:, :, None, :]).sum(1))
        return torch.cat(parts, 1).view(n, n_angular, channels, n_radial).permute(1, 2, 0, 3)


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

    def forward(
        self,
        a: Tensor,
        features: Tensor,
        embedding: Tensor,
        receiver: Tensor,
        mixing: Tensor,
        order: Tensor,
        neighbor: Tensor,
        basis: EdgeBasis,
    ) -> Tensor:
        """A basis [l, c, n, m] of the first n atoms.

        Args:
            a: A basis [l, c, n_all_rows, m].
            features: invariants of it, [n_all_rows, n_features].
            embedding: [n_all_rows, K] of the element as sender.
            receiver: [K, n] of the element as receiver.
            mixing: [l, c, b, m] of the radial functions.
            order: [l] angular order of each component.
            neighbor: [n, m] row of the neighbor, or n_all_rows for none.
            basis: of n atoms.
        """
        terms: list[Tensor] = []
        if self.invariant is not None:
            summed = self.invariant(features, embedding, neighbor, basis)
            terms.append(mix(summed, receiver, mixing))
        if self.attenuated is not None:
            terms.append(self.attenuated(a, neighbor, basis))
        out = torch.stack(terms).sum(0) * self.norm
        if self.memory is not None:
            out = out + self.memory[order] * a[:, :, : neighbor.size(0)]
        return out

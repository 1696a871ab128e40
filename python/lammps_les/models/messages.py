"""What an atom learns from the features of its neighbors."""

import torch
from torch import Tensor, nn

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
        self.perceptron = Perceptron(
            [n_features, *config.invariant_hidden, self.n_orders * self.n_channels]
        )

    def forward(self, features: Tensor, embedding: Tensor) -> Tensor:
        """The weight h times the neighbor's share of the element embedding.

        Args:
            features: [n, n_features].
            embedding: [n, K].

        Returns:
            [n, 1 or max_l+1, K or K**2].
        """
        n, k = embedding.shape
        h = self.perceptron(features).view(n, self.n_orders, self.n_channels)
        if self.n_channels == 1:
            return h * embedding[:, None, :]
        h = h.view(n, self.n_orders, k, k) * embedding[:, None, :, None]
        return h.view(n, self.n_orders, k * k)


class AttenuatedMessage(nn.Module):
    """Neighbors' A basis, each component times p exp(-r kappa) f_cut(r), "Ar" of Cheng (2024).

    Args:
        representation: gives max_l, channels, n_radial and the cutoff.
    """

    def __init__(self, representation: RepresentationConfig) -> None:
        super().__init__()
        shape = [
            representation.max_l + 1,
            representation.embedding_size**2 * representation.n_radial,
        ]
        self.prefactor = nn.Parameter(torch.rand(shape))
        self.kappa = nn.Parameter((torch.rand(shape) + 0.5) / representation.cutoff)

    def forward(
        self, a: Tensor, neighbor_row: Tensor, distance: Tensor, step: Tensor, sizes: list[int]
    ) -> Tensor:
        """Sum over neighbors.

        Args:
            a: [n_angular, channels, n_all_rows, n_radial].
            neighbor_row: [n, m] row of ``a``, or n_all_rows for none.
            distance: [n, m] in A.
            step: [n, m] polynomial cutoff.
            sizes: components of each angular order.

        Returns:
            [n_angular, channels, n, n_radial].
        """
        n, m = neighbor_row.shape
        n_angular, channels, _, n_radial = a.shape
        table = a.permute(2, 0, 1, 3).reshape(a.size(2), n_angular, channels * n_radial)
        table = torch.cat([table, torch.zeros_like(table[:1])])
        row = neighbor_row.reshape(n * m)
        parts = []
        for order, block in enumerate(torch.split(table, sizes, 1)):
            decay = torch.exp(-distance[..., None] * self.kappa[order])
            decay = decay * (self.prefactor[order] * step[..., None])  # [n, m, (c b)]
            sent = block.index_select(0, row).view(n, m, sizes[order], channels * n_radial)
            parts.append((sent * decay[:, :, None, :]).sum(1))
        return torch.cat(parts, 1).view(n, n_angular, channels, n_radial).permute(1, 2, 0, 3)

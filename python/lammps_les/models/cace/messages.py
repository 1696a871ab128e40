"""What an atom learns from the features of its neighbors."""

import torch
from torch import Tensor, nn

from lammps_les.models.cace.basis import EdgeBasis, sum_neighbors
from lammps_les.models.cace.config import MessageConfig, RepresentationConfig
from lammps_les.models.cace.edge_gradients import EdgeSlopes, sum_neighbors_backward
from lammps_les.models.cace.readout import Perceptron


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
        self.sums = max(self.n_channels, representation.embedding_size)  # channels
        self.size = self.n_orders * self.sums
        self.n_stored = 1
        self.n_stored_of_weights = 1 + len(config.invariant_hidden)

    def weights(self, features: Tensor, embedding: Tensor) -> tuple[Tensor, list[Tensor]]:
        """What atoms send, [n, size], and what ``weights_backward`` needs.

        Args:
            features: [n, n_features].
            embedding: [n, K] of the element as sender.
        """
        rows, k = embedding.shape
        h, stored = self.perceptron.store(features)
        if self.n_channels == 1:
            h = h.view(rows, self.n_orders, 1) * embedding.unsqueeze(1)
        else:
            h = h.view(rows, self.n_orders, k, k) * embedding.view(rows, 1, k, 1)
        return h.reshape(rows, self.size), [embedding] + stored

    def weights_backward(self, stored: list[Tensor], gradients: Tensor) -> Tensor:
        """Gradients by what atoms send, [k, n, size], to those by features [k, n_features, n]."""
        embedding, sets = stored[0], gradients.size(0)
        n, k = embedding.shape
        if self.n_channels == 1:
            by_h = (gradients.reshape(sets, n, self.n_orders, k) * embedding.unsqueeze(1)).sum(3)
        else:
            shape = [sets, n, self.n_orders, k, k]
            by_h = gradients.reshape(shape) * embedding.view(n, 1, k, 1)
        n_out = self.n_orders * self.n_channels
        return self.perceptron.backward(stored[1:], by_h.view(sets, n, n_out))

    def forward(self, sent: Tensor, basis: EdgeBasis) -> tuple[Tensor, list[Tensor]]:
        """Sum over neighbors, and what ``backward`` needs.

        Args:
            sent: [n, m, size] weights of the neighbors.
            basis: of n atoms.

        Returns:
            [l, K or K**2, b, n].
        """
        n, width = basis.distance.shape
        weights = sent.view(n, width, self.n_orders, self.sums)
        return sum_neighbors(basis, weights), [weights]

    def backward(
        self,
        stored: list[Tensor],
        basis: EdgeBasis,
        slopes: EdgeSlopes,
        gradients: list[Tensor],
        by_sent: Tensor,
    ) -> tuple[Tensor, Tensor]:
        """Gradients by the result to those by lengths [k, n, m] and unit vectors [k, n, 3, m].

        Args:
            stored: of ``forward``.
            basis: the same.
            slopes: of ``basis``.
            gradients: k of them, [l, (c b), n].
            by_sent: [k, n, m, size], where those by ``sent`` are written.
        """
        by_weights = by_sent.view(list(by_sent.shape[:3]) + [self.n_orders, self.sums])
        return sum_neighbors_backward(basis, slopes, stored[0], gradients, by_weights)


class AttenuatedMessage(nn.Module):
    """Neighbors' A basis, each component times p exp(-r kappa) f_cut(r), "Ar" of Cheng (2024).

    Args:
        representation: gives max_l, channels, n_radial and the cutoff.
    """

    def __init__(self, representation: RepresentationConfig) -> None:
        super().__init__()
        per_angular = representation.embedding_size**2 * representation.n_radial
        shape = [representation.max_l + 1, per_angular]
        self.prefactor = nn.Parameter(torch.rand(shape))
        self.kappa = nn.Parameter((torch.rand(shape) + 0.5) / representation.cutoff)
        self.n_stored = 2 + representation.max_l

    def forward(self, sent: Tensor, basis: EdgeBasis) -> tuple[Tensor, list[Tensor]]:
        """Sum over neighbors without p, and what ``backward`` needs.

        Args:
            sent: [n, m, (l c b)] A basis of the neighbors.
            basis: of n atoms.

        Returns:
            [n, l, (c b)].
        """
        n, width = basis.distance.shape
        decay = torch.exp(basis.distance.unsqueeze(2) * -self.kappa.flatten())  # [n, m, (o c b)]
        step = basis.step.unsqueeze(1)
        factors = self.by_order(decay)
        stored, parts = [decay], torch.jit.annotate(list[Tensor], [])
        for order, block in enumerate(self.blocks(sent, basis.sizes)):
            terms = block * factors[order].unsqueeze(2)
            stored.append(terms.view(n, width, block.size(2) * block.size(3)))
            parts.append(torch.bmm(step, stored[-1]))
        shape = [n, basis.angular.size(1), self.kappa.size(1)]
        return torch.cat(parts, 2).view(shape), stored

    def backward(
        self,
        stored: list[Tensor],
        basis: EdgeBasis,
        slopes: EdgeSlopes,
        gradients: list[Tensor],
        by_sent: Tensor,
        by_length: Tensor,
    ) -> None:
        """Gradients by the result to those by what was sent and by lengths.

        Args:
            stored: of ``forward``.
            basis: the same.
            slopes: of ``basis``.
            gradients: k of them, [n, l, (c b)].
            by_sent: [k, n, m, (l c b)], where those by ``sent`` are written.
            by_length: [k, n, m], to which those by lengths are added.
        """
        n = basis.distance.size(0)
        factors = self.by_order(stored[0] * basis.step.unsqueeze(2))
        for index, g in enumerate(gradients):
            out = self.blocks(by_sent[index], basis.sizes)
            by_length_of_set = by_length[index]
            for order, of_order in enumerate(torch.split(g, basis.sizes, 1)):
                torch.mul(factors[order].unsqueeze(2), of_order.unsqueeze(1), out=out[order])
                rates = torch.stack(
                    [of_order, of_order * -self.kappa[order]], 3
                )  # [n, l, (c b), 2]
                terms = stored[1 + order]
                both = torch.bmm(terms, rates.view(n, terms.size(2), 2))
                steps, slope = torch.unbind(both, 2)  # what the slopes of step and of exp meet
                by_length_of_set.addcmul_(steps, slopes.step).addcmul_(slope, basis.step)

    def blocks(self, table: Tensor, sizes: list[int]) -> list[Tensor]:
        """A table [n, m, (l c b)] by order, each [n, m, components, (c b)]."""
        out: list[Tensor] = []
        per_angular = self.kappa.size(1)
        for part in torch.split(table, [size * per_angular for size in sizes], 2):
            shape = [part.size(0), part.size(1), part.size(2) // per_angular, per_angular]
            out.append(part.view(shape))
        return out

    def by_order(self, values: Tensor) -> list[Tensor]:
        """[n, m, (o c b)] by order, each [n, m, (c b)]."""
        return list(torch.split(values, self.kappa.size(1), 2))

"""The A basis of layers after the first."""

import torch
from torch import Tensor, nn

from lammps_les.models.cace.basis import EdgeBasis, mix, mix_backward
from lammps_les.models.cace.config import MessageConfig, RepresentationConfig
from lammps_les.models.cace.edge_gradients import EdgeSlopes
from lammps_les.models.cace.messages import AttenuatedMessage, InvariantMessage


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
        n_sent: columns of what its neighbors get: weights made of invariants, and the A basis.
        n_stored, n_stored_of_leave: tensors that ``backward`` and ``leave_backward`` need.

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
        self.n_sent = [0, table if config.attenuated else 0]
        self.n_stored = 0 if self.attenuated is None else self.attenuated.n_stored
        self.n_stored_of_leave = 0
        if config.invariant:
            self.invariant = InvariantMessage(n_features, representation, config)
            self.n_sent[0] = self.invariant.size
            self.n_stored += self.invariant.n_stored
            self.n_stored_of_leave = self.invariant.n_stored_of_weights

    def leave(
        self, a: Tensor, earlier: Tensor, features: Tensor, embedding: Tensor
    ) -> tuple[list[Tensor], list[Tensor]]:
        """What the last layer leaves to this one, and what ``leave_backward`` needs.

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
        own, sent, stored = [earlier, features], table[:, :0], torch.jit.annotate(list[Tensor], [])
        if self.memory is not None:
            own.append(table)
        if self.attenuated is not None:
            sent = table
        if self.invariant is not None:
            weights, stored = self.invariant.weights(features, embedding)
            sent = weights if self.attenuated is None else torch.cat([weights, sent], 1)
        return [torch.cat(own, 1), sent], stored

    def leave_backward(
        self, stored: list[Tensor], by_own: Tensor, by_sent: Tensor, by_features: Tensor
    ) -> Tensor:
        """Gradients by what was left to those by the A basis and by the features.

        Args:
            stored: of ``leave``.
            by_own: [k, n_own, n].
            by_sent: [k, n, n_sent].
            by_features: [k, n_features, n], to which those by the features are added.

        Returns:
            [k, (l c m), n], or [k, 0, n] where the A basis is not left.
        """
        of_weights, of_table = torch.split(by_sent, self.n_sent, 2)
        if self.invariant is not None:
            by_features += self.invariant.weights_backward(stored, of_weights)
        if self.attenuated is None:
            return by_own
        if self.memory is None:
            return of_table.transpose(1, 2)
        return by_own + of_table.transpose(1, 2)

    def forward(
        self,
        own: Tensor,
        sent: Tensor,
        receiver: Tensor,
        mixing: Tensor,
        order: Tensor,
        basis: EdgeBasis,
    ) -> tuple[Tensor, list[Tensor]]:
        """The A basis of n atoms, and what ``backward`` needs.

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
        shape = [n_angular, channels, n_radial, own.size(0)]
        of_invariants, table = torch.split(sent, self.n_sent, 2)
        terms, stored = torch.jit.annotate(list[Tensor], []), torch.jit.annotate(list[Tensor], [])
        if self.invariant is not None:
            summed, more = self.invariant(of_invariants, basis)
            terms.append(mix(summed, receiver * self.norm, mixing))
            stored += more
        if self.attenuated is not None:
            summed, more = self.attenuated(table, basis)
            scaled = summed * (self.attenuated.prefactor * self.norm)[order]
            terms.append(scaled.permute(1, 2, 0).reshape(shape))
            stored += more
        if self.memory is not None:
            terms.append(self.memory[order].transpose(2, 3) * own.t().view(shape))
        out = terms[0]
        for term in terms[1:]:
            out = out + term
        return out, stored

    def backward(
        self,
        stored: list[Tensor],
        by_a: Tensor,
        receiver: Tensor,
        mixing: Tensor,
        order: Tensor,
        basis: EdgeBasis,
        slopes: EdgeSlopes,
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Gradients by the A basis, [k, l, (c m n)], to those by what ``forward`` took.

        Returns:
            by ``own`` [k, n, n_own], by ``sent`` [k, n, m, n_sent], by lengths [k, n, m] and by
            unit vectors [k, n, 3, m].
        """
        k = by_a.size(0)
        n, width = basis.distance.shape
        n_angular, channels, _, n_radial = mixing.shape
        by_sent = by_a.new_empty([k, n, width, sum(self.n_sent)])
        by_weights, by_table = torch.split(by_sent, self.n_sent, 3)
        gradients: list[Tensor] = []
        if self.invariant is not None:
            for gradient in torch.unbind(by_a):
                gradients.append(
                    mix_backward(gradient, receiver * self.norm, mixing, self.invariant.sums)
                )
            by_length, by_unit = self.invariant.backward(
                stored, basis, slopes, gradients, by_weights
            )
            stored = stored[self.invariant.n_stored :]
        else:
            by_length, by_unit = by_a.new_zeros([k, n, width]), by_a.new_zeros([k, n, 3, width])
        if self.attenuated is not None:
            scale = (self.attenuated.prefactor * self.norm)[order]
            gradients = []
            for gradient in torch.unbind(by_a):
                of_center = gradient.view(n_angular, channels * n_radial, n).permute(2, 0, 1)
                gradients.append((of_center * scale).contiguous())
            self.attenuated.backward(stored, basis, slopes, gradients, by_table, by_length)
        by_own = by_a.new_empty([k, n, 0])
        if self.memory is not None:
            shape = [k, n_angular, channels, n_radial, n]
            by_own = by_a.view(shape) * self.memory[order].transpose(2, 3)
            by_own = by_own.view(k, self.n_own, n).transpose(1, 2)
        return by_own, by_sent, by_length, by_unit

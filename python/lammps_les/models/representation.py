"""Cartesian atomic cluster expansion (CACE): Cheng, npj Comput. Mater. 10, 157 (2024)."""

import torch
from torch import Tensor, nn

from lammps_les.models.config import MessageConfig, RepresentationConfig
from lammps_les.models.environments import pad_edges
from lammps_les.models.invariants import AngularBasis, Invariants
from lammps_les.models.messages import AttenuatedMessage, InvariantMessage
from lammps_les.models.radial import BesselBasis, polynomial_cutoff

SOFTENING = 1e-9
"""Added to the length [A] by which edge vectors are divided, as in the published models: without it
their charges are reproduced to 1e-7 only."""


class MessageLayer(nn.Module):
    """Parameters by which one message-passing layer makes the next A basis.

    A' = memory A + (attenuated + invariant messages, over all neighbors) / sqrt(average_neighbors)

    Args:
        n_features: invariants of one layer.
        representation: shapes.
        config: which of the three terms there are.
    """

    def __init__(
        self, n_features: int, representation: RepresentationConfig, config: MessageConfig
    ) -> None:
        super().__init__()
        self.norm = representation.average_neighbors**-0.5
        shape = [
            representation.max_l + 1,
            representation.embedding_size**2,
            1,
            representation.n_radial,
        ]
        self.memory = nn.Parameter(torch.full(shape, 0.25)) if config.memory else None
        self.attenuated = AttenuatedMessage(representation) if config.attenuated else None
        self.invariant = (
            InvariantMessage(n_features, representation, config) if config.invariant else None
        )


class CaceRepresentation(nn.Module):
    """Invariants of atomic environments.

    The A basis of center i, with sender (neighbor) element a and receiver (center) element b as
    channels, is

        A_{i,m,l,ab} = sum_k W^l_{km,ab} v_b(z_i) sum_j u_a(z_j) R_k(r_ij) f_cut(r_ij) Y_l(r_ij)

    with the monomials Y of the unit vector. It is formed in the order of that formula, from the
    right: with one layer no array holds edges x angular x channels.

    Args:
        config: sizes.
        n_species: number of elements.
    """

    def __init__(self, config: RepresentationConfig, n_species: int) -> None:
        super().__init__()
        k = config.embedding_size
        self.cutoff = config.cutoff
        self.cutoff_power = config.cutoff_power
        self.layers = config.layers
        self.softening = SOFTENING
        self.embedding_size = k
        self.n_bessel = config.n_bessel
        self.n_radial = config.n_radial
        self.radial = BesselBasis(config.cutoff, config.n_bessel)
        self.angular = AngularBasis(config.max_l)
        self.invariants = Invariants(config.max_l, config.max_nu)
        self.sender = nn.Parameter(nn.init.xavier_uniform_(torch.empty(n_species, k)))
        self.receiver = nn.Parameter(nn.init.xavier_uniform_(torch.empty(n_species, k)))
        channels = k * k if config.mixing_per_channel else 1
        shape = [config.max_l + 1, channels, config.n_bessel, config.n_radial]
        spread = (config.n_bessel * config.average_neighbors) ** -0.5
        self.mixing = nn.Parameter(spread * torch.randn(shape))
        order = torch.repeat_interleave(torch.tensor(self.angular.sizes))
        self.register_buffer("order", order, persistent=False)

        per_layer = self.invariants.size * k * k * config.n_radial
        self.n_features = config.layers * per_layer
        messages = list(config.messages)
        if len(messages) == 1:
            messages *= config.layers - 1
        if len(messages) != config.layers - 1:
            raise ValueError(
                f"{config.layers} layers need {config.layers - 1} message configurations, "
                f"got {len(messages)}"
            )
        self.messages = nn.ModuleList(MessageLayer(per_layer, config, m) for m in messages)

    def forward(
        self, edge_vectors: Tensor, edge_index: Tensor, species: Tensor, n_centers: int
    ) -> Tensor:
        """Invariants of atoms 0 ... n_centers-1.

        Args:
            edge_vectors: [E, 3] r_cj = x_j - x_c [A].
            edge_index: [2, E] center, neighbor; sorted by center.
            species: [n_all] species index.
            n_centers: atoms asked for.

        Returns:
            [n_centers, n_features]; features in the order (layer, invariant, sender a,
            receiver b, radial m), the last one fastest.
        """
        env = pad_edges(edge_vectors, edge_index, species, n_centers, self.layers, self.cutoff)
        distance = torch.sqrt(torch.square(env.vectors).sum(0))  # [n, m]
        step = polynomial_cutoff(distance / self.cutoff, self.cutoff_power)
        sines, factor = self.radial(distance)  # [b, n, m], [n, m]
        factor = factor * step
        angular = self.angular(env.vectors / (distance + self.softening))  # [l, n, m]
        receiver = self.receiver[env.row_species].t().contiguous()  # [K, n]
        sizes = self.angular.sizes

        weights = self.sender.t()[:, env.neighbor_species] * factor  # [K, n, m]
        a = self.mix(sum_neighbors(sines, angular, weights[None], sizes), receiver)
        features = [self.to_features(a)]
        n_rows = a.size(2)
        for index, layer in enumerate(self.messages):
            n = n_centers if index == self.layers - 2 else n_rows
            neighbor = env.neighbor_row[:n]
            terms: list[Tensor] = []
            if layer.invariant is not None:
                sent = layer.invariant(features[-1], self.sender[env.row_species])  # [row, l, c]
                sent = torch.cat([sent, torch.zeros_like(sent[:1])])[neighbor]  # [n, m, l, c]
                weights = sent.permute(2, 3, 0, 1) * factor[:n]
                summed = sum_neighbors(sines[:, :n], angular[:, :n], weights, sizes)
                terms.append(self.mix(summed, receiver[:, :n]))
            if layer.attenuated is not None:
                terms.append(layer.attenuated(a, neighbor, distance[:n], step[:n], sizes))
            next_a = torch.stack(terms).sum(0) * layer.norm
            if layer.memory is not None:
                next_a = next_a + layer.memory[self.order] * a[:, :, :n]
            a = next_a
            features.append(self.to_features(a))
        return torch.cat([f[:n_centers] for f in features], 1)

    def mix(self, summed: Tensor, receiver: Tensor) -> Tensor:
        """Multiply by the receiver's embedding where it is missing and mix the radial functions.

        Args:
            summed: [l, K or K**2, n, b]; K: sender only, K**2: sender and receiver.
            receiver: [K, n].

        Returns:
            A basis [l, K**2, n, m].
        """
        k = self.embedding_size
        n_angular, c, n, n_bessel = summed.shape
        pairs = summed.contiguous().view(n_angular, k, c // k, n, n_bessel) * receiver[:, :, None]
        mixing = self.mixing[self.order].expand(n_angular, k * k, n_bessel, self.n_radial)
        mixed = torch.bmm(
            pairs.view(n_angular * k * k, n, n_bessel),
            mixing.reshape(n_angular * k * k, n_bessel, self.n_radial),
        )
        return mixed.view(n_angular, k * k, n, self.n_radial)

    def to_features(self, a: Tensor) -> Tensor:
        """Invariants of the A basis [l, K**2, n, m], as [n, n_features of one layer]."""
        n_angular, c, n, n_radial = a.shape
        b = self.invariants(a.reshape(n_angular, c * n * n_radial)).view(
            self.invariants.size, c, n, n_radial
        )
        return b.permute(2, 0, 1, 3).reshape(n, self.invariants.size * c * n_radial)


def sum_neighbors(radial: Tensor, angular: Tensor, weights: Tensor, sizes: list[int]) -> Tensor:
    """Sum over neighbors j of w_c(j) R_b(r_ij) Y_l(r_ij), by matrix multiplication.

    Args:
        radial: [b, n, m].
        angular: [l, n, m].
        weights: [1 or max_l+1, c, n, m]; with the latter each angular order has its own.
        sizes: components of each angular order.

    Returns:
        [l, c, n, b].
    """
    n_bessel, n, width = radial.shape
    n_angular = angular.size(0)
    n_orders, c = weights.size(0), weights.size(1)
    if n_orders == 1:
        left = (
            (weights[0].contiguous()[:, None] * radial)
            .view(c * n_bessel, n, width)
            .permute(1, 0, 2)
        )
        out = torch.bmm(left, angular.permute(1, 2, 0))  # [n, (c b), l]
        return out.view(n, c, n_bessel, n_angular).permute(3, 1, 0, 2)
    left = (angular[:, None] * radial).view(n_angular * n_bessel, n, width).permute(1, 0, 2)
    parts = []
    begin = 0
    for order in range(n_orders):
        end = begin + sizes[order] * n_bessel
        parts.append(torch.bmm(left[:, begin:end], weights[order].permute(1, 2, 0)))
        begin = end
    out = torch.cat(parts, 1)  # [n, (l b), c]
    return out.view(n, n_angular, n_bessel, c).permute(1, 3, 0, 2)

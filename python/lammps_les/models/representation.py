"""Cartesian atomic cluster expansion (CACE): Cheng, npj Comput. Mater. 10, 157 (2024)."""

from typing import NamedTuple

import torch
from torch import Tensor, nn

from lammps_les.models.basis import (
    SOFTENING,
    EdgeBasis,
    mix,
    mix_backward,
    sum_neighbors,
    sum_neighbors_backward,
)
from lammps_les.models.config import RepresentationConfig
from lammps_les.models.invariants import AngularBasis, Invariants
from lammps_les.models.messages import MessageLayer
from lammps_les.models.radial import BesselBasis, polynomial_cutoff, polynomial_cutoff_slope


class FirstLayer(NamedTuple):
    """The first A basis, and what it is made of.

    Attributes:
        weights: [K, n, m] embedding of the neighbors.
        receiver: [K, n] embedding of the atoms as receivers.
        basis: functions of the edges.
        a: A basis [l, c, m, n].
    """

    weights: Tensor
    receiver: Tensor
    basis: EdgeBasis
    a: Tensor


class CaceRepresentation(nn.Module):
    """Invariants of atomic environments.

    The A basis of center i, with sender (neighbor) element a and receiver (center) element b as
    channels, is

        A_{i,m,l,ab} = sum_k W^l_{km,ab} v_b(z_i) sum_j u_a(z_j) R_k(r_ij) f_cut(r_ij) Y_l(r_ij)

    with the monomials Y of the unit vector. It is formed in the order of that formula, from the
    right: with one layer no array holds edges x angular x channels.

    With ``embed_total_charge`` the embeddings depend on the total charge Q [e] of the system that
    an atom is part of, u_a(z) + Q u'_a(z) and likewise v_b, so that one structure may have another
    energy and other charges in another charge state (the charge state as input of the network: King
    et al., Nat. Commun. 16, 8763 (2025); the linear form is chosen here, because at a fixed Q it is
    just another table of elements, see ``at_total_charge``). u' and v' are zero at first. An atom
    without neighbors does not feel Q.

    Args:
        config: sizes.
        n_species: number of elements.

    Attributes:
        kept, sent: between any two layers, how many numbers an atom keeps for itself and how many
            its neighbors get.
        own: how many of those that it keeps, the last ones, are its A basis.

    Raises:
        ValueError: another number of message configurations than layers need.
    """

    order: Tensor
    own: list[int]
    kept: list[int]
    sent: list[int]

    def __init__(self, config: RepresentationConfig, n_species: int) -> None:
        super().__init__()
        k = config.embedding_size
        self.cutoff = config.cutoff
        self.cutoff_power = config.cutoff_power
        self.softening = SOFTENING
        self.layers = config.layers
        self.channels = k * k
        self.radial = BesselBasis(config.cutoff, config.n_bessel)
        self.angular = AngularBasis(config.max_l)
        self.invariants = Invariants(config.max_l, config.max_nu)
        self.sender = nn.Parameter(nn.init.xavier_uniform_(torch.empty(n_species, k)))
        self.receiver = nn.Parameter(nn.init.xavier_uniform_(torch.empty(n_species, k)))
        for name in ("sender_slope", "receiver_slope"):  # per e
            slope = nn.Parameter(torch.zeros(n_species, k)) if config.embed_total_charge else None
            self.register_parameter(name, slope)
        channels = k * k if config.mixing_per_channel else 1
        shape = [config.max_l + 1, channels, config.n_bessel, config.n_radial]
        spread = (config.n_bessel * config.average_neighbors) ** -0.5
        self.mixing = nn.Parameter(spread * torch.randn(shape))
        order = torch.repeat_interleave(torch.tensor(self.angular.sizes))
        self.register_buffer("order", order, persistent=False)

        per_layer = self.invariants.size * k * k * config.n_radial
        self.n_features = config.layers * per_layer
        self.n_stored = 9  # tensors that `store` gives
        messages = list(config.messages)
        if len(messages) == 1:
            messages *= config.layers - 1
        if len(messages) != config.layers - 1:
            raise ValueError(
                f"{config.layers} layers need {config.layers - 1} message configurations, "
                f"got {len(messages)}"
            )
        n_angular = sum(self.angular.sizes)
        layers = [MessageLayer(per_layer, n_angular, config, message) for message in messages]
        self.messages = nn.ModuleList(layers)
        self.own = [layer.n_own for layer in layers]
        self.kept = [n * per_layer + own for n, own in enumerate(self.own, 1)]
        self.sent = [layer.n_sent for layer in layers]

    def at_total_charge(self, total_charge: float) -> None:
        """Fix the total charge [e]; the representation does not need it afterwards."""
        for name in ("sender", "receiver"):
            slope = getattr(self, f"{name}_slope")
            if slope is not None:
                table = getattr(self, name) + total_charge * slope
                setattr(self, name, nn.Parameter(table.detach()))
                setattr(self, f"{name}_slope", None)

    def forward(
        self,
        t: int,
        kept: Tensor,
        sent: Tensor,
        row: Tensor,
        vectors: Tensor,
        species: Tensor,
        total_charge: Tensor | None,
    ) -> list[Tensor]:
        """One layer of n atoms.

        Args:
            t: which, 0 ... layers - 1.
            kept: [n, kept[t - 1]] what the layer before has left to the atoms themselves; [n, 0].
            sent: [rows, sent[t - 1]] what it has left to neighbors; [0, 0] in the first layer.
            row: [n * m] for each place the row of ``sent`` that it takes; in the first layer that
                of ``species``.
            vectors: [3, n, m] edge vectors in their places [A].
            species: [rows] species index; the first n rows are the atoms.
            total_charge: [rows] in e, of the system that each atom is part of; only with
                ``embed_total_charge``.

        Returns:
            what it leaves to the next layer, ``kept`` and ``sent``. The last one: the invariants
            of all layers, [n, n_features], in the order (layer, invariant, sender a, receiver b,
            radial m), the last one fastest.
        """
        n, width = vectors.size(1), vectors.size(2)
        species, sender, receiver_table = self.embeddings(species, total_charge)
        own_species = species[:n]
        earlier = kept
        if t == 0:
            neighbor_species = species.index_select(0, row).view(n, width)
            first = self.first_layer(vectors, neighbor_species, own_species, sender, receiver_table)
            a = first.a
        else:
            basis = self.edge_basis(vectors)
            receiver = receiver_table[own_species].t().contiguous()
            mixing = self.mixing_by_component()
            others = sent.index_select(0, row).view(n, width, sent.size(1))
            a = sent  # made below
            for index, layer in enumerate(self.messages):
                if index == t - 1:
                    n_own = self.own[index]
                    earlier, own = torch.split(kept, [kept.size(1) - n_own, n_own], 1)
                    a = layer(own, others, receiver, mixing, self.order, basis)
        features = self.to_features(a)
        for index, layer in enumerate(self.messages):
            if index == t:
                return layer.leave(  # type: ignore[operator]
                    a, earlier, features, sender[own_species]
                )
        return [torch.cat([earlier, features], 1) if t > 0 else features]

    def embeddings(
        self, species: Tensor, total_charge: Tensor | None
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Rows of the tables of elements for each atom, the senders' table, the receivers'."""
        sender, receiver = self.sender, self.receiver
        sender_slope, receiver_slope = self.sender_slope, self.receiver_slope
        if sender_slope is not None and receiver_slope is not None:
            if total_charge is None:
                raise RuntimeError("LES: this network needs the total charge of the system")
            # a table for each charge state, one below the other
            states, state = torch.unique(total_charge, return_inverse=True)
            species = species + sender.size(0) * state
            sender = (sender + states[:, None, None] * sender_slope).flatten(0, 1)
            receiver = (receiver + states[:, None, None] * receiver_slope).flatten(0, 1)
        return species, sender, receiver

    def first_layer(
        self,
        vectors: Tensor,
        neighbor_species: Tensor,
        own_species: Tensor,
        sender: Tensor,
        receiver_table: Tensor,
    ) -> FirstLayer:
        """The first A basis, of edges in their places [3, n, m] and species [n, m] and [n]."""
        basis = self.edge_basis(vectors)
        receiver = receiver_table[own_species].t().contiguous()  # [K, n]
        weights = sender.t()[:, neighbor_species]  # [K, n, m]
        a = mix(sum_neighbors(basis, weights[None]), receiver, self.mixing_by_component())
        return FirstLayer(weights, receiver, basis, a)

    @torch.jit.export
    def store(self, row: Tensor, vectors: Tensor, species: Tensor) -> tuple[Tensor, list[Tensor]]:
        """Invariants of one layer, and what ``backward`` needs; arguments of ``forward``."""
        n, width = vectors.size(1), vectors.size(2)
        species, sender, receiver_table = self.embeddings(species, None)
        neighbor_species = species.index_select(0, row).view(n, width)
        first = self.first_layer(vectors, neighbor_species, species[:n], sender, receiver_table)
        basis = first.basis
        stored = [vectors, first.weights, first.receiver]
        stored += [basis.distance, basis.step, basis.factor, basis.sines, basis.angular, first.a]
        assert len(stored) == self.n_stored
        return self.to_features(first.a), stored

    @torch.jit.export
    def backward(self, stored: list[Tensor], gradients: Tensor) -> Tensor:
        """Gradients by the invariants to gradients by the edge vectors, several at once.

        Args:
            stored: of ``store``.
            gradients: [k, n_features, n], k of them.

        Returns:
            [k, n, m, 3] by the padded edges.
        """
        vectors, weights, receiver, a = stored[0], stored[1], stored[2], stored[8]
        basis = EdgeBasis(stored[3], stored[4], stored[5], stored[6], stored[7], self.angular.sizes)
        n, _, width = basis.angular.shape
        by_a = self.invariants.backward(
            a.view(a.size(0), -1), gradients.view(gradients.size(0), self.invariants.size, -1)
        )
        step_slope = polynomial_cutoff_slope(basis.distance / self.cutoff, self.cutoff_power)
        slopes = self.radial.slopes(
            basis.distance, basis.step, step_slope / self.cutoff, basis.sines
        )
        sender = weights.transpose(0, 1).contiguous()[:, :, None]  # [n, K, 1, m]
        slopes = (sender * slopes[:, None]).view(n, -1, width)
        radial = (sender * (basis.factor[:, None] * basis.sines)[:, None]).view(n, -1, width)
        inverse = self.inverse_length(basis.distance)
        mixing = self.mixing_by_component()
        out = torch.empty([by_a.size(0), n, width, 3], dtype=a.dtype, device=a.device)
        for index, gradient in enumerate(torch.unbind(by_a)):
            summed = mix_backward(gradient, receiver, mixing)  # [l, (K b), n]
            by_unit = self.angular.derivatives(summed)  # [l', 3, (K b), n]
            padded = sum_neighbors_backward(
                basis, radial, slopes, vectors, inverse, summed, by_unit
            )
            out[index] = padded.transpose(1, 2)
        return out

    def mixing_by_component(self) -> Tensor:
        """Of the radial functions, [l, c, b, m]: one for each angular component and channel."""
        return self.mixing[self.order].expand(-1, self.channels, -1, -1)

    def inverse_length(self, distance: Tensor) -> Tensor:
        """What edge vectors are multiplied by to get unit vectors [1/A]."""
        return torch.reciprocal(distance + self.softening)

    def edge_basis(self, vectors: Tensor) -> EdgeBasis:
        """Functions of padded edge vectors [3, n, m]."""
        distance = torch.sqrt((vectors * vectors).sum(0))  # [n, m]
        step = polynomial_cutoff(distance / self.cutoff, self.cutoff_power)
        sines, factor = self.radial(distance)  # [n, b, m], [n, m]
        unit = vectors * self.inverse_length(distance)
        angular = self.angular(unit)  # [n, l, m]
        return EdgeBasis(distance, step, factor * step, sines, angular, self.angular.sizes)

    def to_features(self, a: Tensor) -> Tensor:
        """Invariants of the A basis [l, c, m, n], as [n, n_features of one layer]."""
        n_angular, c, n_radial, n = a.shape
        b = self.invariants(a.reshape(n_angular, c * n_radial * n))
        return b.view(self.invariants.size * c * n_radial, n).t()

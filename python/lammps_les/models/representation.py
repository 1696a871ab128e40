"""Cartesian atomic cluster expansion (CACE): Cheng, npj Comput. Mater. 10, 157 (2024)."""

from typing import NamedTuple

import torch
from torch import Tensor, nn

from lammps_les.electrostatics.layers import Cut
from lammps_les.models.basis import (
    SOFTENING,
    EdgeBasis,
    edge_functions,
    first_atoms,
    mix,
    pull_back_mix,
    pull_back_sum,
    sum_neighbors,
)
from lammps_les.models.config import RepresentationConfig
from lammps_les.models.environments import Environments, pad_edges, pad_vectors
from lammps_les.models.invariants import AngularBasis, Invariants
from lammps_les.models.messages import MessageLayer
from lammps_les.models.radial import BesselBasis, polynomial_cutoff, polynomial_cutoff_slope


class FirstLayer(NamedTuple):
    """The first A basis, and what it is made of.

    Attributes:
        env: who is a neighbor of whom.
        embedding: [n, K] of the elements as senders.
        vectors: [3, n, m] padded edge vectors [A].
        basis: functions of them.
        taken: the tensors through which this layer depends on them.
        weights: [K, n, m] embedding of the neighbors.
        receiver: [K, n] embedding as receivers.
        mixing: [l, c, b, m] of the radial functions.
        a: A basis [l, c, m, n].
    """

    env: Environments
    embedding: Tensor
    vectors: Tensor
    basis: EdgeBasis
    taken: list[Tensor]
    weights: Tensor
    receiver: Tensor
    mixing: Tensor
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

    Raises:
        ValueError: another number of message configurations than layers need.
    """

    order: Tensor

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
        self.n_kept = 9  # tensors that `keeping` gives
        messages = list(config.messages)
        if len(messages) == 1:
            messages *= config.layers - 1
        if len(messages) != config.layers - 1:
            raise ValueError(
                f"{config.layers} layers need {config.layers - 1} message configurations, "
                f"got {len(messages)}"
            )
        self.messages = nn.ModuleList(MessageLayer(per_layer, config, m) for m in messages)

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
        edge_vectors: Tensor,
        edge_index: Tensor,
        species: Tensor,
        n_centers: int,
        total_charge: Tensor | None = None,
    ) -> tuple[Tensor, list[Cut], list[list[Tensor]]]:
        """Invariants of atoms 0 ... n_centers-1.

        Args:
            edge_vectors: [E, 3], r_cj = x_j - x_c [A].
            edge_index: [2, E] center, neighbor; sorted by center.
            species: [n_all] species index.
            n_centers: atoms asked for.
            total_charge: [n_all] in e, of the system that each atom is part of; only with
                ``embed_total_charge``.

        Returns:
            [n_centers, n_features], in the order (layer, invariant, sender a, receiver b, radial
            m), the last one fastest; what passes between the layers, in their order; and for each
            layer the tensors through which it, and no other one, depends on the edge vectors.
        """
        first = self.first_layer(edge_vectors, edge_index, species, n_centers, total_charge)
        env, vectors, a = first.env, first.vectors, first.a
        features = self.to_features(a)
        earlier = features[:, :0]
        cuts: list[Cut] = []
        taken = [first.taken]
        for index, layer in enumerate(self.messages):
            n = n_centers if index == self.layers - 2 else a.size(3)
            basis = first_atoms(first.basis, n)
            taken.append(edge_functions(basis))
            a, earlier, cut = layer(
                a,
                features,
                earlier,
                first.embedding,
                first.receiver[:, :n],
                first.mixing,
                self.order,
                env.neighbor_row[:n],
                vectors[:, :n],
                basis,
            )
            features = self.to_features(a)
            cuts.append(cut)
        return torch.cat([earlier, features], 1), cuts, taken

    def first_layer(
        self,
        edge_vectors: Tensor,
        edge_index: Tensor,
        species: Tensor,
        n_centers: int,
        total_charge: Tensor | None,
    ) -> FirstLayer:
        """The first A basis; arguments as above."""
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
        env = pad_edges(edge_index, species, n_centers, self.layers)
        vectors = pad_vectors(env, edge_vectors, self.cutoff)
        return self.in_rows(env, vectors, sender, receiver)

    def in_rows(
        self, env: Environments, vectors: Tensor, sender: Tensor, receiver_table: Tensor
    ) -> FirstLayer:
        """The first A basis of padded edges [3, n, m]; the tables of elements are [species, K]."""
        basis = self.edge_basis(vectors)
        own = first_atoms(basis, vectors.size(1))
        receiver = receiver_table[env.row_species].t().contiguous()  # [K, n]
        mixing = self.mixing_by_component()

        weights = sender.t()[:, env.neighbor_species]  # [K, n, m]
        a = mix(sum_neighbors(own, weights[None]), receiver, mixing)  # [l, c, m, n]
        return FirstLayer(
            env,
            sender[env.row_species],
            vectors,
            basis,
            edge_functions(own),
            weights,
            receiver,
            mixing,
            a,
        )

    @torch.jit.export
    def keeping(self, env: Environments, vectors: Tensor) -> tuple[Tensor, list[Tensor]]:
        """Invariants of one layer, and what ``pull_back`` needs, of padded edges [3, n, m]."""
        if self.sender_slope is not None:
            raise RuntimeError("LES: this network needs the total charge of the system")
        first = self.in_rows(env, vectors, self.sender, self.receiver)
        basis = first.basis
        kept = [first.vectors, first.weights, first.receiver]
        kept += [basis.distance, basis.step, basis.factor, basis.sines, basis.angular, first.a]
        assert len(kept) == self.n_kept
        return self.to_features(first.a), kept

    @torch.jit.export
    def pull_back(self, kept: list[Tensor], gradients: Tensor) -> Tensor:
        """Gradients by the invariants to gradients by the edge vectors, several at once.

        Args:
            kept: of ``keeping``.
            gradients: [k, n_features, n], k of them.

        Returns:
            [k, n, m, 3] by the padded edges.
        """
        vectors, weights, receiver, a = kept[0], kept[1], kept[2], kept[8]
        basis = EdgeBasis(kept[3], kept[4], kept[5], kept[6], kept[7], self.angular.sizes)
        n, _, width = basis.angular.shape
        by_a = self.invariants.pull_back(
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
            summed = pull_back_mix(gradient, receiver, mixing)  # [l, (K b), n]
            by_unit = self.angular.derivatives(summed)  # [l', 3, (K b), n]
            padded = pull_back_sum(basis, radial, slopes, vectors, inverse, summed, by_unit)
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

"""Cartesian atomic cluster expansion (CACE): Cheng, npj Comput. Mater. 10, 157 (2024)."""

import torch
from torch import Tensor, nn

from lammps_les.models.cace.basis import SOFTENING, EdgeBasis, mix, mix_backward, sum_neighbors
from lammps_les.models.cace.config import RepresentationConfig
from lammps_les.models.cace.edge_gradients import EdgeSlopes, by_vectors, sum_neighbors_backward
from lammps_les.models.cace.invariants import AngularBasis, Invariants
from lammps_les.models.cace.message_layer import MessageLayer
from lammps_les.models.cace.radial import BesselBasis, polynomial_cutoff, polynomial_cutoff_slope


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
        n_stored: tensors that ``backward`` needs of each layer.

    Raises:
        ValueError: another number of message configurations than layers need.
    """

    order: Tensor
    own: list[int]
    kept: list[int]
    sent: list[int]
    n_stored: list[int]

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
        self.sent = [sum(layer.n_sent) for layer in layers]
        of_sums = [1, *(layer.n_stored for layer in layers)]
        of_leave = [*(layer.n_stored_of_leave for layer in layers), 0]
        self.n_stored = [8 + sum(counts) for counts in zip(of_sums, of_leave, strict=True)]

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
    ) -> tuple[list[Tensor], list[Tensor]]:
        """One layer of n atoms, and what ``backward`` needs.

        Args:
            t: which, 0 ... layers - 1.
            kept: [n, kept[t - 1]] what the layer before has left to the atoms themselves; [n, 0].
            sent: [n, m, sent[t - 1]] what it has left to neighbors, in their places; any in the
                first layer.
            row: [n * m] for each place the row of ``species`` of the neighbor; any but in the first
                layer.
            vectors: [3, n, m] edge vectors in their places [A].
            species: [rows] species index; the first n rows are the atoms.
            total_charge: [rows] in e, of the system that each atom is part of; only with
                ``embed_total_charge``.

        Returns:
            what it leaves to the next layer, ``kept`` and ``sent`` [n, sent[t]]. The last one: the
            invariants of all layers, [n, n_features], in the order (layer, invariant, sender a,
            receiver b, radial m), the last one fastest.
        """
        n, width = vectors.size(1), vectors.size(2)
        species, sender, receiver_table = self.embeddings(species, total_charge)
        own_species = species[:n]
        basis = self.edge_basis(vectors)
        receiver = receiver_table[own_species].t().contiguous()  # [K, n]
        mixing = self.mixing_by_component()
        earlier, a, more = kept, kept, torch.jit.annotate(list[Tensor], [])
        if t == 0:
            neighbors = species.index_select(0, row)
            weights = sender.index_select(0, neighbors).view(n, width, 1, sender.size(1))
            a, more = mix(sum_neighbors(basis, weights), receiver, mixing), [weights]
        for index, layer in enumerate(self.messages):
            if index == t - 1:
                n_own = self.own[index]
                earlier, own = torch.split(kept, [kept.size(1) - n_own, n_own], 1)
                a, more = layer(own, sent, receiver, mixing, self.order, basis)
        stored = [vectors, receiver, a]
        stored += [basis.distance, basis.step, basis.factor, basis.sines, basis.angular]
        stored += more
        features = self.to_features(a)
        outputs = [features]
        for index, layer in enumerate(self.messages):
            if index == t:
                outputs, more = layer.leave(  # type: ignore[operator]
                    a, earlier, features, sender[own_species]
                )
                stored += more
            elif index == t - 1 and t == self.layers - 1:
                outputs = [torch.cat([earlier, features], 1)]
        return outputs, stored

    @torch.jit.export
    def backward(
        self, t: int, stored: list[Tensor], by_left: Tensor, by_sent: Tensor
    ) -> list[Tensor]:
        """Gradients by what a layer gives to those by what it took, k at once.

        Args:
            t: the layer.
            stored: of ``forward``.
            by_left: [k, kept[t], n] by what it has left to the atoms themselves, of the last one
                [k, n_features, n].
            by_sent: [k, n, sent[t]] by what it has left to neighbors; any in the last one.

        Returns:
            by ``kept`` [k, n, kept[t - 1]], by ``sent`` [k, n, m, sent[t - 1]] (in the first layer
            [k, 0, 0, 0]) and by the edge vectors [k, n, m, 3].
        """
        receiver, a = stored[1], stored[2]
        basis = EdgeBasis(stored[3], stored[4], stored[5], stored[6], stored[7], self.angular.sizes)
        slopes = self.edge_slopes(stored[0], basis)
        mixing = self.mixing_by_component()
        n_angular, channels, n_radial, n = a.shape
        k, per_layer = by_left.size(0), self.n_features // self.layers
        widths = [t * per_layer, per_layer, by_left.size(1) - (t + 1) * per_layer]
        earlier, by_features, by_own = torch.split(by_left, widths, 1)
        table = by_own
        for index, layer in enumerate(self.messages):
            if index == t:
                by_features = by_features.clone()
                end = self.n_stored[t]
                of_leave = stored[end - layer.n_stored_of_leave : end]  # type: ignore[operator]
                table = layer.leave_backward(  # type: ignore[operator]
                    of_leave, by_own, by_sent, by_features
                )
        shape = [k, self.invariants.size, channels * n_radial * n]
        by_a = self.invariants.backward(a.reshape(n_angular, shape[2]), by_features.reshape(shape))
        if table.size(1) > 0:
            by_a += table.reshape(by_a.shape)
        if t == 0:
            gradients: list[Tensor] = []
            for gradient in torch.unbind(by_a):
                gradients.append(mix_backward(gradient, receiver, mixing, receiver.size(0)))
            by_length, by_unit = sum_neighbors_backward(basis, slopes, stored[8], gradients, None)
            none = [by_a.new_empty([k, n, 0]), by_a.new_empty([k, 0, 0, 0])]
            return none + [by_vectors(basis, slopes, by_length, by_unit)]
        out: list[Tensor] = []
        for index, layer in enumerate(self.messages):
            if index == t - 1:
                by_own, by_sent, by_length, by_unit = layer.backward(  # type: ignore[operator]
                    stored[8:], by_a, receiver, mixing, self.order, basis, slopes
                )
                by_kept = torch.cat([earlier.transpose(1, 2), by_own], 2)
                out = [by_kept, by_sent, by_vectors(basis, slopes, by_length, by_unit)]
        return out

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

    def edge_slopes(self, vectors: Tensor, basis: EdgeBasis) -> EdgeSlopes:
        """Derivatives of the functions of padded edge vectors [3, n, m]."""
        distance = basis.distance
        step = polynomial_cutoff_slope(distance, self.cutoff, self.cutoff_power)
        return EdgeSlopes(
            vectors,
            self.inverse_length(distance),
            step,
            basis.factor[:, None] * basis.sines,
            self.radial.slopes(distance, basis.factor, step, basis.sines),
            self.angular.slopes,
        )

    def to_features(self, a: Tensor) -> Tensor:
        """Invariants of the A basis [l, c, m, n], as [n, n_features of one layer]."""
        n_angular, c, n_radial, n = a.shape
        b = self.invariants(a.reshape(n_angular, c * n_radial * n))
        return b.view(self.invariants.size * c * n_radial, n).t()

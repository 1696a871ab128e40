"""The network: energies and latents of atoms from edge vectors."""

import torch
from torch import Tensor, nn

from lammps_les.models.chain import Chain
from lammps_les.models.environments import pad_edges_in_parts, pad_rows, pad_sent, pad_values
from lammps_les.models.mace.config import MaceConfig
from lammps_les.models.mace.interaction import Edges, Interaction
from lammps_les.models.mace.product import Product
from lammps_les.models.mace.radial import PairRepulsion, Perceptron, RadialEmbedding
from lammps_les.models.multipoles import Multipoles, at_zero
from lammps_les.models.o3.harmonics import harmonics


class MaceNetwork(Chain):
    """Energy and latent charges of atoms, a piece for each layer (FORMAT.md).

    Works with ``torch.jit.script``, in float32 and float64, and is differentiable any number of
    times in ``edge_vectors`` and in its parameters. Constants are float64 until they are cast.

    Args:
        config: sizes.

    Attributes:
        config: the same, on a module that is not scripted.
    """

    one_hot: Tensor

    def __init__(self, config: MaceConfig) -> None:
        super().__init__(
            list(config.species),
            float(config.cutoff),
            config.layers,
            config.channels,
            config.latents,
        )
        self.kind = "mace"
        self.config = config
        n_species, width, max_l = len(config.species), config.features, config.hidden_max_l
        last = config.layers - 1
        self.max_l = config.max_l
        self.scale, self.shift = float(config.scale), float(config.shift)
        self.charge_scale = float(config.charge_scale)
        self.embedding = nn.Parameter(torch.randn(n_species, width))
        self.register_buffer("one_hot", torch.eye(n_species, dtype=torch.float64), persistent=False)
        self.radial = RadialEmbedding(config)
        self.repulsion = None
        if config.pair_repulsion:
            self.repulsion = PairRepulsion(config.species, self.cutoff, config.cutoff_power)
        self.needs_species = config.pair_repulsion or config.distance_transform != "none"
        self.multipoles = Multipoles(config.latents, config.channels)
        # highest l of what enters and leaves the layers
        orders = [0] + [max_l] * last + [self.multipoles.max_l]
        interactions = [
            Interaction(
                config,
                orders[t],
                orders[t + 1],
                config.residual if t > 0 else config.residual_first,
            )
            for t in range(config.layers)
        ]
        self.interactions = nn.ModuleList(interactions)
        self.products = nn.ModuleList(Product(config, order) for order in orders[1:])
        self.first_readout = last if config.last_readout_only else 0
        self.energy_readouts, self.charge_readouts = nn.ModuleList(), nn.ModuleList()
        self.scalar_readouts = nn.ModuleList()
        self.vector_readouts, self.tensor_readouts = nn.ModuleList(), nn.ModuleList()
        n_scalars, n_vectors = self.multipoles.n_scalars, self.multipoles.n_vectors
        n_tensors = self.multipoles.n_tensors
        for t in range(self.first_readout, config.layers):
            hidden = [config.readout_hidden] if config.readout_hidden > 0 and t == last else []
            self.energy_readouts.append(Perceptron([width, *hidden, 1]))
            if config.channels > 0:
                self.charge_readouts.append(Perceptron([width, *hidden, config.channels]))
            if n_scalars > 0:
                self.scalar_readouts.append(Perceptron([width, *hidden, n_scalars]))
            if n_vectors > 0 and orders[t + 1] >= 1:
                self.vector_readouts.append(Perceptron([width, n_vectors]))
            if n_tensors > 0 and orders[t + 1] >= 2:
                self.tensor_readouts.append(Perceptron([width, n_tensors]))
        for part in (self.scalar_readouts, self.vector_readouts, self.tensor_readouts):
            for readout in part:
                at_zero(readout)
        self.first_vectors = config.layers - len(self.vector_readouts)
        self.first_tensors = config.layers - len(self.tensor_readouts)
        self.read = [1, config.channels, n_scalars, 3 * n_vectors, 5 * n_tensors]
        self.cut(
            [sum(self.read) + layer.n_own * width for layer in interactions[1:]],
            [(max_l + 1) ** 2 * width] * last,
        )

    @torch.jit.export
    def piece(
        self,
        t: int,
        kept: Tensor,
        sent: Tensor,
        source: Tensor,
        edge_vectors: Tensor,
        edge_index: Tensor,
        species: Tensor,
        n: int,
        row_length: int = 0,
    ) -> list[Tensor]:
        """One layer of n atoms; arguments and results are those of FORMAT.md."""
        env, owner = pad_edges_in_parts(edge_index[0], n, row_length)
        own_species = species[:n]
        one_hot = self.one_hot.index_select(0, own_species)
        distance = torch.sqrt((edge_vectors * edge_vectors).sum(1))
        x, y, z = torch.unbind(edge_vectors * (-1.0 / distance.unsqueeze(1)), 1)  # to the center
        center, neighbor = edge_index[0], edge_index[1]
        if t == 0 or self.needs_species:
            center, neighbor = species.index_select(0, center), species.index_select(0, neighbor)
        radial = self.radial(distance, center, neighbor)
        angular = pad_values(env, torch.stack(harmonics(x, y, z, self.max_l), 1))
        edges = Edges(radial, angular, env, owner)
        so_far = edge_vectors.new_zeros([n, sum(self.read)])
        if t > 0:
            widths = [so_far.size(1), kept.size(1) - so_far.size(1)]
            so_far, kept = torch.split(kept, widths, 1)
        energy, charge, scalars, vectors, tensors = torch.split(so_far, self.read, 1)
        energy, vectors = energy.squeeze(1), vectors.view(n, 3, self.multipoles.n_vectors)
        tensors = tensors.view(n, 5, self.multipoles.n_tensors)
        features, own = charge, kept
        if t == 0:
            repulsion = self.repulsion
            if repulsion is not None:
                energy = energy.index_add(0, edge_index[0], repulsion(distance, center, neighbor))
        environments = charge
        if t == 0:
            own, environments = self.first(pad_rows(env, neighbor), edges, one_hot)
        for index, interaction in enumerate(self.interactions):
            if index == t and index > 0:
                environments = interaction(pad_sent(env, source, sent), edges, one_hot)
        for index, product in enumerate(self.products):
            if index == t:
                features = product(environments, own, one_hot)
        invariant = features.select(1, 0)
        for index, readout in enumerate(self.energy_readouts):
            if index + self.first_readout == t:
                energy = energy + readout(invariant).squeeze(1)
        for index, readout in enumerate(self.charge_readouts):
            if index + self.first_readout == t:
                charge = charge + readout(invariant)
        for index, readout in enumerate(self.scalar_readouts):
            if index + self.first_readout == t:
                scalars = scalars + readout(invariant)
        for index, readout in enumerate(self.vector_readouts):
            if index + self.first_vectors == t:
                vectors = vectors + readout(features.narrow(1, 1, 3))
        for index, readout in enumerate(self.tensor_readouts):
            if index + self.first_tensors == t:
                tensors = tensors + readout(features.narrow(1, 4, 5))
        for index, interaction in enumerate(self.interactions):
            if index == t + 1:
                own, to_send = interaction.leave(features, one_hot)  # type: ignore[operator]
                read = [
                    energy.unsqueeze(1),
                    charge,
                    scalars,
                    vectors.flatten(1),
                    tensors.flatten(1),
                ]
                return [torch.cat(read + [own], 1), to_send]
        outputs = [energy * self.scale + self.shift]
        if self.channels > 0:
            outputs.append(charge * self.charge_scale)
        return outputs + self.multipoles(scalars, vectors, tensors)

    def first(self, neighbor: Tensor, edges: Edges, one_hot: Tensor) -> tuple[Tensor, Tensor]:
        """What atoms have kept for the first layer and their environments, by elements alone.

        Args:
            neighbor: [rows * m] species of neighbors in their places, any in empty ones.
            edges: those of the atoms.
            one_hot: [n, species] of the atoms.
        """
        n, m = edges.env.n, edges.env.width
        embedding, n_species = self.embedding.unsqueeze(1), self.embedding.size(0)
        own, table = self.interactions[0].leave(embedding, self.one_hot)  # type: ignore[operator]
        own = torch.matmul(one_hot, own)
        if n_species > 8:  # where the sum over neighbors is cheaper than one for each species
            taken = table.index_select(0, neighbor).view(n, m, table.size(1))
            return own, self.interactions[0](taken, edges, one_hot)
        split = self.one_hot.index_select(0, neighbor).view(n, m, n_species)
        environments = self.interactions[0].from_elements(  # type: ignore[operator]
            table, split, edges, one_hot
        )
        return own, environments

"""The network of edges: energies and latents of atoms from edge vectors."""

import torch
from torch import Tensor, nn

from lammps_les.models.allegro.config import AllegroConfig
from lammps_les.models.allegro.products import TensorProduct, product_irreps
from lammps_les.models.chain import Chain
from lammps_les.models.environments import pad_edges, pad_rows, pad_vectors
from lammps_les.models.heads import multipoles_of
from lammps_les.models.multipoles import at_zero
from lammps_les.models.nequip.config import by_species
from lammps_les.models.nequip.perceptron import Linear, Perceptron
from lammps_les.models.nequip.radial import BesselBasis, distances
from lammps_les.models.nequip.repulsion import PairRepulsion
from lammps_les.models.o3.harmonics import harmonics


class TensorLayer(nn.Module):
    """One product with the sums over neighbors, and what becomes of its scalars.

    Args:
        product: of tensors of edges and centers.
        latent: perceptron on all scalars so far and those of the product.
    """

    def __init__(self, product: TensorProduct, latent: Perceptron) -> None:
        super().__init__()
        self.product, self.latent = product, latent

    def forward(self, tensors: Tensor, sums: Tensor, scalars: Tensor) -> tuple[Tensor, Tensor]:
        """Tensors [n, features, width, m] after the product, and new scalars [n, width, ...]."""
        tensors = self.product(tensors, sums)
        invariant = tensors.select(3, 0).transpose(1, 2)
        return tensors, self.latent(torch.cat([scalars, invariant], 2))


class AllegroNetwork(Chain):
    """Energy and latent charges of atoms, sums over their edges, in one piece (FORMAT.md).

    An edge has scalars x and tensors V. It begins with scalars x_0 from its elements and its
    length, and tensors x_0 W Y_lm. A layer sums w(x) Y_lm over the edges of the center, multiplies
    V by this sum, and makes further scalars of all so far and of those in V. Energies and charges
    are read out of all scalars of an edge.

    Works with ``torch.jit.script``, in float32 and float64, and is differentiable any number of
    times in ``edge_vectors`` and in its parameters.

    Args:
        config: sizes.

    Attributes:
        config: the same, on a module that is not scripted.
    """

    neighbor_factor: Tensor
    scale: Tensor

    def __init__(self, config: AllegroConfig) -> None:
        super().__init__(
            list(config.species), float(config.cutoff), 1, config.channels, config.latents
        )
        self.kind = "allegro"
        self.config = config
        self.max_l, self.features, self.scalars = config.max_l, config.features, config.scalars
        n_species, half = len(config.species), config.embedding // 2
        self.center_embedding = nn.Parameter(torch.randn(n_species, half))
        self.neighbor_embedding = nn.Parameter(torch.randn(n_species, half))
        self.basis = BesselBasis(config.n_bessel, self.cutoff, config.cutoff_power)
        self.radial = Linear(config.n_bessel, config.embedding)
        self.two_body = Perceptron(config.embedding, config.radial_hidden, config.scalars)
        n_weights = config.features * (config.max_l + 1)
        self.first_tensors = Linear(config.scalars, n_weights)
        self.first_scalars = Linear(config.scalars, config.scalars + n_weights)
        self.tensor_layers = nn.ModuleList(
            TensorLayer(
                TensorProduct(irreps, config.max_l, config.features, config.couple_channels),
                Perceptron(
                    config.scalars * (t + 1) + config.features,
                    config.latent_hidden,
                    config.scalars + (n_weights if t < config.layers - 1 else 0),
                ),
            )
            for t, irreps in enumerate(product_irreps(config))
        )
        n_scalars = config.scalars * (config.layers + 1)
        self.energy_readout = Perceptron(n_scalars, config.readout_hidden, 1)
        self.charge_readout = None
        if config.channels > 0:
            self.charge_readout = Perceptron(n_scalars, config.readout_hidden, config.channels)
        self.multipoles = multipoles_of(config.heads, config.latents, config.channels)
        n_numbers, n_vectors = self.multipoles.n_scalars, self.multipoles.n_vectors
        n_tensors = self.multipoles.n_tensors
        self.counts = [n_numbers, n_vectors, n_tensors]
        self.scalar_readout = self.vector_readout = self.tensor_readout = self.edge_readout = None
        if config.heads is not None:
            hidden = tuple(width * config.heads.beside for width in config.readout_hidden)
            self.edge_readout = Perceptron(n_scalars, hidden, sum(self.counts))
            n_numbers = n_vectors = n_tensors = 0  # edges have weights for all of them
        if n_numbers > 0:
            self.scalar_readout = Perceptron(n_scalars, config.readout_hidden, n_numbers)
            at_zero(self.scalar_readout.layers[-1])
        if n_vectors > 0:
            self.vector_readout = Linear(config.features, n_vectors)
            at_zero(self.vector_readout)
        if n_tensors > 0:
            self.tensor_readout = Linear(config.features, n_tensors)
            at_zero(self.tensor_readout)
        self.repulsion = None
        if config.pair_repulsion:
            self.repulsion = PairRepulsion(self.species, self.cutoff, config.repulsion_power)
        for name, values in (
            ("neighbor_factor", [n**-0.5 for n in self._of_species(config.average_neighbors)]),
            ("scale", self._of_species(config.scale)),
        ):  # float64 until it is cast
            tensor = torch.tensor(values, dtype=torch.float64)
            self.register_buffer(name, tensor, persistent=False)

    def _of_species(self, value: float | tuple[float, ...]) -> list[float]:
        return by_species(self.config.species, value)

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
        """All of n atoms; arguments and results are those of FORMAT.md."""
        env = pad_edges(edge_index[0], n, row_length)
        r, unit = distances(pad_vectors(env, edge_vectors, self.cutoff))
        x, y, z = unit.unbind(0)
        of_orders: list[Tensor] = []  # [n, width, 2l+1]
        components = harmonics(x, y, z, self.max_l)
        for l in range(self.max_l + 1):
            of_orders.append(torch.stack(components[l * l : (l + 1) * (l + 1)], 2))

        centers = species[:n]
        neighbors = species.index_select(0, pad_rows(env, edge_index[1]))
        of_neighbors = self.neighbor_embedding.index_select(0, neighbors)
        of_neighbors = of_neighbors.view(n, env.width, of_neighbors.size(1))
        of_centers = self.center_embedding.index_select(0, centers).unsqueeze(1)
        embedded = torch.cat([of_centers.expand_as(of_neighbors), of_neighbors], 2)
        two_body = self.two_body(embedded * self.radial(self.basis(r)))  # [n, width, scalars]

        tensors = self._weigh(of_orders, self.first_tensors(two_body))
        first = self.first_scalars(two_body)
        scalars, weights = (
            first.narrow(2, 0, self.scalars),
            first.narrow(2, self.scalars, first.size(2) - self.scalars),
        )
        factor = self.neighbor_factor.to(r.dtype).index_select(0, centers)
        for layer in self.tensor_layers:
            sums = self._sum(of_orders, weights, factor)
            tensors, made = layer(tensors, sums, scalars)
            scalars = torch.cat([scalars, made.narrow(2, 0, self.scalars)], 2)
            weights = made.narrow(2, self.scalars, made.size(2) - self.scalars)

        factor = factor.unsqueeze(1) / 2.0**0.5
        scale = self.scale.to(r.dtype).index_select(0, centers)
        energy = (self.energy_readout(scalars).sum(1) * factor).squeeze(1) * scale
        if self.repulsion is not None:
            energy = energy + self.repulsion(r, centers, neighbors.view(n, env.width))
        outputs = [energy]
        if self.charge_readout is not None:
            outputs.append(self.charge_readout(scalars).sum(1) * factor)
        numbers, vectors = scalars.new_empty([n, 0]), scalars.new_empty([n, 3, 0])
        of_order_2 = scalars.new_empty([n, 5, 0])
        if self.edge_readout is not None:
            weights = self.edge_readout(scalars) * factor.unsqueeze(2)
            of_edges = torch.stack(harmonics(x, y, z, 2), 1)  # [n, 9, width]
            by_number, by_vector, by_tensor = torch.split(weights, self.counts, 2)
            numbers = by_number.sum(1)
            vectors = torch.bmm(of_edges.narrow(1, 1, 3), by_vector)
            of_order_2 = torch.bmm(of_edges.narrow(1, 4, 5), by_tensor)
        if self.scalar_readout is not None:
            numbers = self.scalar_readout(scalars).sum(1) * factor
        if self.vector_readout is not None or self.tensor_readout is not None:
            sums = (tensors.sum(2) * factor.unsqueeze(2)).transpose(1, 2)  # [n, m, features]
            if self.vector_readout is not None:
                vectors = self.vector_readout(sums.narrow(1, 1, 3))
            if self.tensor_readout is not None:
                of_order_2 = self.tensor_readout(sums.narrow(1, 4, 5))
        return outputs + self.multipoles(numbers, vectors, of_order_2)

    def _weigh(self, of_orders: list[Tensor], weights: Tensor) -> Tensor:
        """Harmonics times weights [n, width, features * (max_l + 1)], [n, features, width, m]."""
        shape = [weights.size(0), weights.size(1), self.features, self.max_l + 1]
        by_order = weights.view(shape).permute(0, 2, 1, 3)
        out: list[Tensor] = []
        for l, harmonic in enumerate(of_orders):
            out.append(harmonic.unsqueeze(1) * by_order.narrow(3, l, 1))
        return torch.cat(out, 3)

    def _sum(self, of_orders: list[Tensor], weights: Tensor, factor: Tensor) -> Tensor:
        """Sums over neighbors of the same, times the factor of each center: [n, features, m]."""
        shape = [weights.size(0), weights.size(1), self.features, self.max_l + 1]
        by_order = weights.view(shape)
        out: list[Tensor] = []
        for l, harmonic in enumerate(of_orders):
            out.append(torch.bmm(by_order.select(3, l).transpose(1, 2), harmonic))
        return torch.cat(out, 2) * factor.unsqueeze(1).unsqueeze(2)

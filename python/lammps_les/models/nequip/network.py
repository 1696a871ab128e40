"""The network of convolutions: energies and latents of atoms from edge vectors."""

import math

import torch
from torch import Tensor, nn
from torch.nn.functional import one_hot

from lammps_les.models.chain import Chain
from lammps_les.models.environments import pad_edges, pad_rows, pad_sent, pad_vectors
from lammps_les.models.heads import multipoles_of
from lammps_les.models.multipoles import at_zero
from lammps_les.models.nequip.config import NequipConfig, by_species
from lammps_les.models.nequip.convolution import Convolution
from lammps_les.models.nequip.paths import edge_parity, layer_irreps
from lammps_les.models.nequip.perceptron import Linear, Perceptron
from lammps_les.models.nequip.radial import BesselBasis, distances
from lammps_les.models.nequip.repulsion import PairRepulsion
from lammps_les.models.o3.harmonics import harmonics


class NequipNetwork(Chain):
    """Energy and latent charges of atoms, a piece for each convolution (FORMAT.md).

    Works with ``torch.jit.script``, in float32 and float64, and is differentiable any number of
    times in ``edge_vectors`` and in its parameters.

    Args:
        config: sizes.

    Attributes:
        config: the same, on a module that is not scripted.
    """

    neighbor_factor: Tensor
    scale: Tensor

    def __init__(self, config: NequipConfig) -> None:
        super().__init__(
            list(config.species),
            float(config.cutoff),
            config.layers,
            config.channels,
            config.latents,
        )
        self.kind = "nequip"
        self.config = config
        self.max_l = config.max_l
        n_species, n_scalars = len(config.species), config.multiplicities[0]
        self.embedding = nn.Parameter(torch.randn(n_species, config.n_embedded))
        self.basis = BesselBasis(
            config.n_bessel, self.cutoff, config.cutoff_power, 2.0 * math.pi / self.cutoff**2
        )
        of_layers = layer_irreps(config)
        layers = [
            Convolution(irreps, config.n_bessel, config.radial_hidden, n_species, keeps=t > 0)
            for t, irreps in enumerate(of_layers)
        ]
        self.convolutions, later = nn.ModuleList(layers), layers[1:]
        self.energy_readout = Perceptron(n_scalars, config.readout_hidden, 1)
        self.charge_readout = Linear(n_scalars, config.channels) if config.channels > 0 else None
        self.multipoles = multipoles_of(config.heads, config.latents, config.channels)
        self.n_vectors, self.n_tensors = self.multipoles.n_vectors, self.multipoles.n_tensors
        self.reads_early = config.heads is not None
        source = of_layers[-1].before if self.reads_early else of_layers[-1].after
        kinds = [irrep[1:] for irrep in source]
        counts = (self.multipoles.n_scalars, self.n_vectors, self.n_tensors)
        self.place_of_order, readouts = [0, 0, 0], []
        for l, count in enumerate(counts):
            wanted = (l, edge_parity(config.parity, l))
            if count > 0 and l > 0:
                if wanted not in kinds:
                    raise ValueError(f"heads: no tensors of order {l} before the last layer")
                self.place_of_order[l] = kinds.index(wanted)
            width = n_scalars if l == 0 else source[self.place_of_order[l]].multiplicity
            readouts.append(Linear(width, count) if count > 0 else None)
        self.scalar_readout, self.vector_readout, self.tensor_readout = readouts
        kept = [layer.n_kept for layer in later]
        self.n_read = 3 * self.n_vectors + 5 * self.n_tensors if self.reads_early else 0
        if self.n_read > 0:
            kept[-1] += self.n_read
        self.cut(kept, [layer.n_sent for layer in later])
        for readout in (self.scalar_readout, self.vector_readout, self.tensor_readout):
            if readout is not None:
                at_zero(readout)
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
        """One layer of n atoms; arguments and results are those of FORMAT.md."""
        dtype = edge_vectors.dtype
        neighbor_factor = self.neighbor_factor.to(dtype)
        env = pad_edges(edge_index[0], n, row_length)
        r, unit = distances(pad_vectors(env, edge_vectors, self.cutoff))
        x, y, z = unit.unbind(0)
        of_orders: list[Tensor] = []
        components = harmonics(x, y, z, self.max_l)
        for l in range(self.max_l + 1):
            of_orders.append(torch.stack(components[l * l : (l + 1) * (l + 1)], 2))
        basis = self.basis(r)
        read, tensors = kept[:, :0], [kept]
        if t == self.pieces - 1:
            read, kept = torch.split(kept, [self.n_read, kept.size(1) - self.n_read], 1)
        for index, layer in enumerate(self.convolutions):
            if index == t:
                if index == 0:  # all that an atom sends is said by its element
                    embedded = self.embedding * neighbor_factor.unsqueeze(1)
                    of_species = layer.first_sent(embedded)  # type: ignore[operator]
                    elements = species.index_select(0, pad_rows(env, edge_index[1]))
                    sent = of_species.index_select(0, elements)
                    sent = sent.view(env.n, env.width, of_species.size(1))
                else:
                    sent = pad_sent(env, source, sent)
                tensors = layer(kept, sent, of_orders, basis)
        elements = species[:n]
        for index, layer in enumerate(self.convolutions):
            if index == t + 1:
                is_species = one_hot(elements, len(self.species)).to(dtype)
                left = layer.leave(tensors, is_species)  # type: ignore[operator]
                own, sent = left[0], left[1]
                if self.reads_early and t == self.pieces - 2:
                    own = torch.cat([self.read_out(tensors), own], 1)
                return [own, sent * neighbor_factor.index_select(0, elements).unsqueeze(1)]
        scalars = tensors[0].squeeze(1)
        scale = self.scale.to(dtype).index_select(0, elements)
        energy = self.energy_readout(scalars).squeeze(1) * scale
        if self.repulsion is not None:
            neighbors = species.index_select(0, pad_rows(env, edge_index[1]))
            energy = energy + self.repulsion(r, elements, neighbors.view(n, env.width))
        outputs = [energy]
        if self.charge_readout is not None:
            outputs.append(self.charge_readout(scalars))
        numbers = scalars[:, :0]
        if self.scalar_readout is not None:
            numbers = self.scalar_readout(scalars)
        if not self.reads_early:
            read = self.read_out(tensors)
        vectors, of_order_2 = torch.split(read, [3 * self.n_vectors, 5 * self.n_tensors], 1)
        vectors = vectors.view(n, 3, self.n_vectors)
        return outputs + self.multipoles(numbers, vectors, of_order_2.view(n, 5, self.n_tensors))

    def read_out(self, tensors: list[Tensor]) -> Tensor:
        """Vectors and tensors for the latents, [n, 3 n_vectors + 5 n_tensors]."""
        read = [tensors[0].flatten(1)[:, :0]]
        if self.vector_readout is not None:
            read.append(self.vector_readout(tensors[self.place_of_order[1]]).flatten(1))
        if self.tensor_readout is not None:
            read.append(self.tensor_readout(tensors[self.place_of_order[2]]).flatten(1))
        return torch.cat(read, 1)

"""Messages from neighbors, Batatia et al., NeurIPS 2022, equations 8 and 9."""

import math
from typing import NamedTuple

import torch
from torch import Tensor, nn

from lammps_les.models.environments import Environments, add_parts, pad_values
from lammps_les.models.mace.config import MaceConfig
from lammps_les.models.mace.product import mix, mix_by_species, sizes_by_l
from lammps_les.models.mace.radial import Perceptron
from lammps_les.models.o3.coupling import wigner_3j


class Edges(NamedTuple):
    """What messages need to know of the edges.

    Attributes:
        radial: [E, n_bessel] radial functions.
        harmonics: [rows, m, (max_l + 1)^2] spherical harmonics, in the places of the edges.
        env: these places.
        owner: centers of the rows.
    """

    radial: Tensor
    harmonics: Tensor
    env: Environments
    owner: Tensor


class Path(nn.Module):
    """Coupling of features of l1 with harmonics of l2 to messages of l3."""

    coupling: Tensor

    def __init__(self, l1: int, l2: int, l3: int) -> None:
        super().__init__()
        self.l1, self.l2, self.l3 = l1, l2, l3
        self.register_buffer("coupling", wigner_3j(l1, l2, l3) * math.sqrt(2.0 * l3 + 1.0))

    def forward(self, weighed: Tensor, harmonics: Tensor) -> Tensor:
        """Sum over neighbors.

        Args:
            weighed: [rows, m, 2 l1 + 1, C] features of neighbors times radial weights.
            harmonics: [rows, m, 2 l2 + 1].

        Returns:
            [rows, 2 l3 + 1, C].
        """
        n, m, n1, channels = weighed.shape
        if self.l1 == 0:  # the coupling is the unit matrix
            return torch.bmm(harmonics.transpose(1, 2), weighed.view(n, m, channels))
        n2, n3 = 2 * self.l2 + 1, 2 * self.l3 + 1
        matrix = self.coupling.transpose(0, 1).reshape(n2, n1 * n3)
        coupled = torch.matmul(harmonics, matrix).view(n, m * n1, n3)
        return torch.bmm(coupled.transpose(1, 2), weighed.view(n, m * n1, channels))


class Interaction(nn.Module):
    """One layer of messages: from features of neighbors to the environment A of an atom.

    Args:
        config: sizes.
        max_l_in: highest l of the features that enter.
        max_l_out: highest l of those that leave the layer.
        residual: whether an atom's own features are added to those that leave.
    """

    def __init__(self, config: MaceConfig, max_l_in: int, max_l_out: int, residual: bool) -> None:
        super().__init__()
        n_species, width = len(config.species), config.features
        self.width, self.residual = width, residual
        self.average_neighbors = float(config.average_neighbors)
        self.features_by_l, self.harmonics_by_l = sizes_by_l(max_l_in), sizes_by_l(config.max_l)
        self.orders = [
            (l1, l2, l3)
            for l1 in range(max_l_in + 1)
            for l2 in range(config.max_l + 1)
            for l3 in range(abs(l1 - l2), min(l1 + l2, config.max_l) + 1)
            if (l1 + l2 + l3) % 2 == 0
        ]
        self.paths = nn.ModuleList(Path(*orders) for orders in self.orders)
        targets = [l3 for _, _, l3 in self.orders]
        self.fan_in = [targets.count(l) * width for l in range(config.max_l + 1)]
        self.up = nn.Parameter(torch.randn(max_l_in + 1, width, width))
        self.radial = Perceptron([config.n_bessel, *config.radial_hidden, len(self.paths) * width])
        self.linear = nn.Parameter(torch.randn(len(self.paths), width, width))
        n_skip = min(max_l_in, max_l_out) + 1 if residual else config.max_l + 1
        self.n_own = n_skip**2 if residual else 0
        self.skip = nn.Parameter(torch.randn(n_skip, n_species, width, width))
        self.density = Perceptron([config.n_bessel, 1]) if config.density else None

    @torch.jit.export
    def leave(self, features: Tensor, one_hot: Tensor) -> tuple[Tensor, Tensor]:
        """What atoms keep for this layer and what they send to neighbors.

        Args:
            features: [n, (max_l_in + 1)^2, C].
            one_hot: [n, species].

        Returns:
            [n, n_own C], n_own = 0 unless the layer is residual, and [n, (max_l_in + 1)^2 C].
        """
        sent = mix(features, self.up).flatten(1)
        if self.n_own == 0:
            return sent.new_zeros([sent.size(0), 0]), sent
        kept = torch.split(features, [self.n_own, features.size(1) - self.n_own], 1)[0]
        return mix_by_species(kept, self.skip, one_hot).flatten(1), sent

    def forward(self, sent: Tensor, edges: Edges, one_hot: Tensor) -> Tensor:
        """Environments [n, (max_l + 1)^2, C] of the atoms.

        Args:
            sent: [rows, m, (max_l_in + 1)^2 C] by neighbors, in their places.
            edges: those of the atoms.
            one_hot: [n, species] of the atoms.
        """
        n, m, width = edges.env.n, edges.env.width, self.width
        hidden = pad_values(edges.env, self.radial.before_last(edges.radial))
        radial_maps = torch.split(self.radial.last_map(), width, 1)  # of paths, [n_hidden, C]
        by_l = torch.split(sent.view(n, m, sum(self.features_by_l), width), self.features_by_l, 2)
        of_l = torch.split(edges.harmonics, self.harmonics_by_l, 2)
        maps = torch.unbind(self.linear)
        sums = [torch.zeros([0]) for _ in self.harmonics_by_l]
        for p, path in enumerate(self.paths):
            l1, l2, l3 = self.orders[p]
            weighed = torch.matmul(hidden, radial_maps[p]).unsqueeze(2) * by_l[l1]
            message = add_parts(path(weighed, of_l[l2]), edges.owner, one_hot.size(0))
            mapped = torch.matmul(message, maps[p] * (1.0 / math.sqrt(self.fan_in[l3])))
            sums[l3] = mapped if sums[l3].dim() == 1 else sums[l3] + mapped
        return self.normalized(torch.cat(sums, 1), edges, one_hot)

    @torch.jit.export
    def from_elements(
        self, table: Tensor, neighbor: Tensor, edges: Edges, one_hot: Tensor
    ) -> Tensor:
        """The same where neighbors send what their element says, ``table`` [species, C].

        The sum over neighbors then comes before the last radial map, which is cheaper by far.

        Args:
            table: of sent scalars.
            neighbor: [rows, m, species], 1 at the species of a neighbor.
            edges: see ``forward``.
            one_hot: see ``forward``.
        """
        n, m, width = edges.env.n, edges.env.width, self.width
        hidden = pad_values(edges.env, self.radial.before_last(edges.radial))
        n_hidden, n_species = hidden.size(2), neighbor.size(2)
        split = (neighbor.unsqueeze(3) * hidden.unsqueeze(2)).view(n, m, n_species * n_hidden)
        messages = torch.bmm(edges.harmonics.transpose(1, 2), split)
        messages = add_parts(messages, edges.owner, one_hot.size(0))
        sums = torch.split(messages, self.harmonics_by_l, 1)
        last = self.radial.last_map().view(1, n_hidden, len(self.paths), width)
        weights = (table.view(n_species, 1, 1, width) * last).flatten(0, 1)  # [z h, path, C]
        out: list[Tensor] = []
        for part, weight, matrix in zip(sums, torch.unbind(weights, 1), torch.unbind(self.linear)):  # noqa: B905
            out.append(torch.matmul(part, weight @ matrix * (1.0 / math.sqrt(width))))
        return self.normalized(torch.cat(out, 1), edges, one_hot)

    def normalized(self, messages: Tensor, edges: Edges, one_hot: Tensor) -> Tensor:
        """Divide by the (mean) number of neighbors, and weigh by element if not residual."""
        density = self.density
        if density is None:
            messages = messages * (1.0 / self.average_neighbors)
        else:
            each = pad_values(edges.env, torch.tanh(torch.square(density(edges.radial))))
            each = add_parts(each.sum(1, keepdim=True), edges.owner, one_hot.size(0))
            messages = messages / (1.0 + each)
        if self.residual:
            return messages
        return mix_by_species(messages, self.skip, one_hot)

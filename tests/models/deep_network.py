"""A network of three layers of the NequIP kind: scalars and vectors, gates, fixed random weights.

Atom i has F scalars s and F vectors v; in the first layer s is an embedding of the element, v = 0.
With u the unit vector from i to j, R_p(r) = [silu(B(r) W) W']_p and B_k(r) = sin(k pi r/R) w(r)/r:

    m = sum_j [R_0 s_j + R_1 u.v_j],    n = sum_j [u R_2 s_j + R_3 v_j]
    s' = silu(s S + m M),    v' = (v V + n N) silu(m G)

Energies and charges are read out of every layer: e_i = sum s'.a, q_i = base[species] + sum s'.b.
"""

import math

import torch
from torch import Tensor, nn
from torch.nn.functional import silu
from toy_networks import ToyNetwork


class DeepLayer(nn.Module):
    """One layer; weights as in the formulas above."""

    def __init__(self, features: int, generator: torch.Generator) -> None:
        super().__init__()
        self.features = features

        def weights(rows: int, columns: int) -> nn.Parameter:
            values = torch.randn(rows, columns, generator=generator, dtype=torch.float64)
            return nn.Parameter(values / rows**0.5)

        self.radial, self.paths = weights(4, 8), weights(8, 4 * features)
        self.sent_scalars, self.sent_vectors = (
            weights(features, features),
            weights(features, features),
        )
        self.own_scalars, self.own_vectors = (
            weights(features, features),
            weights(features, features),
        )
        self.scalars, self.vectors = weights(features, features), weights(features, features)
        self.gates, self.readout = weights(features, features), weights(features, 2)

    def leave(self, s: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
        """Scalars [n, F] and vectors [n, 3, F] to what atoms keep and what they send, [n, 4 F]."""
        kept = torch.cat([s @ self.own_scalars, (v @ self.own_vectors).flatten(1)], 1)
        sent = torch.cat([s @ self.sent_scalars, (v @ self.sent_vectors).flatten(1)], 1)
        return kept, sent

    def forward(
        self, kept: Tensor, sent: Tensor, center: Tensor, unit: Tensor, radial: Tensor
    ) -> tuple[Tensor, Tensor]:
        """What atoms have kept, [n, 4 F], and neighbors have sent, [E, 4 F], to new s and v."""
        f = self.features
        r = (silu(radial @ self.radial) @ self.paths).view(-1, 4, f)  # [E, path, F]
        s, v = sent[:, :f], sent[:, f:].view(-1, 3, f)
        along = (unit[:, :, None] * v).sum(1)
        to_scalars = r[:, 0] * s + r[:, 1] * along
        to_vectors = unit[:, :, None] * (r[:, 2] * s)[:, None] + r[:, 3, None] * v
        m = torch.zeros_like(kept[:, :f]).index_add(0, center, to_scalars)
        n = torch.zeros_like(kept[:, f:]).index_add(0, center, to_vectors.flatten(1))
        n = n.view(-1, 3, f)
        new = silu(kept[:, :f] + m @ self.scalars)
        gates = silu(m @ self.gates)
        return new, (kept[:, f:].view(-1, 3, f) + n @ self.vectors) * gates[:, None]


class DeepNetwork(ToyNetwork):
    """See the file; what has been read out so far passes from piece to piece as two columns."""

    def __init__(
        self, species: list[str], layers: int = 3, features: int = 4, cutoff: float = 2.5
    ) -> None:
        super().__init__(species, cutoff, layers=layers, channels=1)
        generator = torch.Generator().manual_seed(8)
        self.features = features
        shape = [len(species), features]
        embedding = torch.randn(shape, generator=generator, dtype=torch.float64)
        self.embedding = nn.Parameter(embedding)
        self.base = nn.Parameter(torch.linspace(0.4, -0.8, len(species), dtype=torch.float64))
        self.interactions = nn.ModuleList(DeepLayer(features, generator) for _ in range(layers))
        self.cut([2 + 4 * features] * (layers - 1), [4 * features] * (layers - 1))

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
        """See the file."""
        r2, window = self.squared_distance_and_window(edge_vectors)
        r = torch.sqrt(r2).unsqueeze(1)
        unit = edge_vectors / r
        order = torch.arange(1, 5, dtype=r.dtype, device=r.device)
        radial = torch.sin(order * (math.pi / self.cutoff) * r) / r * window.unsqueeze(1)
        kind = species[:n]
        readout = torch.stack([torch.zeros_like(self.base[kind]), self.base[kind]], 1)
        kept_features, sent_features = kept, sent
        if t > 0:
            readout, kept_features = kept[:, :2], kept[:, 2:]
            sent_features = sent.index_select(0, source)
        scalars = torch.zeros_like(readout[:, :1])  # made below
        vectors = scalars
        for index, layer in enumerate(self.interactions):
            if index == 0 and t == 0:
                s = self.embedding[species]
                v = torch.zeros([s.size(0), 3, s.size(1)], dtype=s.dtype, device=s.device)
                kept_features, sent_features = layer.leave(s, v)
                kept_features = kept_features[:n]
                sent_features = sent_features.index_select(0, edge_index[1])
            if index == t:
                scalars, vectors = layer(kept_features, sent_features, edge_index[0], unit, radial)
                readout = readout + scalars @ layer.readout
        for index, layer in enumerate(self.interactions):
            if index == t + 1:
                kept_features, sent_features = layer.leave(scalars, vectors)
                return [torch.cat([readout, kept_features], 1), sent_features]
        return [readout[:, 0], readout[:, 1:]]

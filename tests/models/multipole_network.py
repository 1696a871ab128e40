"""A network of one or two layers with every latent that a network may give.

With f(r) = (1 - r^2/R^2)^3, w_k = weights[k, species of center, of neighbor] f(r), the unit vector
h to the neighbor, its vector r, and sums over neighbors:

    rho = sum w_0 exp(-r)   in the second layer, if there is one, + sum w_10 tanh(rho of neighbor)
    v1 = sum w_1 h,  v2 = sum w_2 r,  energy = tanh(rho) + 0.1 v1.v2
    q = base[species] + 0.3 tanh(sum w_3) + 0.1 rho,  u = 0.2 v1 (1 + rho) + 0.1 v2
    M = sym(sum w_4 h h^T + 0.3 v1 v2^T),  Q = 0.3 (M - tr(M)/3)
    kappa = 0.004 softplus(rho + sum w_5)
    A = sym(sum w_6 h h^T) + (0.8 + 0.2 tanh(rho)) 1,  alpha = 0.02 A A^T

That is the first channel; channel c has 0.6^c times as much of everything.
"""

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn.functional import softplus
from toy_networks import ToyNetwork

EVERY = ("charge", "dipole", "quadrupole", "kappa", "alpha")


def symmetric(tensor: Tensor) -> Tensor:
    """Symmetric part of [n, 3, 3]."""
    return 0.5 * (tensor + tensor.transpose(1, 2))


def summed(of_edges: Tensor, center: Tensor, n: int) -> Tensor:
    """Sum over the edges of each of n centers."""
    shape = [n] + list(of_edges.shape[1:])
    zeros = torch.zeros(shape, dtype=of_edges.dtype, device=of_edges.device)
    return zeros.index_add(0, center, of_edges)


class MultipoleNetwork(ToyNetwork):
    """See the file; without ``weights`` and ``base`` they are random."""

    latent_names: list[str]

    def __init__(
        self,
        species: list[str],
        latents: Sequence[str] = EVERY,
        layers: int = 1,
        cutoff: float = 3.2,
        weights: Tensor | None = None,
        base: Tensor | None = None,
        channels: int = 1,
    ) -> None:
        super().__init__(species, cutoff, layers=layers, channels=channels)
        self.latent_names = list(latents)
        generator = torch.Generator().manual_seed(5)
        if weights is None:
            shape = (12, len(species), len(species))
            weights = torch.randn(shape, generator=generator, dtype=torch.float64)
        if base is None:
            base = torch.linspace(0.4, -0.8, len(species), dtype=torch.float64)
        self.register_buffer("weights", weights)
        self.register_buffer("base", base)
        self.cut([1] * (layers - 1), [1] * (layers - 1))  # rho and its tanh

    def forward(
        self, edge_vectors: Tensor, edge_index: Tensor, species: Tensor, n_centers: int
    ) -> dict[str, Tensor]:
        """Of all atoms by pieces; those asked for are the first."""
        n = species.size(0)
        none, source = edge_vectors.new_zeros([0, 0]), edge_index[1]
        kept, sent = edge_vectors.new_zeros([n, 0]), none
        if self.pieces == 2:
            kept, sent = self.piece(0, kept, none, source[:0], edge_vectors, edge_index, species, n)
        t = self.pieces - 1
        outputs = self.piece(t, kept, sent, source, edge_vectors, edge_index, species, n)
        found = {"energy": outputs[0][:n_centers]}
        for index, name in enumerate(self.latent_names):
            found[name] = outputs[index + 1][:n_centers]
        return found

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
        """The first of two gives rho."""
        center = edge_index[0]
        r2, window = self.squared_distance_and_window(edge_vectors)
        r = torch.sqrt(r2)
        w = self.weights.to(r.dtype)[:, species[center], species[edge_index[1]]] * window  # [k, E]
        if t == 0:
            rho = summed(w[0] * torch.exp(-r), center, n)
        else:
            rho = kept[:, 0] + summed(w[10] * sent[source, 0], center, n)
        if t < self.pieces - 1:
            return [rho[:, None], torch.tanh(rho)[:, None]]
        h = edge_vectors / r[:, None]
        dyad = h[:, :, None] * h[:, None, :]
        v1, v2 = (
            summed(w[1][:, None] * h, center, n),
            summed(w[2][:, None] * edge_vectors, center, n),
        )
        outputs = [torch.tanh(rho) + 0.1 * (v1 * v2).sum(1)]
        one = torch.eye(3, dtype=r.dtype, device=r.device)
        for name in self.latent_names:
            if name == "charge":
                base = self.base.to(r.dtype)[species[:n]]
                latent = base + 0.3 * torch.tanh(summed(w[3], center, n)) + 0.1 * rho
            elif name == "dipole":
                latent = 0.2 * v1 * (1.0 + rho)[:, None] + 0.1 * v2
            elif name == "quadrupole":
                products = v1[:, :, None] * v2[:, None, :]
                m = symmetric(summed(w[4][:, None, None] * dyad, center, n) + 0.3 * products)
                trace = m.diagonal(dim1=1, dim2=2).sum(1)
                latent = 0.3 * (m - trace[:, None, None] / 3.0 * one)
            elif name == "kappa":
                latent = 0.004 * softplus(rho + summed(w[5], center, n))
            else:
                a = symmetric(summed(w[6][:, None, None] * dyad, center, n))
                a = a + (0.8 + 0.2 * torch.tanh(rho))[:, None, None] * one
                latent = 0.02 * a @ a.transpose(1, 2)
            outputs.append(torch.stack([0.6**c * latent for c in range(self.channels)], dim=1))
        return outputs

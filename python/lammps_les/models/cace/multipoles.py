"""Readout of latents beyond charges: gated mixtures of vectors and tensors."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from lammps_les.models.cace.config import MultipoleConfig
from lammps_les.models.cace.covariants import Mixtures
from lammps_les.models.cace.readout import Perceptron
from lammps_les.models.multipoles import Multipoles, at_zero


class MultipoleReadout(nn.Module):
    """Dipole, quadrupole, kappa and alpha of atoms, those that are asked for.

    Of the mixtures h of vectors V and tensors T of an atom, and a perceptron g on its invariants B,

        v = 1/H sum_h g_h(B) V_h,   T = 1/H sum_h g_h(B) T_h,   x = g(B)

    are what ``Multipoles`` takes. Without neighbors V and T are zero.

    Args:
        config: sizes.
        latents: names.
        channels: of each.
        n_invariants: length of B.
        n_features: channels and radial functions of the A basis.
        max_l: highest order of it.

    Attributes:
        n_stored: tensors that ``backward`` needs.
    """

    def __init__(
        self,
        config: MultipoleConfig,
        latents: Sequence[str],
        channels: int,
        n_invariants: int,
        n_features: int,
        max_l: int,
    ) -> None:
        super().__init__()
        self.multipoles = Multipoles(latents, channels)
        self.count = config.mixtures
        sizes = [self.count * n for n in (self.multipoles.n_vectors, self.multipoles.n_tensors)]
        self.sizes = [*sizes, self.multipoles.n_scalars]
        self.gates = Perceptron([n_invariants, *config.hidden, sum(self.sizes)])
        at_zero(self.gates.last)
        self.vectors = Mixtures(1, max_l, n_features, sizes[0]) if sizes[0] > 0 else None
        self.tensors = Mixtures(2, max_l, n_features, sizes[1]) if sizes[1] > 0 else None
        self.n_stored = len(config.hidden) + 4

    def forward(self, features: Tensor, a: Tensor) -> tuple[list[Tensor], list[Tensor]]:
        """Latents of n atoms, and what ``backward`` needs.

        Args:
            features: [n, n_invariants].
            a: A basis [l, channels, radial functions, n].
        """
        n, flat = features.size(0), a.flatten(1, 2)
        gates, stored = self.gates.store(features)
        of_vectors, of_tensors, scalars = torch.split(gates, self.sizes, 1)
        vectors, tensors = features.new_empty([3, 0, n]), features.new_empty([6, 0, n])
        if self.vectors is not None:
            vectors = self.vectors(flat)
        if self.tensors is not None:
            tensors = self.tensors(flat)
        sums = self.gated(tensors, of_tensors)
        outputs = self.multipoles(scalars, self.gated(vectors, of_vectors), sums)
        return outputs, stored + [gates, vectors, tensors, sums]

    def gated(self, mixtures: Tensor, gates: Tensor) -> Tensor:
        """Sums [n, components, count] over mixtures [components, H count, n] times gates."""
        size, _, n = mixtures.shape
        weighed = (mixtures * gates.t()).view(size, mixtures.size(1) // self.count, self.count, n)
        return weighed.sum(2).permute(2, 0, 1) * (1.0 / self.count)

    @torch.jit.export
    def backward(
        self, stored: list[Tensor], a: Tensor, weights: list[Tensor]
    ) -> tuple[Tensor, Tensor]:
        """Gradients of k weighed sums of the outputs.

        Args:
            stored: of ``forward``.
            a: as there.
            weights: [k, ...] of each output.

        Returns:
            by the invariants [k, n_invariants, n], and by the A basis [k, (l channels radial), n].
        """
        gates, vectors, tensors, sums = stored[-4], stored[-3], stored[-2], stored[-1]
        of_vectors, of_tensors, scalars = torch.split(gates, self.sizes, 1)
        by_scalars, by_vectors, by_tensors = self.multipoles.backward(scalars, sums, weights)
        k, flat = by_scalars.size(0), a.flatten(1, 2)
        by_a = flat.new_zeros([k, flat.size(0), flat.size(1), flat.size(2)])
        by_vectors, by_tensors = self.ungated(by_vectors), self.ungated(by_tensors)
        if self.vectors is not None:
            self.vectors.backward(flat, by_vectors * of_vectors.t(), by_a)
        if self.tensors is not None:
            self.tensors.backward(flat, by_tensors * of_tensors.t(), by_a)
        by_gates = [(by_vectors * vectors).sum(1), (by_tensors * tensors).sum(1)]
        weighed = torch.cat([by.transpose(1, 2) for by in by_gates] + [by_scalars], 2)
        by_features = self.gates.backward(stored[: len(stored) - 4], weighed)
        return by_features, by_a.flatten(1, 2)

    def ungated(self, by_sums: Tensor) -> Tensor:
        """Gradients by sums [k, n, components, count] for each of their mixtures, last but one."""
        by_sums = by_sums.permute(0, 2, 3, 1) * (1.0 / self.count)
        return torch.repeat_interleave(by_sums, self.count, 2)

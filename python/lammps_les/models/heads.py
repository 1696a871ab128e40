"""Latent multipoles as the programs with the library les read them out; for networks of theirs."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Literal

import torch
from torch import Tensor, nn
from torch.nn.functional import softplus

from lammps_les.models.limits import Channels, in_order, within
from lammps_les.models.multipoles import Multipoles

Source = Literal["numbers", "dyads", "tensors"]
Form = Literal["linear", "square", "softplus"]
_Scale = Annotated[float, within(-1e6, 1e6, zero=False)]


@dataclass(frozen=True)
class Heads:
    """What the heads of a published network are; one channel.

    Attributes:
        quadrupole: what it is the sum of: v v^T of a vector ("dyads"), "tensors" of order 2.
        alpha: likewise, and "numbers" for multiples of the unit matrix.
        kappa_form: x as it is read out, x^2, or softplus(x).
        alpha_form: A, A A^T, or softplus of the number where there is nothing else. Of the three
            only "linear" does not make alpha and kappa positive.
        dipole_scale, quadrupole_scale, kappa_scale, alpha_scale: factors, after these functions
            [unit A, unit A^2, unit^2/eV, unit^2 A^2/eV].
        beside: how many perceptrons of the original one of this network stands for, their hidden
            units side by side.
    """

    quadrupole: tuple[Source, ...] = ()
    alpha: tuple[Source, ...] = ()
    kappa_form: Form = "linear"
    alpha_form: Form = "linear"
    dipole_scale: _Scale = 1.0
    quadrupole_scale: _Scale = 1.0
    kappa_scale: _Scale = 1.0
    alpha_scale: _Scale = 1.0
    beside: Annotated[int, within(1, 100)] = 1


class PublishedMultipoles(nn.Module):
    """Takes the place of ``Multipoles``; its arguments are these columns, those that there are.

    numbers: kappa, alpha; vectors: dipole, that of the quadrupole's dyad, of alpha's; tensors:
    quadrupole, alpha.

    Args:
        heads: what they are.
        latents: names of the latents.
        channels: 1.

    Attributes:
        n_scalars, n_vectors, n_tensors, max_l: as those of ``Multipoles``.
    """

    basis: Tensor

    def __init__(self, heads: Heads, latents: Sequence[str], channels: Channels) -> None:
        super().__init__()
        names = in_order(latents)
        if channels != 1:
            raise ValueError(f"heads: published networks have 1 channel, got {channels}")
        for name, sources in (("quadrupole", heads.quadrupole), ("alpha", heads.alpha)):
            if (name in names) != bool(sources):
                raise ValueError(f"heads: {name} of {sources or 'nothing'}, latents {names}")
        self.dipole, self.quadrupole = "dipole" in names, "quadrupole" in names
        self.kappa, self.alpha = "kappa" in names, "alpha" in names
        self.q_dyads, self.q_tensors = (s in heads.quadrupole for s in ("dyads", "tensors"))
        self.a_numbers, self.a_dyads, self.a_tensors = (
            s in heads.alpha for s in ("numbers", "dyads", "tensors")
        )
        self.kappa_form, self.alpha_form = str(heads.kappa_form), str(heads.alpha_form)
        if self.alpha_form == "softplus" and (self.a_dyads or self.a_tensors):
            raise ValueError("heads: alpha_form softplus is for numbers")
        self.dipole_scale, self.quadrupole_scale = heads.dipole_scale, heads.quadrupole_scale
        self.kappa_scale, self.alpha_scale = heads.kappa_scale, heads.alpha_scale
        self.n_scalars = int(self.kappa) + int(self.a_numbers)
        self.n_vectors = int(self.dipole) + int(self.q_dyads) + int(self.a_dyads)
        self.n_tensors = int(self.q_tensors) + int(self.a_tensors)
        self.max_l = 2 if self.n_tensors > 0 else 1 if self.n_vectors > 0 else 0
        self.register_buffer("basis", Multipoles(("charge",), 1).basis, persistent=False)

    def forward(self, scalars: Tensor, vectors: Tensor, tensors: Tensor) -> list[Tensor]:
        """Latents of n atoms beyond the charge, in the order of ``LATENTS``.

        Args:
            scalars: [n, n_scalars].
            vectors: [n, 3, n_vectors].
            tensors: [n, 5, n_tensors] of order 2, as ``spherical_harmonics`` has them.
        """
        n = scalars.size(0)
        basis = self.basis.to(tensors.dtype)
        matrices = (tensors.transpose(1, 2) @ basis).view(n, self.n_tensors, 3, 3)
        unit = torch.eye(3, dtype=scalars.dtype, device=scalars.device)
        outputs: list[Tensor] = []
        vector, tensor = 0, 0
        if self.dipole:
            outputs.append(vectors.narrow(2, 0, 1).transpose(1, 2) * self.dipole_scale)
            vector += 1
        if self.quadrupole:
            q = torch.zeros([n, 1, 3, 3], dtype=scalars.dtype, device=scalars.device)
            if self.q_dyads:
                v = vectors.narrow(2, vector, 1)
                q = q + (v @ v.transpose(1, 2)).unsqueeze(1)
                vector += 1
            if self.q_tensors:
                q = q + matrices.narrow(1, tensor, 1)
                tensor += 1
            trace = torch.diagonal(q, 0, 2, 3).sum(2).unsqueeze(2).unsqueeze(3)
            outputs.append((q - trace * unit * (1.0 / 3.0)) * self.quadrupole_scale)
        if self.kappa:
            outputs.append(self.formed(scalars.narrow(1, 0, 1), self.kappa_form) * self.kappa_scale)
        if self.alpha:
            a = torch.zeros([n, 1, 3, 3], dtype=scalars.dtype, device=scalars.device)
            if self.a_numbers:
                x = scalars.narrow(1, int(self.kappa), 1)
                if self.alpha_form == "softplus":
                    x = softplus(x)
                a = a + x.unsqueeze(2).unsqueeze(3) * unit
            if self.a_dyads:
                v = vectors.narrow(2, vector, 1)
                a = a + (v @ v.transpose(1, 2)).unsqueeze(1)
            if self.a_tensors:
                a = a + matrices.narrow(1, tensor, 1)
            if self.alpha_form == "square":
                a = torch.matmul(a, a)
            outputs.append(a * self.alpha_scale)
        return outputs

    def formed(self, x: Tensor, form: str) -> Tensor:
        """A function of numbers by its name."""
        if form == "square":
            return torch.square(x)
        if form == "softplus":
            return softplus(x)
        return x


def multipoles_of(
    heads: Heads | None, latents: Sequence[str], channels: int
) -> Multipoles | PublishedMultipoles:
    """Of a network of this project, or of a published one."""
    if heads is None:
        return Multipoles(latents, channels)
    return PublishedMultipoles(heads, latents, channels)

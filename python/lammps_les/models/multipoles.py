"""Latent multipoles and their response: dipole, quadrupole, kappa and alpha of an atom."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from lammps_les.models.limits import in_order
from lammps_les.models.o3.coupling import wigner_3j

COMPONENTS = (0, 1, 2, 1, 3, 4, 2, 4, 5)
"""Where a symmetric matrix of six numbers xx, xy, xz, yy, yz, zz has its nine."""


def check_latents(
    latents: Sequence[str], channels: int, max_l: int, what: str, published: bool = False
) -> None:
    """Refuse latents that a network cannot have.

    Args:
        latents: their names.
        channels: of each.
        max_l: highest order of the tensors of the network.
        what: name of the option that sets it.
        published: whether it has the heads of another program, which need no tensors of order 2.

    Raises:
        ValueError: no latents, or one that cannot be; names it, and what to set.
    """
    beyond = in_order(latents)[1:]
    if beyond and channels == 0:
        raise ValueError(f"latents: {', '.join(beyond)} need channels of at least 1")
    for name, order in (("dipole", 1), ("quadrupole", 2), ("alpha", 2)):
        if name in latents and max_l < order and not published:
            raise ValueError(f"latents: {name} needs {what} of at least {order}, got {max_l}")


def at_zero(last_map: nn.Module) -> None:
    """Let the weights of a map of features begin at zero, whatever they were drawn as."""
    for parameter in last_map.parameters(recurse=False):
        parameter.data = torch.zeros_like(parameter)


class Multipoles(nn.Module):
    """What becomes of numbers, vectors and tensors that a network reads out.

        dipole = 0.1 v,  quadrupole = 0.1 (T - tr T / 3),  kappa = 1e-4 (1 + x)^2,
        alpha = 0.01 M M^T with M = (1 + x) 1 + T

    in file units, each with a v, x or symmetric T of its own: alpha is positive semidefinite and
    kappa positive by construction. Read out by maps that begin at zero (``at_zero``), a network has
    alpha 0.01 at first, in water a susceptibility of 0.18.

    Args:
        latents: their names.
        channels: of each.

    Attributes:
        n_scalars, n_vectors, n_tensors: how many of each are to be read out of an atom; those of
            the tensors and scalars of alpha come last.
        max_l: highest order of them.
    """

    basis: Tensor
    component: Tensor

    def __init__(self, latents: Sequence[str], channels: int) -> None:
        super().__init__()
        names = in_order(latents) if channels > 0 else ()
        self.channels = channels
        self.dipole, self.quadrupole = "dipole" in names, "quadrupole" in names
        self.kappa, self.alpha = "kappa" in names, "alpha" in names
        self.n_scalars = channels * (self.kappa + self.alpha)
        self.n_vectors = channels * self.dipole
        self.n_tensors = channels * (self.quadrupole + self.alpha)
        self.dipole_scale, self.quadrupole_scale = 0.1, 0.1  # unit A, unit A^2
        self.kappa_scale, self.alpha_scale = 1e-4, 0.01  # unit^2/eV, unit^2 A^2/eV
        self.max_l = 2 if self.n_tensors > 0 else 1 if self.n_vectors > 0 else 0
        basis = wigner_3j(1, 1, 2).permute(2, 0, 1).reshape(5, 9)
        self.register_buffer("basis", basis * 5.0**0.5, persistent=False)
        self.register_buffer("component", torch.tensor(COMPONENTS), persistent=False)

    def forward(self, scalars: Tensor, vectors: Tensor, tensors: Tensor) -> list[Tensor]:
        """Latents of n atoms beyond the charge, those that there are, in the order of ``LATENTS``.

        Args:
            scalars: [n, n_scalars].
            vectors: [n, 3, n_vectors].
            tensors: [n, 5, n_tensors] of order 2, as ``spherical_harmonics`` has them, or
                [n, 6, n_tensors] symmetric: xx, xy, xz, yy, yz, zz.
        """
        c = self.channels
        outputs: list[Tensor] = []
        if self.dipole:
            outputs.append(vectors.transpose(1, 2) * self.dipole_scale)
        matrices = self.matrices(tensors)
        if self.quadrupole:
            q = matrices.narrow(1, 0, c)
            outputs.append((q - self.trace(q) * (1.0 / 3.0)) * self.quadrupole_scale)
        if self.kappa:
            outputs.append(torch.square(1.0 + scalars.narrow(1, 0, c)) * self.kappa_scale)
        if self.alpha:
            m = self.root(scalars, matrices)
            outputs.append(torch.matmul(m, m) * self.alpha_scale)
        return outputs

    def matrices(self, tensors: Tensor) -> Tensor:
        """Symmetric matrices [n, n_tensors, 3, 3] of the tensors [n, 5 or 6, n_tensors]."""
        n, size, count = tensors.shape
        if size == 5:
            nine = torch.matmul(tensors.transpose(1, 2), self.basis.to(tensors.dtype))
        else:
            nine = tensors.index_select(1, self.component).transpose(1, 2)
        return nine.reshape(n, count, 3, 3)

    def root(self, scalars: Tensor, matrices: Tensor) -> Tensor:
        """M [n, C, 3, 3], of which alpha is the square."""
        c = self.channels
        x = 1.0 + scalars.narrow(1, self.n_scalars - c, c)
        unit = torch.eye(3, dtype=x.dtype, device=x.device)
        return matrices.narrow(1, self.n_tensors - c, c) + x.unsqueeze(2).unsqueeze(3) * unit

    def trace(self, matrices: Tensor) -> Tensor:
        """The unit matrix times the trace of each [..., 3, 3]."""
        unit = torch.eye(3, dtype=matrices.dtype, device=matrices.device)
        return (matrices * unit).sum([-2, -1], keepdim=True) * unit

    @torch.jit.export
    def backward(self, scalars: Tensor, tensors: Tensor, weights: list[Tensor]) -> list[Tensor]:
        """Gradients of k weighed sums of the outputs.

        Args:
            scalars: as for ``forward``.
            tensors: [n, 6, n_tensors], likewise.
            weights: [k, ...] of each output.

        Returns:
            [k, n, n_scalars], [k, n, 3, n_vectors] and [k, n, 6, n_tensors].
        """
        n, c, k = scalars.size(0), self.channels, weights[0].size(0)
        at = 0
        by_vectors = scalars.new_empty([k, n, 3, 0])
        of_scalars: list[Tensor] = [scalars.new_empty([k, n, 0])]
        of_tensors: list[Tensor] = [scalars.new_empty([k, n, 0, 3, 3])]
        if self.dipole:
            by_vectors = weights[at].transpose(2, 3) * self.dipole_scale
            at += 1
        if self.quadrupole:
            g = weights[at] * self.quadrupole_scale
            of_tensors.append(g - self.trace(g) * (1.0 / 3.0))
            at += 1
        if self.kappa:
            slope = (1.0 + scalars.narrow(1, 0, c)) * (2.0 * self.kappa_scale)
            of_scalars.append(weights[at] * slope)
            at += 1
        if self.alpha:
            g = (weights[at] + weights[at].transpose(3, 4)) * (0.5 * self.alpha_scale)
            product = torch.matmul(g, self.root(scalars, self.matrices(tensors)))
            by_m = product + product.transpose(3, 4)
            of_tensors.append(by_m)
            of_scalars.append(torch.diagonal(by_m, 0, 3, 4).sum(3))
        nine = torch.cat(of_tensors, 2).flatten(3).transpose(2, 3)  # [k, n, 9, n_tensors]
        by_tensors = nine.new_zeros([k, n, 6, self.n_tensors]).index_add(2, self.component, nine)
        return [torch.cat(of_scalars, 2), by_vectors, by_tensors]

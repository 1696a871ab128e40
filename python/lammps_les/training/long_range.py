"""Long-range sum of latent sources by formula, for use inside a loss.

The formulas are those of ``lammps_les.electrostatics`` in the form of matrix products: what needs a
gradient are the latents, everything that depends on positions alone is a constant.

With s = (q, u, Q) the sources, K the sum, d = (-kappa phi, alpha E) what they induce and
a = s/2 + d, the energy is <a, K s>, and as d makes it stationary, its derivatives are those of the
bilinear form at fixed a and s:

    dE/ds = K (s + d) = K a + K s / 2,   dE/dkappa = -phi^2 / 2,   dE/dalpha = -E E^T / 2
    forces = -d<a, K s>/dr,              virial_ab = -d<a, K s>/d(strain_ab)
"""

from typing import NamedTuple

import torch
from torch import Tensor

from lammps_les.electrostatics import Latents, LongRangeParameters, wave_vectors
from lammps_les.electrostatics.latents import packed_sources
from lammps_les.electrostatics.open_boundaries import open_fields
from lammps_les.electrostatics.parameters import own_fields
from lammps_les.electrostatics.periodic import screening, source_factors


class Fields(NamedTuple):
    """What sources s make at the atoms.

    Attributes:
        values: K s [N, C, M], self-interaction included: phi, its gradient, half the second one.
        raw: the same without self-interaction.
        slopes: d(raw)/dr at the atom, [N, C, M, 3]; None in open boundaries.
        wave: S(k) [K, C, 2], real and imaginary part; None in open boundaries.
    """

    values: Tensor
    raw: Tensor
    slopes: Tensor | None
    wave: Tensor | None


class SourceSum:
    """The linear operation K for the atoms of one structure.

    Args:
        positions: [N, 3] in A.
        cell: [3, 3], rows are lattice vectors [A]; not used in open boundaries.
        triples: [K, 3] from ``wave_vector_triples``; not used in open boundaries.
        periodic: boundaries.
        parameters: of the model.
        components: M of the sources, 1, 4 or 13.
    """

    def __init__(
        self,
        positions: Tensor,
        cell: Tensor,
        triples: Tensor,
        periodic: bool,
        parameters: LongRangeParameters,
        components: int,
    ) -> None:
        self.positions, self.periodic, self.parameters = positions.detach(), periodic, parameters
        if not periodic:
            return
        self.k = wave_vectors(triples, cell)  # [K, 3]
        phase = self.k @ self.positions.T  # [K, N]
        self.cos, self.sin = torch.cos(phase), torch.sin(phase)
        volume = torch.abs(torch.linalg.det(cell))
        f = 4.0 * parameters.norm / volume * screening(self.k, parameters.sigma)  # k and -k
        self.f = f[:, None]
        real, imaginary = source_factors(self.k, components)
        self.p, self.ip = real[:, None, :], imaginary[:, None, :]  # [K, 1, M]

    def fields(self, sources: Tensor) -> Fields:
        """K s of sources s [N, C, M]."""
        if not self.periodic:
            return self._open(sources)
        n, channels, components = sources.shape
        p, ip, flat = self.p, self.ip, sources.flatten(1)
        of_cos = (self.cos @ flat).view(-1, channels, components)
        of_sin = (self.sin @ flat).view(-1, channels, components)
        wave_real = (p * of_cos - ip * of_sin).sum(2)  # [K, C]
        wave_imaginary = (p * of_sin + ip * of_cos).sum(2)
        real, imaginary = (self.f * wave_real)[..., None], (self.f * wave_imaginary)[..., None]
        by_cos, by_sin = real * p + imaginary * ip, imaginary * p - real * ip  # [K, C, M]
        k = self.k[:, None, None, :]
        # values and their three derivatives in one product
        columns = [
            torch.cat([same[..., None], sign * k * other[..., None]], 3).flatten(1)
            for same, other, sign in ((by_cos, by_sin, 1.0), (by_sin, by_cos, -1.0))
        ]
        found = self.cos.T @ columns[0] + self.sin.T @ columns[1]
        found = found.view(n, channels, components, 4)
        raw = values = found[..., 0]
        if self.parameters.remove_self:
            values = raw - self.parameters.self_factor * own_fields(sources, self.parameters)
        return Fields(values, raw, found[..., 1:], torch.stack([wave_real, wave_imaginary], 2))

    def _open(self, sources: Tensor) -> Fields:
        values = open_fields(self.positions, sources, self.parameters)
        return Fields(values, values, None, None)

    def forces(self, a: Tensor, of_a: Fields, b: Tensor, of_b: Fields) -> Tensor:
        """-d<a, K b>/dr at fixed sources a and b [N, C, M], for each channel: [N, C, 3]."""
        if of_a.slopes is None or of_b.slopes is None:
            return self._open_forces(a, b)
        return -(a[..., None] * of_b.slopes + b[..., None] * of_a.slopes).sum(2)

    def _open_forces(self, a: Tensor, b: Tensor) -> Tensor:
        with torch.enable_grad():
            r = self.positions.clone().requires_grad_()
            parts = (a * open_fields(r, b, self.parameters)).sum((0, 2))  # [C]
            slopes = [torch.autograd.grad(e, r, create_graph=True)[0] for e in parts]
        return -torch.stack(slopes, 1)

    def virial(self, a: Tensor, of_a: Fields, b: Tensor, of_b: Fields, forces: Tensor) -> Tensor:
        """-d<a, K b>/d(strain) at fixed sources and integer wave vectors, [3, 3].

        The arguments are those of ``forces``, and what that gives.
        """
        if of_a.wave is None or of_b.wave is None:
            return forces.sum(1).T @ self.positions
        terms = (self.f[:, :, None] * of_a.wave * of_b.wave).sum((1, 2))  # [K]
        k = self.k
        slope = 2.0 * (1.0 / (k * k).sum(1) + 0.5 * self.parameters.sigma**2)
        tensor = terms.sum() * torch.eye(3, dtype=k.dtype, device=k.device)
        tensor = tensor - k.T @ ((terms * slope)[:, None] * k)
        for of_one, other in ((of_b, a), (of_a, b)):  # factors k.u and k.Q.k change with k
            if a.size(2) > 1:
                g, u = of_one.raw[:, :, 1:4], other[:, :, 1:4]
                tensor = tensor + torch.einsum("ica,icb->ab", g, u)
            if a.size(2) > 4:
                half_h, q = (x[:, :, 4:].unflatten(2, (3, 3)) for x in (of_one.raw, other))
                tensor = tensor + 2.0 * torch.einsum("icam,icmb->ab", half_h, q)
        return tensor


class LongRange(NamedTuple):
    """Long-range part of one structure.

    Attributes:
        energies: [N], eV, shares of the atoms.
        by_latents: dE/d(latent) of those that the model has, eV per unit of the latent.
        forces: -dE/dr at fixed latents, [N, 3], eV/A.
        virial: -dE/d(strain) at fixed latents, [3, 3], eV; zero where not asked for.
        charge_induced: dq = -kappa phi [N, C]; None without kappa.
        dipole_induced: du = alpha E [N, C, 3]; None without alpha.
        dipole_response: how the dipole answers; None where not asked for.
    """

    energies: Tensor
    by_latents: Latents
    forces: Tensor
    virial: Tensor
    charge_induced: Tensor | None = None
    dipole_induced: Tensor | None = None
    dipole_response: "DipoleResponse | None" = None


class DipoleResponse(NamedTuple):
    """Derivatives of D_a = sum_ic w_c (u + alpha E)_ica; the three a come first.

    Attributes:
        by_latents: [3, N, C, ...] each, of those that the model has but kappa.
        forces: dD_a/dr at fixed latents, [3, N, 3]; zero without alpha.
    """

    by_latents: Latents
    forces: Tensor


def long_range(
    positions: Tensor,
    latents: Latents,
    cell: Tensor,
    triples: Tensor,
    periodic: bool,
    parameters: LongRangeParameters,
    virial: bool,
    dipole_weights: Tensor | None = None,
) -> LongRange:
    """Long-range part of one structure, differentiable in the latents.

    Args:
        positions: [N, 3] in A.
        latents: of N atoms in C channels, file units.
        cell: this and the following as for ``SourceSum``.
        triples: likewise.
        periodic: likewise.
        parameters: likewise.
        virial: whether the virial is wanted.
        dipole_weights: [C], w of ``DipoleResponse``, where that is wanted.
    """
    if latents.charge.size(1) == 0:
        energies = torch.zeros_like(positions[:, 0])
        return LongRange(energies, latents, torch.zeros_like(positions), torch.zeros_like(cell))
    s = packed_sources(latents)
    total = SourceSum(positions, cell, triples, periodic, parameters, s.size(2))
    of_s = total.fields(s)
    kappa, alpha, potential = latents.kappa, latents.alpha, of_s.values[:, :, 0]
    dq = None if kappa is None else -kappa * potential
    field = -of_s.values[:, :, 1:4]
    du = None if alpha is None else torch.einsum("icab,icb->ica", alpha, field)
    d = packed_sources(
        Latents(
            torch.zeros_like(potential) if dq is None else dq,
            du if du is not None or s.size(2) == 1 else torch.zeros_like(field),
            torch.zeros_like(s[:, :, 4:]).unflatten(2, (3, 3)) if s.size(2) == 13 else None,
        )
    )
    a, of_a = 0.5 * s + d, _half(of_s)
    if dq is not None or du is not None:
        of_a = total.fields(a)
    forces = total.forces(a, of_a, s, of_s)
    tensor = total.virial(a, of_a, s, of_s, forces) if virial else torch.zeros_like(cell)
    by_latents = _unpacked(of_a.values + 0.5 * of_s.values, latents)._replace(
        kappa=None if kappa is None else -0.5 * potential**2,
        alpha=None if alpha is None else -0.5 * field[..., :, None] * field[..., None, :],
    )
    energies = 0.5 * ((s + d) * of_s.values).sum((1, 2))
    response = None
    if dipole_weights is not None and s.size(2) > 1:
        response = _dipole_response(total, latents, s, of_s, dipole_weights)
    return LongRange(energies, by_latents, forces.sum(1), tensor, dq, du, response)


def _half(fields: Fields) -> Fields:
    return Fields(*(None if x is None else 0.5 * x for x in fields))  # type: ignore[arg-type]


def _unpacked(sources: Tensor, like: Latents) -> Latents:
    """Sources [..., M] by name, those that a model has."""
    return Latents(
        sources[..., 0],
        None if like.dipole is None else sources[..., 1:4],
        None if like.quadrupole is None else sources[..., 4:].unflatten(-1, (3, 3)),
    )


def _dipole_response(
    total: SourceSum, latents: Latents, s: Tensor, of_s: Fields, weights: Tensor
) -> DipoleResponse:
    """With t^a = w alpha e_a, the induced part is -<t^a, K s>: one more sum, of 3 C channels."""
    n, channels, components = s.shape
    axes = torch.eye(3, dtype=s.dtype, device=s.device)
    w = weights.to(s)[None, :, None]
    alpha = latents.alpha
    direct = axes[:, None, None, :] * w  # [3, 1, C, 3]
    if alpha is None:
        zero = torch.zeros((3, *s.shape), dtype=s.dtype, device=s.device)
        by = _unpacked(zero, latents)
        forces = torch.zeros((3, n, 3), dtype=s.dtype, device=s.device)
    else:
        t = torch.zeros((n, 3, channels, components), dtype=s.dtype, device=s.device)
        dipoles = alpha.permute(0, 3, 1, 2) * w[:, None]  # [N, a, C, 3]
        t = torch.cat([t[..., :1], dipoles, t[..., 4:]], 3).flatten(1, 2)
        repeated = Fields(*(None if x is None else _thrice(x) for x in of_s))  # type: ignore[arg-type]
        of_t = total.fields(t)
        forces = total.forces(t, of_t, _thrice(s), repeated).unflatten(1, (3, channels))
        forces = forces.sum(2).transpose(0, 1)
        by = _unpacked(-of_t.values.unflatten(1, (3, channels)).transpose(0, 1), latents)
        dyad = direct[..., :, None] * -of_s.values[None, :, :, None, 1:4]  # [3, N, C, 3, 3]
        by = by._replace(alpha=0.5 * (dyad + dyad.transpose(3, 4)))
    if by.dipole is not None:
        by = by._replace(dipole=by.dipole + direct)
    return DipoleResponse(by, forces)


def _thrice(x: Tensor) -> Tensor:
    """Channels, the second dimension, three times one after the other."""
    return x.repeat(1, 3, *[1] * (x.dim() - 2))

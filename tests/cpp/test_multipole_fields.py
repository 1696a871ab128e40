"""Fields of dipoles and quadrupoles, and what other sources make at the same atoms."""

import numpy as np
import pytest
import torch
from multipole_atoms import (
    CELL,
    DL,
    KINDS,
    NORM,
    SIGMA,
    TERMS,
    Total,
    others,
    system,
    traceless,
)
from torch import Tensor

from lammps_les import _core
from lammps_les.electrostatics import (
    Latents,
    LongRangeParameters,
    long_range_derivatives,
    long_range_response,
)
from lammps_les.electrostatics.latents import packed_sources


@pytest.mark.parametrize("components", [1, 4, 13])
@pytest.mark.parametrize("kind", KINDS)
def test_gradients_of_the_potential_are_its_slopes(kind: str, components: int) -> None:
    """Up to the third, at a place where nothing is: <a, K b> = <b, K a> for all pairs."""
    r, latents = system(["dipole", "quadrupole"])
    packed = packed_sources(latents)
    sources = packed[:, :, :components].clone()
    k = _core.Solver(kind, None if kind == "open" else CELL, sigma=SIGMA, dl=DL, norm=NORM)
    sources[0] = 0.0
    fields = k.apply(r, sources, order=3).derivatives
    assert [list(f.shape) for f in fields] == [[13, 2, *[3] * d] for d in range(4)]
    h = 1e-4
    for b in range(3):
        moved = []
        for step in (h, -h):
            x = r.clone()
            x[0, b] += step
            moved.append(k.apply(x, sources, order=3).derivatives)
        for order in range(3):
            slope = (moved[0][order][0] - moved[1][order][0]) / (2 * h)
            scale = float(fields[order + 1][0].abs().max())
            found = fields[order + 1][0][..., b]
            torch.testing.assert_close(found, slope, rtol=0, atol=1e-6 * scale)
    # symmetry in the atoms and in the kinds of sources
    other = packed.flip(0)
    full = k.apply(r, other, order=2).derivatives
    mine = k.apply(r, sources, order=2).derivatives

    def work(s: Tensor, f: list[Tensor]) -> float:
        value = (s[:, :, 0] * f[0]).sum()
        if s.size(2) > 1:
            value = value + (s[:, :, 1:4] * f[1]).sum()
        if s.size(2) > 4:
            value = value + 0.5 * (s[:, :, 4:] * f[2].flatten(2)).sum()
        return float(value)

    assert work(sources, full) == pytest.approx(work(other, mine), rel=1e-12)


@pytest.mark.parametrize("kind", KINDS)
def test_virial_of_two_applications_is_bilinear(kind: str) -> None:
    """Also of sources with other components."""
    r, latents = system(["dipole", "quadrupole"])
    one = packed_sources(latents)
    k = _core.Solver(kind, None if kind == "open" else CELL, sigma=SIGMA, dl=DL, norm=NORM)
    of_one = k.apply(r, one, order=3)
    for components in (1, 4, 13):
        other = torch.zeros_like(one)
        other[:, :, :components] = one.flip(0)[:, :, :components]
        small = other[:, :, :components]
        of_other, both = k.apply(r, small, order=3), k.apply(r, one + other, order=3)
        cross, back = k.apply(r, small, of_one, order=3), k.apply(r, one, of_other, order=3)
        for name in ("virial", "atom_virial"):
            expected = getattr(both, name) - getattr(of_one, name) - getattr(of_other, name)
            found = getattr(cross, name) + getattr(back, name)
            assert expected.abs().max() > 0.1
            torch.testing.assert_close(found, expected, rtol=0, atol=1e-10)
        torch.testing.assert_close(cross.virial, back.virial, rtol=0, atol=1e-10)
        torch.testing.assert_close(cross.atom_virial.sum(0), cross.virial, rtol=0, atol=1e-10)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("terms", [["alpha"], ["kappa"], TERMS], ids="-".join)
def test_response_to_other_sources(terms: list[str], kind: str) -> None:
    """K t, and the force -d<t, K s>/dr, by differences; several sets at once."""
    r, latents = system(terms)
    total = Total(kind, len(r), remove_self=False)
    total(r, latents)
    rng = torch.Generator().manual_seed(2)
    dipoles = torch.randn(3, *r.shape[:1], 2, 3, generator=rng, dtype=torch.float64)
    charges = torch.randn(3, *r.shape[:1], 2, generator=rng, dtype=torch.float64)
    polar = "dipole" in terms or "alpha" in terms
    given = {"charges": charges} | ({"dipoles": dipoles} if polar else {})
    found = total.respond(**given)
    assert set(found) == {"forces", "charge", *({"dipole", "quadrupole"} & set(terms))}
    p = LongRangeParameters(SIGMA, DL, NORM, False, self_factor=1.0)
    no_latents = {n: torch.zeros_like(x) for n, x in others(latents).items()}
    for k in range(3):
        t = Latents(charges[k], dipoles[k] if polar else None, no_latents.get("quadrupole"))
        s = Latents(latents.charge, latents.dipole, latents.quadrupole)
        leaf = r.clone().requires_grad_(True)
        work = 0.0
        of_t = long_range_derivatives(r, t, CELL, kind == "direct", p).latents
        for name in ("charge", "dipole", "quadrupole"):
            if name in found:
                value, expected = found[name][k], getattr(of_t, name)
                if name == "quadrupole":
                    value, expected = traceless(value), traceless(expected)
                torch.testing.assert_close(value, expected, rtol=0, atol=1e-9)
        # <t, K s> = E(s + t) - E(s) - E(t)
        added = Latents(s.charge + t.charge, _plus(s.dipole, t.dipole), s.quadrupole)
        for sign, latent in ((1.0, added), (-1.0, s), (-1.0, t)):
            energies = long_range_response(leaf, latent, CELL, kind == "direct", p).energies
            work = work + sign * energies.sum()
        force = -torch.autograd.grad(work, leaf)[0]
        torch.testing.assert_close(found["forces"][k], force, rtol=0, atol=1e-8)


def _plus(a: Tensor | None, b: Tensor | None) -> Tensor | None:
    return b if a is None else a if b is None else a + b


@pytest.mark.parametrize("kind", KINDS)
def test_response_gives_the_slope_of_what_is_induced(kind: str) -> None:
    """P_a = sum (u + du)_a of a uniform weight e_a at fixed latents: dP_a/dr = F(R e_a, s)."""
    r, latents = system(["dipole", "alpha", "quadrupole"])
    total = Total(kind, len(r))

    def induced(x: Tensor) -> Tensor:
        return total(x, latents)["dipole_induced"].sum((0, 1))

    step = torch.zeros_like(r)
    step[4, 1] = 1e-5
    slope = (induced(r + step) - induced(r - step)) / 2e-5
    total(r, latents)
    t = latents.alpha.permute(3, 0, 1, 2).contiguous()  # [a, n, C, b]
    forces = total.respond(dipoles=t)["forces"]
    torch.testing.assert_close(forces[:, 4, 1], slope, rtol=0, atol=1e-7)


@pytest.mark.parametrize("distance", [1e-3, 0.05, 0.6, 1.9, 2.6, 12.0])
def test_pairs_at_all_distances(distance: float) -> None:
    """A dipole that is two charges, and a charge: no digits are lost at short distances."""
    x = torch.tensor([0.3, -0.5, 0.8], dtype=torch.float64)
    x = distance * x / x.norm()
    r = torch.stack([torch.zeros(3, dtype=torch.float64), x])
    zero = torch.zeros(2, 1, dtype=torch.float64)
    u = torch.randn(2, 1, 3, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    Q = traceless(u[..., None] * u[..., None, :])
    found = Total("open", 2)(r, Latents(zero, u, Q))
    # v = N/2pi erf(a d)/d as its integral, N/2pi 2a/sqrt(pi) int_0^1 exp(-a^2 d^2 t^2) dt
    a = 1.0 / (2.0**0.5 * SIGMA)
    nodes, weights = (torch.from_numpy(z) for z in np.polynomial.legendre.leggauss(120))
    t, w = 0.5 * (nodes + 1.0), 0.5 * weights
    d = x.clone().requires_grad_(True)

    def along(value: Tensor, *vectors: Tensor) -> Tensor:
        for v in vectors:
            value = torch.autograd.grad(value, d, create_graph=True)[0] @ v
        return value

    def by_quadrupole(value: Tensor, matrix: Tensor) -> Tensor:
        axes = torch.eye(3, dtype=torch.float64)
        g = torch.autograd.grad(value, d, create_graph=True)[0]
        return 0.5 * sum(
            torch.autograd.grad(g[i], d, create_graph=True)[0] @ matrix[i] for i in range(len(axes))
        )

    v = NORM / (2 * np.pi) * 2 * a / np.pi**0.5 * (w * torch.exp(-a * a * (d @ d) * t * t)).sum()
    # d = r_1 - r_0: of atom 0, gradients have the other sign
    of_one = along(v, u[1, 0]) + by_quadrupole(v, Q[1, 0])
    energy = -along(of_one, u[0, 0]) + by_quadrupole(of_one, Q[0, 0])
    assert float(found["energy"].sum()) == pytest.approx(float(energy.detach()), rel=1e-11)


def test_what_cannot_be_is_refused() -> None:
    r, latents = system(["dipole"])
    total = Total("direct", len(r))
    with pytest.raises(ValueError, match="quadrupole: expected"):
        total(r, latents._replace(quadrupole=latents.dipole))
    total(r, Latents(latents.charge))
    with pytest.raises(RuntimeError, match="no dipoles and no alpha"):
        total.respond(dipoles=latents.dipole[None])
    with pytest.raises(RuntimeError, match="neither"):
        total.respond()
    k = _core.Solver("direct", CELL, sigma=SIGMA, dl=DL, norm=NORM)
    with pytest.raises(RuntimeError, match="order 1 to 3 were expected .* got order 0"):
        k.apply(r, torch.cat([latents.charge[:, :, None], latents.dipole], 2), order=0)
    with pytest.raises(RuntimeError, match=r"\[n, C, 13\] were expected"):
        k.apply(r, latents.dipole)

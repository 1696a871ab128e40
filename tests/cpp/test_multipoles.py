"""Dipoles, quadrupoles and linear response in the long-range sum, against other programs."""

from functools import partial

import numpy as np
import pytest
import torch
from multipole_atoms import (
    CELL,
    DL,
    KINDS,
    NORM,
    PLANE,
    SIGMA,
    SOME,
    TERMS,
    Total,
    others,
    symmetric,
    system,
    traceless,
)
from torch import Tensor

from lammps_les.electrostatics import (
    Latents,
    LongRangeParameters,
    long_range_derivatives,
    long_range_response,
)

FILES = [
    "lefthanded_q_kappa_alpha1_kept",
    "open_quQ_kappa_alpha9_removed",
    "open_quQ_kept",
    "ortho_2channels_quQ_kappa_alpha9_removed",
    "ortho_q_removed",
    "ortho_quQ_alpha9_kept",
    "ortho_quQ_kappa_alpha9_removed_200",
    "ortho_quQ_removed",
    "ortho_qu_kept",
    "triclinic_quQ_alpha1_removed",
    "triclinic_quQ_kappa_alpha9_removed",
    "triclinic_quQ_kappa_removed",
    "triclinic_quQ_kept",
]
CHAINS = [
    "chain_open_quQ_alpha9_removed",
    "chain_ortho_quQ_kappa_alpha9_kept_2layers",
    "chain_triclinic_quQ_alpha9_removed",
]


def total_of(data: dict[str, Tensor]) -> tuple[Total, Latents]:
    prefix = "latent_" if "latent_q" in data else ""
    names = {"charge": "q", "dipole": "u", "quadrupole": "Q", "kappa": "kappa", "alpha": "alpha"}
    q = data[prefix + "q"]
    channels = 1 if prefix else q.size(1)
    given = {}
    for name, key in names.items():
        if prefix + key in data:
            x = data[prefix + key]
            given[name] = x if not prefix else x.unsqueeze(1)
    if "alpha" in given and given["alpha"].dim() == 2:
        given["alpha"] = given["alpha"][:, :, None, None] * torch.eye(3, dtype=q.dtype)
    assert given["charge"].shape == (len(q), channels)
    constants = {k: data[k].item() for k in ("sigma", "dl", "norm", "remove_self")}
    periodic = bool(data["pbc"].all())
    cell = data["cell"] if periodic else CELL
    total = Total("direct" if periodic else "open", len(q), cell, **constants)
    return total, Latents(**given)


def read(shared, name: str) -> dict[str, Tensor]:
    with np.load(shared / "reference" / "multipoles" / f"{name}.npz") as file:
        return {key: torch.from_numpy(np.asarray(file[key])) for key in file if key != "terms"}


@pytest.mark.parametrize("name", FILES)
def test_sum_of_the_original_program(shared, name: str) -> None:
    data = read(shared, name)
    total, latents = total_of(data)
    found = total(data["positions"], latents)
    by = found["by_latents"]
    pairs = [
        (found["energy"].sum(), data["energy"]),
        (found["energy"], data["energies"]),
        (found["potential"], data["potential"]),
        (found["forces"], data["forces"]),
        (found["virial"], symmetric(data["virial"])),
        (found["atom_virial"].sum(0), symmetric(data["virial"])),
        (by["charge"], data["dE_dq"]),
    ]
    for key in ("field", "charge_induced", "dipole_induced"):
        if key in found:
            pairs.append((found[key], data[key]))
        else:
            assert key == "field" or float(data.get(key, torch.zeros(1)).abs().max()) == 0.0
    assert set(by) == {"charge", *others(latents)}
    for key, name_there in (("dipole", "dE_du"), ("kappa", "dE_dkappa")):
        if key in by:
            pairs.append((by[key], data[name_there]))
    if "quadrupole" in by:
        pairs.append((traceless(by["quadrupole"]), traceless(data["dE_dQ"])))
    if "alpha" in by:
        expected, value = data["dE_dalpha"], by["alpha"]
        scalar = expected.dim() == 2
        value = value.diagonal(dim1=-2, dim2=-1).sum(-1) if scalar else value
        pairs.append((value, expected if scalar else symmetric(expected)))
    for value, expected in pairs:
        torch.testing.assert_close(value, expected, rtol=0, atol=1e-9)


@pytest.mark.parametrize("name", CHAINS)
def test_energies_of_the_original_program_behind_a_network(shared, name: str) -> None:
    data = read(shared, name)
    total, latents = total_of(data)
    found = total(data["positions"], latents)
    long_range = data["energy"] - data["energy_short"].sum()
    torch.testing.assert_close(found["energy"].sum(), long_range, rtol=0, atol=1e-9)


@pytest.mark.parametrize("remove_self", [True, False])
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("terms", SOME, ids="-".join)
def test_the_plain_sum_gives_the_same(terms: list[str], kind: str, remove_self: bool) -> None:
    """The formulas of the package in Python, by automatic differentiation."""
    r, latents = system(terms)
    found = Total(kind, len(r), remove_self=remove_self)(r, latents)
    p = LongRangeParameters(SIGMA, DL, NORM, remove_self, self_factor=1.0)
    arguments = (r, latents, CELL, kind == "direct", p)
    response, derivatives = long_range_response(*arguments), long_range_derivatives(*arguments)
    pairs = [
        (found["energy"], response.energies),
        (found["potential"], response.potential),
        (found["forces"], derivatives.forces),
        (found["virial"], symmetric(derivatives.virial)),
        (found["atom_virial"].sum(0), found["virial"]),
    ]
    for key in ("charge_induced", "dipole_induced"):
        assert (key in found) == (getattr(response, key) is not None)
        if key in found:
            pairs.append((found[key], getattr(response, key)))
    assert ("field" in found) == ("dipole" in terms or "alpha" in terms)
    if "field" in found:
        pairs.append((found["field"], response.field))
    for name, value in found["by_latents"].items():
        expected = getattr(derivatives.latents, name)
        if name == "quadrupole":
            value, expected = traceless(value), traceless(expected)
        pairs.append((value, symmetric(expected) if name == "alpha" else expected))
    for value, expected in pairs:
        torch.testing.assert_close(value, expected, rtol=0, atol=1e-9)
    torch.testing.assert_close(found["atom_virial"], found["atom_virial"].mT, rtol=0, atol=1e-12)


@pytest.mark.parametrize("kind", [*KINDS, "slab"])
def test_derivatives_are_differences(kind: str) -> None:
    """Of positions, strain, and every latent, along random directions."""
    r, latents = system(TERMS)
    cell = PLANE if kind == "slab" else CELL
    if kind == "slab":
        r = r * torch.tensor([1.0, 1.0, 0.3], dtype=torch.float64)
    total = Total(kind, len(r), cell, remove_self=kind != "open")
    found = total(r, latents)
    torch.testing.assert_close(found["atom_virial"].sum(0), found["virial"], rtol=0, atol=1e-8)
    alone = total.sum.compute(r, latents.charge, cell, **others(latents))
    assert "atom_virial" not in alone
    torch.testing.assert_close(alone["virial"], found["virial"], rtol=0, atol=1e-8)

    def energy(x: Tensor) -> float:
        return float(total(x, latents)["energy"].sum())

    def strained(strain: Tensor) -> float:
        if kind == "slab":  # no shear towards the normal
            strain = strain.clone()
            strain[:2, 2] = strain[2, :2] = 0.0
        deformation = torch.eye(3, dtype=torch.float64) + symmetric(strain)
        return float(total(r @ deformation, latents, cell @ deformation)["energy"].sum())

    def with_latent(name: str, x: Tensor) -> float:
        return float(total(r, latents._replace(**{name: x}))["energy"].sum())

    if kind == "slab":
        found["virial"][:2, 2] = found["virial"][2, :2] = 0.0
    pairs = [(energy, r, -found["forces"]), (strained, torch.zeros(3, 3), -found["virial"])]
    for name, gradient in found["by_latents"].items():
        pairs.append((partial(with_latent, name), getattr(latents, name), gradient))
    rng = torch.Generator().manual_seed(5)
    for function, x, gradient in pairs:
        for _ in range(2):
            along = torch.randn(x.shape, generator=rng, dtype=torch.float64)
            if x.dim() == 4:
                along = traceless(along)
            h = 2e-5
            values = [function(x + step * h * along) for step in (-2, -1, 1, 2)]
            slope = (values[0] - 8 * values[1] + 8 * values[2] - values[3]) / (12 * h)
            assert float((gradient * along).sum()) == pytest.approx(slope, rel=2e-7)


def test_the_mesh_gives_what_the_direct_sum_gives() -> None:
    """To its accuracy, without a net force, also where other sources respond."""
    r, latents = system(TERMS)
    direct, mesh = Total("direct", len(r)), Total("mesh", len(r), accuracy=1e-6)
    expected, found = direct(r, latents), mesh(r, latents)
    t = {"charges": latents.kappa[None], "dipoles": latents.dipole[None]}
    responses = direct.respond(**t), mesh.respond(**t)
    assert found["forces"].sum(0).abs().max() < 1e-10
    assert responses[1]["forces"].sum(1).abs().max() < 1e-10
    by_latents = expected["by_latents"], found["by_latents"]
    for right, value in ((expected, found), by_latents, responses):
        for name, x in right.items():
            if isinstance(x, Tensor):
                error = (value[name] - x).norm() / x.norm()
                assert float(error) < 3e-6, name


@pytest.mark.parametrize("counts", [[13, 0], [0, 5, 8], [1, 4, 4, 4]], ids=str)
@pytest.mark.parametrize("kind", [*KINDS, "mesh"])
def test_ranks_give_what_one_gives(kind: str, counts: list[int]) -> None:
    r, latents = system(TERMS)
    one, many = Total(kind, len(r)), Total(kind, len(r), counts=counts)
    expected, found = one(r, latents), many(r, latents)
    t = {"charges": latents.kappa[None], "dipoles": latents.dipole[None]}
    responses = one.respond(**t), many.respond(**t)
    alone = many.sum.compute(r, latents.charge, CELL, **others(latents))  # no shares of the virial
    torch.testing.assert_close(alone["virial"], expected["virial"], rtol=0, atol=1e-9)
    assert expected.keys() == found.keys()
    by_latents = expected["by_latents"], found["by_latents"]
    for right, value in ((expected, found), by_latents, responses):
        for name, x in right.items():
            if isinstance(x, Tensor):
                torch.testing.assert_close(value[name], x, rtol=0, atol=1e-10)


@pytest.mark.parametrize("kind", KINDS)
def test_no_atoms_one_atom_and_no_channels(kind: str) -> None:
    for n, channels in ((0, 2), (1, 2), (5, 0)):
        r, latents = system(TERMS, n, channels)
        found = Total(kind, n, remove_self=True)(r, latents)
        assert found["energy"].shape == (n,)
        assert found["by_latents"]["alpha"].shape == (n, channels, 3, 3)
        if kind == "open" or n * channels == 0:
            assert not found["energy"].any()
            assert not found["forces"].any()
            assert not found["virial"].any()


def test_single_precision() -> None:
    """Pairs in open boundaries are evaluated in float64 whatever the type."""
    for kind, tolerance in (("direct", 2e-5), ("open", 5e-7)):
        r, latents = system(TERMS)
        total = Total(kind, len(r))
        rounded = Latents(*(x.float() for x in latents))
        found = total(r, rounded)
        expected = total(r, Latents(*(x.double() for x in rounded)))
        for right, value in ((expected, found), (expected["by_latents"], found["by_latents"])):
            for name, x in right.items():
                if isinstance(x, Tensor):
                    error = (value[name].double() - x).abs().max()
                    assert float(error) < tolerance * float(x.abs().max()), name
        assert found["by_latents"]["quadrupole"].dtype == torch.float32
        assert found["forces"].dtype == torch.float64

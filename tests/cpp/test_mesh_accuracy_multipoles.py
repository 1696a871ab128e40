"""A mesh that is set up for dipoles, quadrupoles and response reaches its accuracy."""

import pytest
import torch
from multipole_atoms import TERMS, Total, system

SOME = [["dipole"], ["dipole", "quadrupole"], ["alpha"], TERMS]


@pytest.mark.parametrize("accuracy", [1e-3, 1e-4, 1e-5, 1e-6])
@pytest.mark.parametrize("terms", SOME, ids="-".join)
def test_accuracy_is_reached(terms: list[str], accuracy: float) -> None:
    positions, latents = system(terms, n=40)
    exact = Total("direct", 40)(positions, latents)
    found = Total("mesh", 40, accuracy=accuracy)(positions, latents)
    pairs = [(found[name], exact[name]) for name in ("forces", "virial", "atom_virial")]
    pairs += [(found["by_latents"][name], value) for name, value in exact["by_latents"].items()]
    errors = [float((value - right).norm() / right.norm()) for value, right in pairs]
    assert 0.0 < max(errors) < accuracy
    assert errors[0] > 0.01 * accuracy  # nor is it much too fine
    fields = max(errors[3:])
    assert found["measured"][:2] == pytest.approx((errors[0], fields), rel=1e-2)


@pytest.mark.parametrize("counts", [[40, 0], [0, 15, 25], [1, 13, 13, 13]], ids=str)
@pytest.mark.parametrize("terms", SOME, ids="-".join)
def test_ranks_give_what_one_gives(terms: list[str], counts: list[int]) -> None:
    positions, latents = system(terms, n=40)
    one, many = (Total("mesh", 40, **given) for given in ({}, {"counts": counts}))
    one, many = one(positions, latents), many(positions, latents)
    for name in ("energy", "forces", "virial", "atom_virial"):
        torch.testing.assert_close(many[name], one[name], rtol=0, atol=1e-9)
    torch.testing.assert_close(many["by_latents"], one["by_latents"], rtol=0, atol=1e-9)

"""Small random CACE networks of every kind, and clusters of atoms to evaluate them on."""

import torch

from lammps_les.models import (
    CaceConfig,
    CaceNetwork,
    MessageConfig,
    ReadoutConfig,
    RepresentationConfig,
)

SMALL = {"cutoff": 3.0, "n_bessel": 3, "n_radial": 4, "max_l": 2}
REPRESENTATIONS = {
    "one layer": RepresentationConfig(**SMALL),
    "nu 1": RepresentationConfig(**SMALL, max_nu=1),
    "no angles": RepresentationConfig(**{**SMALL, "max_l": 0}),
    "nu 4": RepresentationConfig(**{**SMALL, "max_l": 4}, max_nu=4, embedding_size=1),
    "shared mixing": RepresentationConfig(**SMALL, mixing_per_channel=False, embedding_size=3),
    "shared messages": RepresentationConfig(**SMALL, layers=2),
    "full messages": RepresentationConfig(
        **SMALL,
        layers=2,
        messages=(MessageConfig(per_l=True, per_channel=True, invariant_hidden=(5,)),),
    ),
    "per channel": RepresentationConfig(
        **SMALL, layers=2, messages=(MessageConfig(per_channel=True, memory=False),)
    ),
    "attenuated": RepresentationConfig(
        **SMALL, layers=2, messages=(MessageConfig(attenuated=True, invariant=False),)
    ),
    "three layers": RepresentationConfig(
        **SMALL, layers=3, messages=(MessageConfig(attenuated=True), MessageConfig(per_l=True))
    ),
    "different messages": RepresentationConfig(
        **SMALL,
        layers=3,
        messages=(
            MessageConfig(True, True, True, (4, 3), per_l=True, per_channel=True),
            MessageConfig(False, True, True, (4,), per_channel=True),
        ),
    ),
    "layers without angles": RepresentationConfig(
        **{**SMALL, "max_l": 0},
        layers=3,
        messages=(MessageConfig(attenuated=True, per_l=True), MessageConfig()),
    ),
}
SPECIES = ("H", "O", "Na")
LATENTS = ("charge", "dipole", "quadrupole", "kappa", "alpha")


def build(representation: RepresentationConfig, **others) -> CaceNetwork:
    torch.manual_seed(1)
    config = CaceConfig(
        species=SPECIES,
        channels=others.pop("channels", 2),
        representation=representation,
        energy=ReadoutConfig(hidden=(6, 5), scale=0.5),
        charge=ReadoutConfig(hidden=(6,), bias=False),
        **others,
    )
    return stirred(CaceNetwork(config).double())


def stirred(network: torch.nn.Module) -> torch.nn.Module:
    """A network with the weights that begin at zero drawn too."""
    for parameter in network.parameters():
        if not parameter.any():
            torch.nn.init.normal_(parameter, std=0.3)
    return network


def edges(positions: torch.Tensor, cutoff: float = 3.0) -> torch.Tensor:
    distance = torch.cdist(positions, positions) + 10 * cutoff * torch.eye(len(positions))
    return torch.nonzero(distance < cutoff).t()


def cluster(n_atoms: int = 9, seed: int = 2, spread: float = 1.6) -> tuple[torch.Tensor, ...]:
    """Positions, edges, species; no two atoms closer than 0.7 A."""
    generator = torch.Generator().manual_seed(seed)
    chosen = torch.zeros(1, 3, dtype=torch.float64)
    while len(chosen) < n_atoms:
        new = spread * torch.randn(1, 3, generator=generator, dtype=torch.float64)
        if torch.cdist(chosen, new).min() > 0.7:
            chosen = torch.cat([chosen, new])
    species = torch.randint(len(SPECIES), (n_atoms,), generator=generator)
    return chosen, edges(chosen), species


def evaluate(network, positions, edge_index, species, n_centers=None):
    vectors = positions[edge_index[1]] - positions[edge_index[0]]
    return network(vectors, edge_index, species, len(species) if n_centers is None else n_centers)


def assert_equal(out, expected, tolerance=1e-12):
    assert set(out) == set(expected)
    for key in expected:
        torch.testing.assert_close(out[key], expected[key], rtol=tolerance, atol=tolerance)

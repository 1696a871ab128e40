"""Networks of tensors: symmetries, training from scratch, limits of their configurations."""

import dataclasses

import pytest
import torch
from cace_networks import assert_equal, cluster, edges
from tensor_networks import SPECIES, TENSORS, build

from lammps_les.models import network_of

IDLE = {
    *(f"convolutions.1.down.{index}.weight" for index in (2, 3)),  # 1e and 2o
    *(f"convolutions.2.up.{index}.weight" for index in (1, 4)),
}
"""Of tensors before the last layer from which no path leads to a scalar; as in the original."""


def evaluate(network, positions, species, edge_index=None):
    edge_index = edges(positions, network.cutoff) if edge_index is None else edge_index
    vectors = positions[edge_index[1]] - positions[edge_index[0]]
    return network(vectors, edge_index, species, len(positions))


def rotation() -> torch.Tensor:
    generator = torch.Generator().manual_seed(3)
    q, _ = torch.linalg.qr(torch.randn(3, 3, generator=generator, dtype=torch.float64))
    return q * torch.linalg.det(q)


@pytest.mark.parametrize("name", TENSORS)
def test_rotated_moved_and_renumbered_atoms_have_the_same_energies_and_charges(name):
    network = build(name, channels=2)
    positions, _, species = cluster(12)
    expected = evaluate(network, positions, species)
    assert expected["energy"].std() > 1e-3
    assert (expected["charge"].std(0) > 1e-4).all()
    order = torch.randperm(12, generator=torch.Generator().manual_seed(7))
    moved = positions[order] @ rotation() + torch.tensor([3.0, -2.0, 5.0])
    found = evaluate(network, moved, species[order])
    scalars = ("energy", "charge")
    assert_equal({k: found[k] for k in scalars}, {k: expected[k][order] for k in scalars})


@pytest.mark.parametrize("name", TENSORS)
def test_a_mirror_image_is_another_structure_only_without_parity(name):
    network = build(name)
    positions, _, species = cluster(12)
    expected, found = (evaluate(network, s * positions, species)["energy"] for s in (1.0, -1.0))
    difference = (expected - found).abs().max()
    assert difference > 1e-9 if name.endswith("no parity") else difference < 1e-13


@pytest.mark.parametrize("name", TENSORS)
def test_it_is_built_again_from_its_configuration_and_weights(name):
    kind, _ = TENSORS[name]
    scales = (0.7233328407077695, 1.1, 1.3)
    network = build(name, scale=scales[0] if kind == "mace" else scales)
    config = dataclasses.asdict(network.config)
    again = network_of(kind, config).double()
    again.load_state_dict(network.state_dict())
    positions, _, species = cluster(9)
    assert_equal(evaluate(again, positions, species), evaluate(network, positions, species))


@pytest.mark.parametrize("name", TENSORS)
def test_energy_forces_and_charges_train_all_weights_in_float32(name):
    network = build(name, channels=1).float()
    positions, edge_index, species = cluster(12)
    positions = positions.float().requires_grad_()
    out = evaluate(network, positions, species, edge_index)
    energy = out.pop("energy").sum() + sum((latent**2).sum() for latent in out.values())
    (forces,) = torch.autograd.grad(energy, positions, create_graph=True)
    assert 1e-3 < forces.abs().max() < 1e3
    (forces**2).sum().backward()
    idle = set()
    for weights_name, weights in network.named_parameters():
        assert weights.grad is None or torch.isfinite(weights.grad).all(), weights_name
        if weights.grad is None or weights.grad.abs().max() == 0.0:
            idle.add(weights_name)
    assert idle == (IDLE if name == "nequip, full parity" else set())


@pytest.mark.parametrize(
    ("kind", "changes", "message"),
    [
        ("nequip", {"max_l": 7}, "expected a whole number from 0 to 6"),
        ("nequip", {"features": 0}, "expected a whole number from 1 to 1024"),
        ("nequip", {"features": [4, 3, 2]}, "expected features of the orders 0 to 1, got 3"),
        ("nequip", {"features": 1024, "max_l": 6}, "make too many radial functions"),
        ("nequip", {"parity": "odd"}, "'natural', 'full' or 'none'"),
        ("nequip", {"scale": [1.0]}, "expected scale of 3 species or one number, got 1"),
        ("mace", {"hidden_max_l": 2, "max_l": 1}, "hidden_max_l is 2, at most max_l = 1 can be"),
        ("mace", {"correlation": 4}, "expected a whole number from 1 to 3"),
        ("mace", {"radial": "chebyshev"}, "'bessel' or 'gaussian'"),
        ("allegro", {"average_neighbors": [1.0, 2.0]}, "average_neighbors of 3 species"),
        ("nequip", {"species": [], "scale": [1.0]}, "expected species with scale of several"),
        ("allegro", {"embedding": 7}, "expected an even number as embedding, got 7"),
        ("allegro", {"layers": 7}, "expected a whole number from 1 to 6"),
        ("allegro", {"parity": "none"}, "'natural' or 'full'"),
    ],
)
def test_values_that_a_network_cannot_have_are_refused(kind, changes, message):
    with pytest.raises(ValueError, match=message):
        network_of(kind, {"species": SPECIES, **changes})

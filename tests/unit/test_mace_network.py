"""MACE networks against energies and forces of the original code, and their ways to one result.

``mace_values.npz`` holds small networks with random weights, each under its name: configuration,
state by our names without the tables of couplings, a cluster, and the energies (without constants)
and forces that mace-torch 0.3.16 with e3nn 0.4.4 gives for it in float64. The models were built
there and read with ``lammps_les_export``; weights of polynomials whose sign differs between e3nn
0.4 and 0.6 (as that of the coupling 2 x 2 to 3) changed theirs.
"""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from cace_networks import cluster, edges

from lammps_les.models import MaceConfig, MaceNetwork, network_of
from lammps_les.models.environments import pad_edges_in_parts, pad_values
from lammps_les.models.mace.couplings import equivariant_polynomials, few_pairs
from lammps_les.models.mace.interaction import Edges
from lammps_les.models.o3.harmonics import spherical_harmonics

VALUES = np.load(Path(__file__).with_name("mace_values.npz"))
NAMES = sorted({key.partition("|")[0] for key in VALUES})
TABLES = ("coefficients", "coupling")


def evaluate(network, positions, species):
    edge_index = edges(positions.detach(), network.cutoff)
    vectors = positions[edge_index[1]] - positions[edge_index[0]]
    return network(vectors, edge_index, species, len(species))


@pytest.mark.parametrize("name", NAMES)
def test_the_original_gives_the_same_energies_and_forces(name):
    stored = {key.partition("|")[2]: VALUES[key] for key in VALUES if key.startswith(f"{name}|")}
    network = network_of("mace", json.loads(str(stored["config"]))).double()
    weights = {k: torch.from_numpy(v) for k, v in stored.items() if k in network.state_dict()}
    missing, unknown = network.load_state_dict(weights, strict=False)
    assert not unknown
    assert all(key.endswith(TABLES) for key in missing)
    positions = torch.from_numpy(stored["positions"]).requires_grad_()
    energies = evaluate(network, positions, torch.from_numpy(stored["species"]))["energy"]
    (gradient,) = torch.autograd.grad(energies.sum(), positions)
    assert np.abs(stored["forces"]).max() > 1e-3
    np.testing.assert_allclose(energies.detach(), stored["energies"], rtol=0, atol=1e-12)
    np.testing.assert_allclose(-gradient, stored["forces"], rtol=0, atol=1e-12)


@pytest.mark.parametrize(("degree", "order", "paths", "basis", "terms"), [
    (1, 0, 1, 1, 1), (2, 0, 4, 4, 16), (3, 0, 23, 8, 77), (3, 1, 51, 12, 278), (2, 2, 7, 5, 74),
])  # fmt: skip
def test_polynomials_transform_as_harmonics(degree, order, paths, basis, terms):
    """Also what the independent ones span is what the paths do."""
    all_paths, independent = (equivariant_polynomials(3, degree, order, i) for i in (False, True))
    assert all_paths.coefficients.shape == (terms, paths)
    assert independent.coefficients.shape == (terms, basis)
    both = torch.cat([all_paths.coefficients, independent.coefficients], 1)
    assert torch.linalg.matrix_rank(both) == basis
    # of the harmonics of one direction they give a multiple of its harmonics
    unit = torch.tensor([0.48, -0.6, 0.64], dtype=torch.float64)
    y = spherical_harmonics(unit, 3)
    products = y[independent.factors].prod(1, keepdim=True) * independent.coefficients
    size = 2 * order + 1
    found = torch.zeros(size, basis, dtype=torch.float64)
    found = found.index_add(0, independent.component, products)
    expected = y[order**2 : (order + 1) ** 2].unsqueeze(1)
    multiple = (found * expected).sum(0) / size
    assert multiple.abs().max() > 1e-2
    torch.testing.assert_close(found, expected * multiple, rtol=0, atol=1e-12)


def test_few_pairs_make_up_all_triples():
    triples = [(0, 0, 9), (0, 1, 2), (1, 2, 3), (1, 1, 1), (2, 2, 1)]
    found = few_pairs(triples)
    assert [sorted((*pair, third)) for pair, third in found] == [sorted(t) for t in triples]
    assert len({pair for pair, _ in found}) == 4  # (1, 2) serves two


def test_many_species_take_another_way_to_the_same_result():
    torch.manual_seed(2)
    config = MaceConfig(("H", "O", "C"), features=4, hidden_max_l=1, layers=2, radial_hidden=(5,))
    network = MaceNetwork(config).double()
    n, one_hot = 7, network.one_hot[torch.tensor([0, 1, 1, 2, 0, 2, 1])]
    a = torch.randn(n, 16, 4, dtype=torch.float64)
    product = network.products[0]
    table = product.coefficients @ product.weights
    torch.testing.assert_close(product.few(a, one_hot, table), product.many(a, one_hot, table))
    center = torch.tensor([0, 0, 1, 3, 3, 3, 6])
    env, owner = pad_edges_in_parts(center, n, 0)
    radial, angular = (torch.randn(7, size, dtype=torch.float64) for size in (8, 16))
    surroundings = Edges(radial, pad_values(env, angular), env, owner)
    neighbor = torch.randint(3, (env.n * env.width,))
    table = torch.randn(3, 4, dtype=torch.float64)
    first = network.interactions[0]
    summed = first.from_elements(
        table, network.one_hot[neighbor].view(env.n, env.width, 3), surroundings, one_hot
    )
    taken = first(table[neighbor].view(env.n, env.width, 4), surroundings, one_hot)
    assert taken.abs().max() > 1e-3
    torch.testing.assert_close(summed, taken)


def test_repulsion_ends_with_the_cutoff():
    """Also where the covalent radii reach further."""
    config = MaceConfig(("Cs",), cutoff=1.0, features=2, layers=1, pair_repulsion=True)
    network, plain = (
        MaceNetwork(c).double()
        for c in (config, MaceConfig(("Cs",), cutoff=1.0, features=2, layers=1))
    )
    plain.load_state_dict(network.state_dict(), strict=False)
    for distance, repelled in ((0.9, True), (1.1, False)):
        vectors = torch.tensor([[distance, 0.0, 0.0]], dtype=torch.float64, requires_grad=True)
        arguments = (vectors, torch.tensor([[0], [0]]), torch.tensor([0]), 1, 1)
        kept, source = vectors.new_zeros(1, 0), torch.zeros(0, dtype=torch.int64)
        energies = [
            part.piece(0, kept, vectors.new_zeros(0, 0), source, *arguments)[0].sum()
            for part in (network, plain)
        ]
        (gradient,) = torch.autograd.grad(energies[0], vectors)
        assert (energies[0] - energies[1] > 1e-3) == repelled
        assert (gradient.abs().max() > 0.0) == repelled


def test_a_fresh_network_of_water_gives_sensible_sizes():
    torch.manual_seed(0)
    network = MaceNetwork(MaceConfig(("H", "O"))).float()
    positions, _, species = cluster(60, spread=4.5)
    positions = positions.float().requires_grad_()
    out = evaluate(network, positions, species % 2)
    (forces,) = torch.autograd.grad(out["energy"].sum(), positions)
    assert 1e-2 < out["energy"].std() < 1e2
    assert 1e-3 < out["charge"].abs().max() < 10.0
    assert 1e-3 < forces.std() < 1e2

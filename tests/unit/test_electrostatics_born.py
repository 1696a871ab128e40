"""Born effective charges: against differences of the polarization and of the charges."""

import itertools
import math

import pytest
import torch
from generate import toy_models
from torch import Tensor

from lammps_les.data.neighbors import neighbor_list
from lammps_les.electrostatics import (
    born_effective_charges,
    born_effective_charges_one_layer,
    coupling_charges,
    dielectric_root,
    polarization,
    unfold,
    with_dielectric,
    without_mean,
)

CELL = torch.tensor([[4.3, 0.0, 0.0], [0.9, 5.1, 0.0], [-1.2, 0.4, 4.8]], dtype=torch.float64)
LEFT_HANDED = CELL[[1, 0, 2]]
NETWORKS = ["linear", "two_channels", "two_layers", "three_layers", "deep"]


def atoms(n: int = 6) -> tuple[Tensor, Tensor]:
    """Positions and species of a few atoms, in a cell shorter than twice the cutoff."""
    generator = torch.Generator().manual_seed(11)
    fractional = torch.rand(n, 3, generator=generator, dtype=torch.float64)
    return fractional @ CELL, torch.arange(n) % 2


def charges_in_e(network, edge_vectors, edge_index, species, n) -> Tensor:
    latent = network(edge_vectors, edge_index, species, n)["charge"]
    sign = torch.tensor([1.0, -1.0][: network.channels], dtype=torch.float64)
    return coupling_charges(latent, 0.7, sign)


def charges_of(network, positions, species, cell, periodic) -> Tensor:
    edge_index, shifts = neighbor_list(
        positions.detach().numpy(), cell.numpy(), periodic, network.cutoff
    )
    vectors = positions[edge_index[1]] - positions[edge_index[0]] + shifts @ cell
    return charges_in_e(network, vectors, edge_index, species, len(positions))


def tensor_by_unfolding(network, r, species, cell, periodic, remove_mean, form) -> Tensor:
    edge_index, shifts = neighbor_list(r.numpy(), cell.numpy(), periodic, network.cutoff)
    graph = unfold(edge_index, shifts, len(r), network.layers)
    nodes = (r[graph.owner] + graph.shifts.double() @ cell).requires_grad_()
    vectors = nodes[graph.edge_index[1]] - nodes[graph.edge_index[0]]
    q = charges_in_e(network, vectors, graph.edge_index, species[graph.owner], len(r))
    return born_effective_charges(q, nodes, graph.owner, cell, periodic, remove_mean, form)


def tensor_by_edges(network, r, species, cell, periodic, remove_mean, form) -> Tensor:
    edge_index, shifts = neighbor_list(r.numpy(), cell.numpy(), periodic, network.cutoff)
    vectors = r[edge_index[1]] - r[edge_index[0]] + shifts @ cell
    vectors.requires_grad_()
    q = charges_in_e(network, vectors, edge_index, species, len(r))
    return born_effective_charges_one_layer(
        q, vectors, edge_index, r, cell, periodic, remove_mean, form
    )


def displaced(function, r: Tensor, i: int, b: int, step: float = 1e-4) -> Tensor:
    """Fourth-order central difference of a tensor function of positions in r_ib."""
    values = []
    for shift in (-2, -1, 1, 2):
        moved = r.clone()
        moved[i, b] += shift * step
        values.append(function(moved))
    return (values[0] - 8 * values[1] + 8 * values[2] - values[3]) / (12 * step)


@pytest.mark.parametrize("remove_mean", [True, False])
@pytest.mark.parametrize("cell", [CELL, LEFT_HANDED], ids=["right_handed", "left_handed"])
@pytest.mark.parametrize("name", NETWORKS)
def test_phase_form_is_the_derivative_of_the_polarization(name, cell, remove_mean):
    """Z_iab = sum_m cell[m, a] Re[exp(-2 pi i s_im) dP_m/dr_ib], triclinic cell."""
    network = toy_models()[name][0].double()
    r, species = atoms()

    def p(x):
        q = without_mean(charges_of(network, x, species, cell, True), remove_mean)
        return polarization(x, q, cell, True)

    expected = torch.zeros(len(r), 3, 3, dtype=torch.float64)
    phase = 2 * math.pi * (r @ torch.linalg.inv(cell))
    for i, b in itertools.product(range(len(r)), range(3)):
        slope = displaced(p, r, i, b)
        turned = torch.cos(phase[i]) * slope[:, 0] + torch.sin(phase[i]) * slope[:, 1]
        expected[i, :, b] = turned @ cell
    tensor = tensor_by_unfolding(network, r, species, cell, True, remove_mean, "phase")
    torch.testing.assert_close(tensor, expected, rtol=0, atol=1e-8)


@pytest.mark.parametrize("remove_mean", [True, False])
@pytest.mark.parametrize("name", NETWORKS)
def test_open_phase_form_is_the_derivative_of_the_dipole(name, remove_mean):
    network = toy_models()[name][0].double()
    r, species = atoms()

    def p(x):
        q = without_mean(charges_of(network, x, species, CELL, False), remove_mean)
        return polarization(x, q, CELL, False)[:, 0]

    expected = torch.zeros(len(r), 3, 3, dtype=torch.float64)
    change = torch.zeros(len(r), 3, dtype=torch.float64)
    for i, b in itertools.product(range(len(r)), range(3)):
        expected[i, :, b] = displaced(p, r, i, b)
        if not remove_mean:  # a total charge that changes is seen from atom i
            total = displaced(lambda x: charges_of(network, x, species, CELL, False).sum(), r, i, b)
            change[i, b] = total
    expected = expected - r[:, :, None] * change[:, None, :]
    tensor = tensor_by_unfolding(network, r, species, CELL, False, remove_mean, "phase")
    torch.testing.assert_close(tensor, expected, rtol=0, atol=1e-8)


@pytest.mark.parametrize("name", NETWORKS)
def test_local_form_counts_the_charges_of_all_images(name):
    """Move one atom of an open cluster of 9^3 cells and watch the charges of all the others."""
    network = toy_models()[name][0].double()
    r, species = atoms(2)
    reach = 4
    images = torch.cartesian_prod(*[torch.arange(-reach, reach + 1)] * 3)
    home = int((images == 0).all(dim=1).nonzero())
    cluster = (images.double() @ CELL)[:, None, :] + r  # [images, N, 3]
    cluster = cluster.reshape(-1, 3)
    kinds = species.repeat(len(images))
    start = home * len(r)
    q0 = charges_of(network, cluster, kinds, CELL, False)[start : start + len(r)]
    expected = torch.zeros(len(r), 3, 3, dtype=torch.float64)
    for i, b in itertools.product(range(len(r)), range(3)):
        dq = displaced(lambda x: charges_of(network, x, kinds, CELL, False), cluster, start + i, b)
        expected[i, :, b] = dq @ (cluster - cluster[start + i])
    expected += (q0 - q0.mean())[:, None, None] * torch.eye(3)
    tensor = tensor_by_unfolding(network, r, species, CELL, True, True, "local")
    torch.testing.assert_close(tensor, expected, rtol=0, atol=1e-8)


@pytest.mark.parametrize("remove_mean", [True, False])
@pytest.mark.parametrize("form", ["local", "phase"])
@pytest.mark.parametrize("periodic", [True, False])
@pytest.mark.parametrize("name", ["linear", "two_channels"])
def test_one_backward_pass_gives_the_tensor_of_a_one_layer_network(
    name, periodic, form, remove_mean
):
    network = toy_models()[name][0].double()
    r, species = atoms()
    arguments = (network, r, species, LEFT_HANDED, periodic, remove_mean, form)
    torch.testing.assert_close(tensor_by_edges(*arguments), tensor_by_unfolding(*arguments))


def test_constant_charges_are_born_charges_without_their_mean():
    """Charges 0.4, -0.8 in file units of 0.7 e, and nothing else."""
    network = toy_models()["constant"][0].double()
    r, species = atoms(2)
    tensor = tensor_by_edges(network, r, species, CELL, True, True, "local")
    z = 0.7 * 0.6
    expected = torch.stack([z * torch.eye(3), -z * torch.eye(3)]).double()
    torch.testing.assert_close(tensor, expected, rtol=0, atol=1e-7)


def test_unfolded_graph_reaches_every_image_once():
    r, _ = atoms()
    edge_index, shifts = neighbor_list(r.numpy(), CELL.numpy(), True, 3.0)
    graph = unfold(edge_index, shifts, len(r), 2)
    labels = torch.cat([graph.owner[:, None], graph.shifts], dim=1)
    assert len(torch.unique(labels, dim=0)) == len(labels)
    assert torch.equal(graph.owner[: len(r)], torch.arange(len(r)))
    assert not graph.shifts[: len(r)].any()
    center = graph.edge_index[0]
    assert torch.equal(center, center.sort()[0])
    nodes = r[graph.owner] + graph.shifts.double() @ CELL
    distances = torch.cdist(nodes, nodes)
    inner = int(center.max()) + 1
    expected = ((distances < 3.0) & (distances > 1e-3))[:inner]
    assert int(expected.sum()) == graph.edge_index.size(1)
    assert bool(expected[center, graph.edge_index[1]].all())


def test_unknown_form_is_refused():
    network = toy_models()["linear"][0].double()
    r, species = atoms()
    with pytest.raises(RuntimeError, match="'local' or 'phase', but it is 'finite'"):
        tensor_by_edges(network, r, species, CELL, True, True, "finite")


def test_the_root_of_a_dielectric_tensor_acts_on_the_p_index():
    """Its square is the tensor; a number counts like that number times the unit matrix."""
    epsilon = [[5.8, 0.3, 0.1], [0.3, 4.9, -0.2], [0.1, -0.2, 5.2]]
    root = dielectric_root(epsilon)
    torch.testing.assert_close(root @ root, torch.tensor(epsilon, dtype=torch.float64))
    assert torch.equal(root, root.T)
    assert bool((torch.linalg.eigvalsh(root) > 0.0).all())
    bare = torch.randn(4, 3, 3, generator=torch.Generator().manual_seed(1)).double()
    expected = torch.zeros_like(bare)
    for i, a, b, c in itertools.product(range(4), range(3), range(3), range(3)):
        expected[i, a, b] += root[a, c] * bare[i, c, b]
    torch.testing.assert_close(with_dielectric(bare, root), expected)
    number = with_dielectric(bare, dielectric_root(1.8))
    torch.testing.assert_close(number, math.sqrt(1.8) * bare)
    diagonal = [[1.8, 0.0, 0.0], [0.0, 1.8, 0.0], [0.0, 0.0, 1.8]]
    torch.testing.assert_close(with_dielectric(bare, dielectric_root(diagonal)), number)

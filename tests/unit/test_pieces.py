"""The pieces of networks: chunks of centers, and rows of edges."""

import itertools
from functools import partial

import pytest
import torch
from cace_networks import REPRESENTATIONS, assert_equal, build, cluster, edges
from chunks import (
    CACE,
    SEVERAL_LAYERS,
    TOYS,
    Edges,
    call,
    chunk,
    in_rows,
    network_of,
    places_in_rows,
)
from tensor_networks import TENSORS
from torch import Tensor

from lammps_les.electrostatics import (
    born_effective_charges_by_layer,
    edge_response,
    evaluate_pieces,
)
from lammps_les.model_file import load_model


@pytest.mark.parametrize("name", [*CACE, *TOYS, *TENSORS])
def test_pieces_of_chunks_are_the_whole(name):
    """Centers in chunks, numbered anew, each edge with a row of its own for the neighbor."""
    network = network_of(name)
    positions, _, species = cluster(30, spread=3.0)
    edge_index = edges(positions, network.cutoff)
    species = species % len(network.species)
    vectors = positions[edge_index[1]] - positions[edge_index[0]]
    expected = network(vectors, edge_index, species, len(species))
    atoms = torch.randperm(len(species), generator=torch.Generator().manual_seed(1))
    kept, sent = vectors.new_zeros(len(species), 0), vectors.new_zeros(0, 0)
    for t in range(network.layers):
        found = []
        for some in atoms.split(11):
            part = chunk(network, positions, edge_index, species, some)
            found.append(call(network, t, kept[some], sent, part))
        outputs = [torch.cat(parts) for parts in zip(*found, strict=True)]
        outputs = [torch.empty_like(rows).index_copy(0, atoms, rows) for rows in outputs]
        if t < network.layers - 1:
            kept, sent = outputs
            assert kept.shape == (len(species), network.kept[t])
            assert sent.shape == (len(species), network.sent[t])
    found = {"energy": outputs[0], "charge": expected["charge"]}
    found |= dict(zip(getattr(network, "latent_names", ["charge"]), outputs[1:], strict=True))
    assert_equal(found, expected)
    assert max(output.std() for output in outputs) > 1e-4


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
@pytest.mark.parametrize("name", [*CACE, *TOYS, *TENSORS])
def test_edges_in_rows_are_as_good_and_far_ones_count_nothing(name, dtype):
    """Outputs and gradients by automatic differentiation; scripted."""
    network = torch.jit.script(ScriptedPieces(network_of(name).to(dtype)))
    of_python = network_of(name)
    positions, _, species = cluster(9)
    species = species % len(of_python.species)
    edge_index = edges(positions, of_python.cutoff)
    part = chunk(of_python, positions.to(dtype), edge_index, species, torch.tensor([4, 0, 7]))
    length = 12
    rows, places = in_rows(part, length, of_python.cutoff), places_in_rows(part, length)
    generator = torch.Generator().manual_seed(2)
    tolerance = {"rtol": 0, "atol": 1e-12 if dtype == torch.float64 else 2e-5}

    def random(*shape: int) -> Tensor:
        return torch.rand(shape, generator=generator, dtype=torch.float64).to(dtype)

    for t in range(of_python.layers):
        kept = random(3, of_python.kept[t - 1] if t > 0 else 0)
        sent = random(9, of_python.sent[t - 1]) if t > 0 else random(0, 0)
        results = []
        for given, row_length in ((part, 0), (rows, length)):
            leaves = [x.clone().requires_grad_() for x in (kept, sent, given.vectors)]
            with torch.jit.optimized_execution(False):
                taken = given._replace(vectors=leaves[2])
                outputs = call(network, t, leaves[0], leaves[1], taken, row_length)
            total = sum((torch.cos(output)).sum() for output in outputs)
            by = torch.autograd.grad(total, leaves, allow_unused=True)
            results.append((outputs, by))
        (expected, by), (found, by_rows) = results
        for one, other in zip(found, expected, strict=True):
            torch.testing.assert_close(one, other, **tolerance)
        for one, other in zip(by_rows[:2], by[:2], strict=True):
            if other is not None:
                torch.testing.assert_close(one, other, **tolerance)
        torch.testing.assert_close(by_rows[2][places], by[2], **tolerance)
        empty = torch.ones(len(rows.vectors), dtype=torch.bool)
        empty[places] = False
        assert empty.any()
        assert by_rows[2][empty].abs().max() == 0.0


class ScriptedPieces(torch.nn.Module):
    """The method ``piece`` alone, so that it can be scripted."""

    def __init__(self, network: torch.nn.Module) -> None:
        super().__init__()
        self.network = network

    @torch.jit.export
    def piece(
        self,
        t: int,
        kept: Tensor,
        sent: Tensor,
        source: Tensor,
        edge_vectors: Tensor,
        edge_index: Tensor,
        species: Tensor,
        n: int,
        row_length: int,
    ) -> list[Tensor]:
        """That of the network."""
        return self.network.piece(
            t, kept, sent, source, edge_vectors, edge_index, species, n, row_length
        )


@pytest.mark.parametrize("name", [*CACE, *TOYS, *TENSORS])
def test_no_edges_and_no_atoms(name):
    network = network_of(name)
    none, no_vectors = torch.zeros(2, 0, dtype=torch.int64), torch.zeros(0, 3).double()
    for n, t in itertools.product((0, 3), range(network.layers)):
        species = torch.zeros(n + 1, dtype=torch.int64)
        kept = torch.zeros(n, network.kept[t - 1] if t > 0 else 0).double()
        sent = torch.zeros(0, network.sent[t - 1] if t > 0 else 0).double()
        part = Edges(no_vectors, none, species, n, none[0])
        for row_length in (0, 5) if n == 0 else (0,):
            outputs = call(network, t, kept, sent, part, row_length)
            assert [len(output) for output in outputs] == [n] * len(outputs)


@pytest.mark.parametrize("n_centers", [9, 3])
@pytest.mark.parametrize("name", [*SEVERAL_LAYERS, "two_layers", "three_layers", "deep", *TENSORS])
def test_pieces_one_by_one_respond_like_the_whole(name, n_centers):
    """sum_j (r_j - r_i)_a dQ_j/dr_ib, j over some atoms: piece by piece, and from positions."""
    network = network_of(name)
    positions, _, species = cluster()
    species = species % len(network.species)
    edge_index = edges(positions, network.cutoff)
    positions.requires_grad_()
    whole_vectors = positions[edge_index[1]] - positions[edge_index[0]]
    q = network(whole_vectors, edge_index, species, n_centers)["charge"].sum(1)
    [of_all] = torch.autograd.grad([q.sum()], [positions], retain_graph=True)
    tensor = []
    for axis in range(3):
        r = positions.detach()[:, axis]
        [weighed] = torch.autograd.grad([(q * r[:n_centers]).sum()], [positions], retain_graph=True)
        tensor.append(weighed - r[:, None] * of_all)
    whole = torch.stack(tensor, 1)
    assert whole.abs().max() > 1e-3

    vectors = whole_vectors.detach().requires_grad_()
    found = evaluate_pieces(network.piece, network.layers, vectors, edge_index, species)
    charges = found[-1].outputs[1][:n_centers].sum(1)
    response = edge_response(charges, found, edge_index, False)
    by_pieces = born_effective_charges_by_layer(response, vectors, edge_index, len(species))
    torch.testing.assert_close(by_pieces, whole, rtol=0, atol=1e-12)


@pytest.mark.parametrize("name", ["full messages", "three layers", "deep", "nequip, full parity"])
def test_layers_without_edges_do_not_respond(name):
    network = network_of(name)
    none = torch.zeros([2, 0], dtype=torch.int64)
    vectors = torch.zeros([0, 3], dtype=torch.float64, requires_grad=True)
    for n in (0, 3):
        species = torch.zeros(n, dtype=torch.int64)
        found = evaluate_pieces(network.piece, network.layers, vectors, none, species)
        response = edge_response(found[-1].outputs[1].sum(1), found, none, False)
        tensor = born_effective_charges_by_layer(response, vectors, none, n)
        assert torch.equal(tensor, torch.zeros(n, 3, 3).double())


@pytest.mark.parametrize(
    ("name", "rows", "backward"),
    [
        ("linear", True, False),
        ("deep", True, False),
        ("wrapped", False, False),
        ("by_hand", False, False),
        ("wrong_backward", True, True),
    ],
)
def test_a_model_file_offers_what_its_network_does(toy_model, name, rows, backward):
    module, _ = load_model(toy_model(name))
    arguments = [argument.name for argument in module.piece.schema.arguments]
    assert ("row_length" in arguments) is rows
    assert hasattr(module, "piece_store") is hasattr(module, "piece_backward") is backward


def test_a_total_charge_goes_through_all_pieces():
    """``layer`` with total charges is the network fixed at them."""
    torch.manual_seed(4)
    part = REPRESENTATIONS["three layers"]
    network = build(type(part)(**{**part.__dict__, "embed_total_charge": True}))
    for parameter_name, parameter in network.named_parameters():
        if parameter_name.endswith("_slope"):
            torch.nn.init.normal_(parameter, std=0.3)
    positions, edge_index, species = cluster()
    vectors = positions[edge_index[1]] - positions[edge_index[0]]
    total = torch.full([9], 2.0).double()
    layer = partial(network.layer, row_length=0, total_charge=total)
    found = evaluate_pieces(layer, 3, vectors, edge_index, species)[-1].outputs
    fixed = network.at_total_charge(2.0)(vectors, edge_index, species, 9)
    assert_equal({"energy": found[0], "charge": found[1]}, fixed)
    other = network.at_total_charge(0.0)(vectors, edge_index, species, 9)
    assert (other["energy"] - fixed["energy"]).abs().max() > 1e-4
    with pytest.raises(RuntimeError, match="needs the total charge"):
        network(vectors, edge_index, species, 9)

"""Derivatives of pieces written out, ``piece_store`` and ``piece_backward``: against autograd."""

import itertools

import pytest
import torch
from cace_networks import cluster, edges
from chunks import CACE, Edges, chunk, in_rows, network_of
from generate import toy_metadata
from torch import Tensor

from lammps_les.model_file import load_model
from lammps_les_export import write_model

SETS = ((1, 1), (0, 1), (1, 3), (3, 3), (0, 2))
"""k_e and k: sums in which the energies have a weight, and all."""


def inputs(network, t: int, n: int, rows: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """``kept`` and ``sent`` of random numbers for piece t."""
    kept, sent = (network.kept[t - 1], network.sent[t - 1]) if t > 0 else (0, 0)
    shapes = (n, kept), (rows if t > 0 else 0, sent)
    return tuple(torch.randn(s, generator=generator, dtype=torch.float64) for s in shapes)


def cotangents_of(
    network, outputs: list[Tensor], t: int, sets: tuple[int, int], generator: torch.Generator
) -> list[Tensor]:
    """Random ones, the energies in the first k_e sets alone."""
    k_e, k = sets
    counts = [k_e if t == network.layers - 1 else k] + [k] * (len(outputs) - 1)
    return [
        torch.randn(count, *output.shape, generator=generator, dtype=torch.float64)
        for count, output in zip(counts, outputs, strict=True)
    ]


def differentiated(
    piece, leaves: tuple[Tensor, Tensor, Tensor], cotangents: list[Tensor]
) -> list[Tensor]:
    """The result of ``piece_backward`` by automatic differentiation."""
    leaves = tuple(leaf.detach().clone().requires_grad_() for leaf in leaves)
    outputs = piece(*leaves)
    sets = []
    for index in range(cotangents[-1].size(0)):
        total = sum(0.0 * leaf.sum() for leaf in leaves)
        for output, weights in zip(outputs, cotangents, strict=True):
            if index < len(weights):
                total = total + (output * weights[index]).sum()
        sets.append(torch.autograd.grad(total, leaves, retain_graph=True))
    return [torch.stack(gradients) for gradients in zip(*sets, strict=True)]


def assert_close(found: Tensor, expected: Tensor, tolerance: float = 1e-12) -> None:
    """Of one size with what is expected, up to ``tolerance`` of the largest number."""
    assert found.shape == expected.shape
    scale = float(expected.detach().abs().max()) if expected.numel() > 0 else 0.0
    torch.testing.assert_close(found, expected, rtol=tolerance, atol=tolerance * scale)


@pytest.mark.parametrize("row_length", [0, 40])
@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize("name", CACE)
def test_written_out_derivatives(name, channels, row_length):
    """All pieces, scripted; some edges are beyond the cutoff, and one atom has none within it."""
    network = network_of(name, channels)
    scripted = torch.jit.script(network)
    positions, _, species = cluster(40, spread=4.0)
    positions[30] += 50.0
    edge_index = edges(positions, 3.3)
    generator = torch.Generator().manual_seed(3)
    chunks = (torch.arange(40), torch.tensor([5, 2, 30]))
    for atoms, t, own_rows in itertools.product(chunks, range(network.layers), (False, True)):
        part = chunk(network, positions, edge_index, species, atoms)
        if row_length > 0:
            part = in_rows(part, row_length, network.cutoff)
        if own_rows:  # of `sent`, one for each edge
            part = part._replace(source=torch.arange(len(part.vectors)))
        rows = len(part.vectors) if own_rows else 40
        kept, sent = inputs(network, t, part.n, rows, generator)
        source = part.source if t > 0 else part.source[:0]
        rest = (part.index, part.species, part.n, row_length)

        def piece(kept, sent, vectors, t=t, source=source, rest=rest) -> list[Tensor]:
            return network.piece(t, kept, sent, source, vectors, *rest)

        leaves = (kept, sent, part.vectors)
        with torch.jit.optimized_execution(False):
            outputs, stored = scripted.piece_store(t, kept, sent, source, part.vectors, *rest)
        for one, other in zip(outputs, piece(*leaves), strict=True):
            assert_close(one, other)
        assert not any(tensor.requires_grad for tensor in [*outputs, *stored])
        far = part.vectors.norm(dim=1) > network.cutoff
        assert far.any()
        for sets in SETS:
            if network.channels == 0 and sets[0] < sets[1]:
                continue
            cotangents = cotangents_of(network, outputs, t, sets, generator)
            with torch.jit.optimized_execution(False):
                found = scripted.piece_backward(t, stored, cotangents)
            expected = differentiated(piece, leaves, cotangents)
            for one, other in zip(found, expected, strict=True):
                assert_close(one, other)
            assert found[2][0].abs().max() > 1e-6
            assert found[2][:, far].abs().max() == 0.0
            if own_rows and t > 0:
                assert found[1][:, far].abs().max() == 0.0


@pytest.mark.parametrize("name", CACE)
def test_no_edges_and_no_atoms(name):
    network = network_of(name)
    scripted = torch.jit.script(network)
    none, no_vectors = torch.zeros(2, 0, dtype=torch.int64), torch.zeros(0, 3).double()
    generator = torch.Generator().manual_seed(4)
    for n, t, rows in itertools.product((0, 3), range(network.layers), (0, 2)):
        for row_length in (0, 5) if n == 0 else (0,):
            kept, sent = inputs(network, t, n, rows, generator)
            rest = (none, torch.zeros(n + 1, dtype=torch.int64), n, row_length)

            def piece(kept, sent, vectors, t=t, rest=rest) -> list[Tensor]:
                return network.piece(t, kept, sent, none[0], vectors, *rest)

            outputs, stored = scripted.piece_store(t, kept, sent, none[0], no_vectors, *rest)
            leaves = (kept, sent, no_vectors)
            for one, other in zip(outputs, piece(*leaves), strict=True):
                assert_close(one, other)
            cotangents = cotangents_of(network, outputs, t, (2, 2), generator)
            found = scripted.piece_backward(t, stored, cotangents)
            assert [x.shape for x in found] == [(2, *leaf.shape) for leaf in leaves]
            for one, other in zip(found, differentiated(piece, leaves, cotangents), strict=True):
                assert_close(one, other)


def stored_and_back(network, t: int, kept: Tensor, sent: Tensor, part: Edges, sets: int):
    """Gradients of a piece with all weights 1."""
    source = part.source if t > 0 else part.source[:0]
    outputs, stored = network.piece_store(t, kept, sent, source, *part[:4])
    weights = [torch.ones(sets, *output.shape, dtype=output.dtype) for output in outputs]
    return network.piece_backward(t, stored, weights)


@pytest.mark.parametrize("name", CACE)
def test_written_out_derivatives_in_single_precision(name):
    positions, edge_index, species = cluster()
    for t in range(network_of(name).layers):
        results = []
        for dtype in (torch.float32, torch.float64):
            network = network_of(name).to(dtype)
            part = chunk(network, positions.to(dtype), edge_index, species, torch.arange(9))
            given = inputs(network, t, 9, 9, torch.Generator().manual_seed(6))
            kept, sent = (x.to(dtype) for x in given)
            results.append(stored_and_back(network, t, kept, sent, part, 2))
        for one, other in zip(*results, strict=True):
            assert one.dtype == torch.float32
            scale = float(other.abs().max()) if other.numel() > 0 else 0.0
            torch.testing.assert_close(one.double(), other, rtol=1e-4, atol=1e-5 * scale)


@pytest.mark.parametrize("name", ["one layer", "three layers", "attenuated, separate"])
def test_a_model_file_brings_the_derivatives(name, tmp_path):
    network = network_of(name)
    write_model(tmp_path / "model.pt", network, toy_metadata(network, "float64"))
    module, metadata = load_model(tmp_path / "model.pt")
    assert metadata.network.kind == "cace"
    assert metadata.network.kept == network.kept
    assert metadata.network.config["representation"]["layers"] == metadata.network.layers
    positions, edge_index, species = cluster()
    for t in range(network.layers):
        part = chunk(network, positions, edge_index, species, torch.arange(9))
        kept, sent = inputs(network, t, 9, 9, torch.Generator().manual_seed(7))
        with torch.jit.optimized_execution(False):
            found = stored_and_back(module, t, kept, sent, part, 1)
        for one, other in zip(found, stored_and_back(network, t, kept, sent, part, 1), strict=True):
            assert_close(one, other)

"""How the charges of a network in pieces respond to its edges.

It takes one backward pass through the last piece, and 1 + 3 through every one below. A charge Q_c
weighs in the Born effective charge of atom i by the displacement r_c - r_i. Along the edges that
lead from c to i the displacement adds up, so it need not be known where a backward pass starts:
where it crosses from one piece to the one before, along the edge (c, j), a gradient g of
sum_c Q_c and G_a of sum_c (r_c - r)_a Q_c become g and G_a - r_cj,a g. No image of an atom has to
be told from another one for that.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

Piece = Callable[[int, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, int], list[Tensor]]
"""The method ``piece`` of FORMAT.md, without ``row_length``."""


class Evaluated(NamedTuple):
    """One piece, evaluated.

    Attributes:
        kept: [n, K] what it took of the atoms themselves.
        sent: [E, S] what it took of their neighbors, a row for each edge.
        edge_vectors: [E, 3] in A, a tensor of its own that the edge vectors of the whole lead to.
        outputs: what it made of that.
    """

    kept: Tensor
    sent: Tensor
    edge_vectors: Tensor
    outputs: list[Tensor]


def evaluate_pieces(
    piece: Piece,
    pieces: int,
    edge_vectors: Tensor,
    edge_index: Tensor,
    species: Tensor,
) -> list[Evaluated]:
    """Evaluate all pieces for all atoms, so that each can be differentiated by itself.

    Args:
        piece: of the network.
        pieces: how many there are.
        edge_vectors: [E, 3] r_cj = x_j - x_c in A.
        edge_index: [2, E] center, neighbor; sorted by center.
        species: [N].
    """
    n = species.size(0)
    kept, sent = edge_vectors.new_zeros([n, 0]), edge_vectors.new_zeros([0, 0])
    source = edge_index[1, :0]
    found: list[Evaluated] = []
    for t in range(pieces):
        vectors = edge_vectors.view_as(edge_vectors)
        outputs = piece(t, kept, sent, source, vectors, edge_index, species, n)
        found.append(Evaluated(kept, sent, vectors, outputs))
        if t < pieces - 1:
            kept, sent = outputs[0], outputs[1].index_select(0, edge_index[1])
            source = torch.arange(len(sent), device=sent.device)
    return found


class EdgeResponse(NamedTuple):
    """Response of all charges to each edge vector r_e, from its center to its neighbor.

    Attributes:
        total: [E, 3], sum_c dQ_c/dr_e, in e/A.
        moment: [E, 3, 3], sum_c (r_c - r_center)_a dQ_c/dr_eb, in e.
    """

    total: Tensor
    moment: Tensor


def edge_response(
    charges: Tensor, found: Sequence[Evaluated], edge_index: Tensor, create_graph: bool
) -> EdgeResponse:
    """Differentiate charges piece by piece.

    Args:
        charges: [N], Q in e, made of the outputs of the last piece, with their graph.
        found: all pieces.
        edge_index: [2, E] center, neighbor.
        create_graph: keep the result differentiable, for training on it.
    """
    outputs, plain = [charges], [torch.ones_like(charges)]
    weighed: list[list[Tensor]] = []  # none above the last piece: there r_c - r is zero
    reach = found[0].edge_vectors.detach()  # [E, 3]
    total = torch.zeros_like(reach)
    moment = [torch.zeros_like(reach) for _ in range(3)]

    def by_rows(of_edges: Tensor) -> Tensor:
        """What edges took, summed over those that took the same row."""
        rows = of_edges.new_zeros([len(outputs[1]), of_edges.size(1)])
        return rows.index_add(0, edge_index[1], of_edges)

    for t in range(len(found) - 1, -1, -1):
        leaves = [found[t].edge_vectors, found[t].kept, found[t].sent][: 3 if t > 0 else 1]
        below = gradients(outputs, plain, leaves, create_graph)
        below_weighed = [gradients(outputs, w, leaves, create_graph) for w in weighed]
        total = total + below[0]
        for axis, by_leaf in enumerate(below_weighed):
            moment[axis] = moment[axis] + by_leaf[0]
        if t == 0:
            break
        outputs = found[t - 1].outputs
        _, kept, sent = below
        plain, weighed = [kept, by_rows(sent)], []
        for axis in range(3):
            crossed = -reach[:, axis, None] * sent
            if below_weighed:
                weighed.append([below_weighed[axis][1], by_rows(below_weighed[axis][2] + crossed)])
            else:
                weighed.append([torch.zeros_like(kept), by_rows(crossed)])
    return EdgeResponse(total, torch.stack(moment, 1))


def gradients(
    outputs: Sequence[Tensor], weights: Sequence[Tensor], leaves: list[Tensor], create_graph: bool
) -> list[Tensor]:
    """d(sum of weights outputs)/d(leaf) of each leaf, zero where nothing depends on it."""
    pairs = [(o, w) for o, w in zip(outputs, weights, strict=True) if o.requires_grad]
    if not pairs:
        return [torch.zeros_like(leaf) for leaf in leaves]
    found = torch.autograd.grad(
        [o for o, _ in pairs],
        leaves,
        [w for _, w in pairs],
        retain_graph=True,
        create_graph=create_graph,
        allow_unused=True,
    )
    pairs_found = zip(found, leaves, strict=True)
    return [torch.zeros_like(leaf) if g is None else g for g, leaf in pairs_found]


def born_effective_charges_by_layer(
    response: EdgeResponse, edge_vectors: Tensor, edge_index: Tensor, n_atoms: int
) -> Tensor:
    """Sum over j of (r_j - r_i)_a dQ_j/dr_ib, j over images: the local form without its diagonal.

    Args:
        response: of the edges.
        edge_vectors: [E, 3] r_cj = x_j - x_c in A.
        edge_index: [2, E] center, neighbor.
        n_atoms: number of atoms.

    Returns:
        [n_atoms, 3, 3] in e, indices [atom, P component, r component].
    """
    at_neighbor = response.moment - edge_vectors.detach()[:, :, None] * response.total[:, None, :]
    tensor = torch.zeros([n_atoms, 3, 3], dtype=response.total.dtype, device=edge_vectors.device)
    tensor = tensor.index_add(0, edge_index[1], at_neighbor)
    return tensor.index_add(0, edge_index[0], -response.moment)

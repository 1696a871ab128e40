"""How the charges of a network of several layers respond to its edges.

It takes one pull-back through the last layer, and 1 + 3 through every layer below. A charge Q_c
weighs in the Born effective charge of atom i by the displacement r_c - r_i. Along the edges that
lead from c to i the displacement adds up, so it need not be known where a pull-back starts: where
it passes from one layer to the next, along the edge (c, j), what comes for Q_c is weighed by
r_c - r_j = -r_cj, and goes on together with what comes unweighed. No image of an atom has to be
told from another one for that.

What the layers take from the edges is mostly the same functions of them. The gradients by these are
gathered over the layers, and pulled back to the edges at the end, once for each of the 1 + 3.
"""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor


class Cut(NamedTuple):
    """The boundary between two layers: all that one leaves to the next passes through here.

    Attributes:
        made: [rows, F] what the atoms of the lower layer have.
        own: [n, F_own] the first columns of the first rows again: what an atom keeps.
        sent: [S, F - F_own] the other columns again, once for each way that they take: what
            neighbors get.
        row: [S] row of ``made`` that ``sent`` is from; ``rows`` where there is none.
        vector: [S, 3] r_cj = x_j - x_c in A, from the atom c that gets it to the atom j that it is
            from; without graph.
    """

    made: Tensor
    own: Tensor
    sent: Tensor
    row: Tensor
    vector: Tensor


class EdgeResponse(NamedTuple):
    """Response of all charges to each edge vector r_e, from its center to its neighbor.

    Attributes:
        total: [E, 3], sum_c dQ_c/dr_e, in e/A.
        moment: [E, 3, 3], sum_c (r_c - r_center)_a dQ_c/dr_eb, in e.
    """

    total: Tensor
    moment: Tensor


def edge_response(
    charges: Tensor,
    cuts: Sequence[Cut],
    taken: Sequence[Sequence[Tensor]],
    edge_vectors: Tensor,
    create_graph: bool,
) -> EdgeResponse:
    """Pull charges back through the layers.

    Args:
        charges: [N], Q in e, with their graph.
        cuts: between the layers, in their order.
        taken: of each layer, the tensors through which it, and no other one, depends on the edges.
        edge_vectors: [E, 3] in A, on which these depend.
        create_graph: keep the result differentiable, for training on it.
    """
    # what comes to a layer from above: as it is, and weighed by the displacement along each axis
    outputs, plain, weighed = charges, torch.ones_like(charges), list[Tensor]()
    by_taken = _Gathered([], [])
    by_taken_weighed = [_Gathered([], []) for _ in range(3)]
    for own_tensors, cut in zip(reversed(taken), [*reversed(cuts), None], strict=True):
        leaves = [*own_tensors] if cut is None else [*own_tensors, cut.own, cut.sent]
        below = _pulled(outputs, plain, leaves, create_graph)
        by_taken.add(own_tensors, below)
        below_weighed = [_pulled(outputs, weights, leaves, create_graph) for weights in weighed]
        for gathered, found in zip(by_taken_weighed, below_weighed, strict=False):  # none on top
            gathered.add(own_tensors, found)
        if cut is None:
            break
        sent = _zero_if_none(below[-1], cut.sent)
        outputs, plain = cut.made, _arrived(cut, _zero_if_none(below[-2], cut.own), sent)
        reach = [-cut.vector[:, axis, None] * sent for axis in range(3)]
        if below_weighed:
            weighed = [
                _arrived(
                    cut,
                    _zero_if_none(found[-2], cut.own),
                    _zero_if_none(found[-1], cut.sent) + more,
                )
                for found, more in zip(below_weighed, reach, strict=True)
            ]
        else:
            weighed = [_arrived(cut, torch.zeros_like(cut.own), more) for more in reach]
    moments = [gathered.by_edges(edge_vectors, create_graph) for gathered in by_taken_weighed]
    return EdgeResponse(by_taken.by_edges(edge_vectors, create_graph), torch.stack(moments, 1))


class _Gathered(NamedTuple):
    """Gradients by what all layers take from the edges, to be pulled back to them once."""

    tensors: list[Tensor]
    gradients: list[Tensor]

    def add(self, tensors: Sequence[Tensor], gradients: Sequence[Tensor | None]) -> None:
        for tensor, gradient in zip(tensors, gradients, strict=False):  # those of a cut follow
            if gradient is not None:
                self.tensors.append(tensor)
                self.gradients.append(gradient)

    def by_edges(self, edge_vectors: Tensor, create_graph: bool) -> Tensor:
        """[E, 3]."""
        if not self.tensors:
            return torch.zeros_like(edge_vectors)
        (found,) = torch.autograd.grad(
            self.tensors,
            [edge_vectors],
            self.gradients,
            retain_graph=True,
            create_graph=create_graph,
        )
        return found


def _pulled(
    outputs: Tensor, weights: Tensor, leaves: list[Tensor], create_graph: bool
) -> Sequence[Tensor | None]:
    """d(sum of weights outputs)/d(leaf) of each leaf, None where nothing depends on it."""
    if not outputs.requires_grad:
        return [None] * len(leaves)
    return torch.autograd.grad(
        [outputs],
        leaves,
        [weights],
        retain_graph=True,
        create_graph=create_graph,
        allow_unused=True,
    )


def _zero_if_none(gradient: Tensor | None, leaf: Tensor) -> Tensor:
    return torch.zeros_like(leaf) if gradient is None else gradient


def _arrived(cut: Cut, own: Tensor, sent: Tensor) -> Tensor:
    """Gradients of ``own`` and ``sent`` as one of ``made``."""
    rows = cut.made.size(0)
    kept = torch.cat([own, own.new_zeros([rows - own.size(0), own.size(1)])])
    given = sent.new_zeros([rows + 1, sent.size(1)]).index_add(0, cut.row, sent)
    return torch.cat([kept, given[:rows]], 1)


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

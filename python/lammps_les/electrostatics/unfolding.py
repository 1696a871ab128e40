"""Unfolding a periodic neighbor graph into atoms and explicit images."""

from typing import NamedTuple

import torch
from torch import Tensor


class UnfoldedGraph(NamedTuple):
    """The atoms of a cell, the images that their outputs depend on, and the edges between them.

    Attributes:
        owner: [M], int64, the atom of which each node is an image; nodes 0 ... N-1 are the atoms.
        shifts: [M, 3], integer cell shifts of the nodes, zero for the atoms.
        edge_index: [2, E'], center and neighbor as nodes, sorted by center.
    """

    owner: Tensor
    shifts: Tensor
    edge_index: Tensor


def unfold(edge_index: Tensor, edge_shifts: Tensor, n_atoms: int, layers: int) -> UnfoldedGraph:
    """Walk the neighbor graph so that every image within reach becomes a node of its own.

    The output of an atom of a network with L layers depends on nodes up to L edges away; the nodes
    reached by fewer than L edges carry their edges, those of the last ring do not.

    Args:
        edge_index: [2, E], int64, center and neighbor, sorted by center.
        edge_shifts: [E, 3], integer cell shifts of the neighbor.
        n_atoms: N, number of atoms in the cell.
        layers: L, number of interaction layers.

    Returns:
        the unfolded graph; r_cj of an edge is x_j - x_c of its nodes, with no shift left.
    """
    device = edge_index.device
    steps = torch.round(edge_shifts).to(torch.int64)
    owner = torch.arange(n_atoms, device=device)
    shifts = torch.zeros((n_atoms, 3), dtype=torch.int64, device=device)
    new_edges = torch.zeros((2, 0), dtype=torch.int64, device=device)
    degree = torch.bincount(edge_index[0], minlength=n_atoms)  # [N]
    first_edge = torch.cumsum(degree, 0) - degree
    ring_begin = 0  # nodes from here on do not carry edges yet
    for _ in range(layers):
        ring = torch.arange(ring_begin, owner.size(0), device=device)
        counts = degree[owner[ring]]
        centers = torch.repeat_interleave(ring, counts)  # [e]
        offset = torch.arange(centers.size(0), device=device) - torch.repeat_interleave(
            torch.cumsum(counts, 0) - counts, counts
        )
        edges = first_edge[owner[centers]] + offset
        reached_owner = edge_index[1][edges]
        reached_shift = shifts[centers] + steps[edges]
        # number the reached images; those that are nodes already keep their index
        known = torch.cat([shifts, reached_shift]), torch.cat([owner, reached_owner])
        labels = torch.cat([known[1][:, None], known[0]], dim=1)  # [M + e, 4]
        distinct, group = torch.unique(labels, dim=0, return_inverse=True)
        first = torch.full((distinct.size(0),), labels.size(0), dtype=torch.int64, device=device)
        order = torch.arange(labels.size(0), device=device)
        first = first.scatter_reduce(0, group, order, "amin")
        added = torch.sort(first[first >= owner.size(0)])[0]
        node = torch.full((labels.size(0),), -1, dtype=torch.int64, device=device)
        node[: owner.size(0)] = order[: owner.size(0)]
        node[added] = owner.size(0) + torch.arange(added.size(0), device=device)
        neighbors = node[first[group[owner.size(0) :]]]
        new_edges = torch.cat([new_edges, torch.stack([centers, neighbors])], dim=1)
        ring_begin = owner.size(0)
        owner = torch.cat([owner, labels[added, 0]])
        shifts = torch.cat([shifts, labels[added, 1:]])
    return UnfoldedGraph(owner, shifts, new_edges)

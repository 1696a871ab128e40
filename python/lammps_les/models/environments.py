"""Edges in rows of equal length, one row an atom, for sums by batched matrix products."""

from typing import NamedTuple

import torch
from torch import Tensor


class Environments(NamedTuple):
    """Padded neighbor lists of the atoms whose features are computed ("rows").

    Attributes:
        place: [E] where an edge stands among the n_rows * width places; edges that no row needs are
            left out, they are the last ones.
        neighbor_species: [n_rows, width] species index; 0 in empty places.
        neighbor_row: [n_rows, width] row of the neighbor; n_rows in empty places and for neighbors
            without a row. Only filled for several layers.
        row_species: [n_rows].
    """

    place: Tensor
    neighbor_species: Tensor
    neighbor_row: Tensor
    row_species: Tensor


def pad_vectors(env: Environments, edge_vectors: Tensor, cutoff: float) -> Tensor:
    """Edge vectors [E, 3] in their places, [3, n_rows, width] in A.

    Empty places hold (2 cutoff, 0, 0), where every basis function is 0; at the cutoff itself a GPU,
    which divides by multiplying, may see what is left of 1 - 1.
    """
    n_rows, width = env.neighbor_species.shape
    vectors = torch.zeros([3, n_rows * width], dtype=edge_vectors.dtype, device=edge_vectors.device)
    vectors[0] = 2.0 * cutoff
    edges = edge_vectors[: env.place.size(0)]
    return vectors.scatter(1, env.place.expand(3, -1), edges.t()).view(3, n_rows, width)


def pad_edges(edge_index: Tensor, species: Tensor, n_centers: int, layers: int) -> Environments:
    """Arrange edges by center.

    With one layer the rows are atoms 0 ... n_centers-1. With more they are those and all other
    atoms that edges name as centers; in both cases the first n_centers rows are the atoms asked
    for.

    Args:
        edge_index: [2, E] center, neighbor; sorted by center.
        species: [n_all].
        n_centers: atoms asked for.
        layers: of the network.
    """
    center, neighbor = edge_index[0], edge_index[1]
    n_all = species.size(0)
    if layers == 1:
        n_rows = n_centers
        n_edges = int(torch.searchsorted(center, n_centers))
        center, neighbor = center[:n_edges], neighbor[:n_edges]
        row, row_species, row_of_atom = center, species[:n_centers], center
    else:
        has_row = torch.zeros(n_all, dtype=torch.bool, device=species.device)
        has_row[:n_centers] = True
        has_row.index_fill_(0, center, True)
        atoms = torch.nonzero(has_row)[:, 0]
        n_rows = atoms.size(0)
        row_of_atom = torch.full([n_all], n_rows, dtype=center.dtype, device=center.device)
        row_of_atom[atoms] = torch.arange(n_rows, device=center.device)
        row, row_species = row_of_atom.index_select(0, center), species[atoms]

    count = torch.bincount(row, minlength=n_rows)
    width = int(count.max()) if n_rows > 0 else 0
    first = torch.cumsum(count, 0) - count
    place = torch.arange(row.size(0), device=row.device) - first.index_select(0, row) + width * row

    none = torch.zeros(n_rows * width, dtype=row.dtype, device=row.device)
    neighbor_species = none.index_copy(0, place, species.index_select(0, neighbor))
    neighbor_row = none
    if layers > 1:
        neighbor_row = (none + n_rows).index_copy(0, place, row_of_atom.index_select(0, neighbor))
    return Environments(
        place,
        neighbor_species.view(n_rows, width),
        neighbor_row.view(n_rows, width),
        row_species,
    )

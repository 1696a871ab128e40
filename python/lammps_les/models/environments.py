"""Edges in rows of equal length, one row a center, for sums by batched matrix products."""

from typing import NamedTuple

import torch
from torch import Tensor


class Environments(NamedTuple):
    """Padded neighbor lists of n centers: n * width places.

    Attributes:
        place: [E] where an edge stands among the places; empty where edges come in rows, so that
            each has the place of its number.
        n: centers.
        width: places of a center.
    """

    place: Tensor
    n: int
    width: int


def pad_edges(center: Tensor, n: int, row_length: int) -> Environments:
    """Arrange edges by center.

    Args:
        center: [E] of each edge, 0 ... n-1, sorted.
        n: centers.
        row_length: length of the rows in which the edges stand already; 0 if they do not.
    """
    if row_length > 0:
        return Environments(center[:0], n, row_length)
    count = torch.bincount(center, minlength=n)
    width = (int(count.max()) + 7) // 8 * 8 if n > 0 else 0  # a CPU likes no other lengths
    first = torch.cumsum(count, 0) - count
    place = torch.arange(center.size(0), device=center.device) - first.index_select(0, center)
    return Environments(place + width * center, n, width)


def pad_edges_in_parts(center: Tensor, n: int, row_length: int) -> tuple[Environments, Tensor]:
    """Arrange edges by center in short rows, several for a center with many edges.

    Fewer places are empty than where one row has to do for every center.

    Args:
        center: [E] of each edge, 0 ... n-1, sorted.
        n: centers.
        row_length: length of the rows, one a center, in which the edges stand already; 0 if they
            do not.

    Returns:
        their places, with rows in place of centers, and the center of each row; [0] where each
        center has one.
    """
    if row_length > 0:
        return Environments(center[:0], n, row_length), center[:0]
    width = 16
    count = torch.bincount(center, minlength=n)
    rows = (count + width - 1) // width
    first = width * (torch.cumsum(rows, 0) - rows) - (torch.cumsum(count, 0) - count)
    place = torch.arange(center.size(0), device=center.device) + first.index_select(0, center)
    owner = torch.repeat_interleave(torch.arange(n, device=center.device), rows)
    return Environments(place, owner.size(0), width), owner


def add_parts(rows: Tensor, owner: Tensor, n: int) -> Tensor:
    """Sums [n, ...] over the rows [rows, ...] of ``pad_edges_in_parts`` that a center has."""
    if owner.size(0) < rows.size(0):
        return rows
    shape = list(rows.size())
    shape[0] = n
    return torch.zeros(shape, dtype=rows.dtype, device=rows.device).index_add(0, owner, rows)


def pad_vectors(env: Environments, edge_vectors: Tensor, cutoff: float) -> Tensor:
    """Edge vectors [E, 3] in their places, [3, n, width] in A.

    Empty places hold (2 cutoff, 0, 0), where every basis function is 0; at the cutoff itself a GPU,
    which divides by multiplying, may see what is left of 1 - 1.
    """
    n, width = env.n, env.width
    if env.place.size(0) < edge_vectors.size(0):
        return edge_vectors.view(n, width, 3).permute(2, 0, 1).contiguous()
    vectors = torch.zeros([3, n * width], dtype=edge_vectors.dtype, device=edge_vectors.device)
    vectors[0] = 2.0 * cutoff
    return vectors.scatter(1, env.place.expand(3, -1), edge_vectors.t()).view(3, n, width)


def pad_values(env: Environments, values: Tensor) -> Tensor:
    """What edges have, [E, S], in their places, [n, width, S]; 0 in empty ones."""
    if env.place.size(0) == values.size(0):
        shape = [env.n * env.width, values.size(1)]
        none = torch.zeros(shape, dtype=values.dtype, device=values.device)
        values = none.index_copy(0, env.place, values)
    return values.view(env.n, env.width, values.size(1))


def pad_rows(env: Environments, row: Tensor) -> Tensor:
    """A row number of each edge, [E], by places [n * width]; 0 in empty ones.

    What an empty place takes has no influence, because every basis function is 0 there.
    """
    if env.place.size(0) < row.size(0):
        return row
    none = torch.zeros(env.n * env.width, dtype=row.dtype, device=row.device)
    return none.index_copy(0, env.place, row)


def pad_sent(env: Environments, source: Tensor, sent: Tensor) -> Tensor:
    """What each edge takes, row ``source`` [E] of ``sent`` [rows, S], by places [n, width, S]."""
    if env.place.size(0) == 0 and each_its_own(source, sent.size(0)):
        taken = sent
    else:
        taken = sent.index_select(0, pad_rows(env, source))
    return taken.view(env.n, env.width, sent.size(1))


def sum_rows(source: Tensor, by_edges: Tensor, rows: int) -> Tensor:
    """Gradients of k sums by what edges took, [k, E, S], to those by the rows, [k, rows, S]."""
    if each_its_own(source, rows):
        return by_edges
    out = by_edges.new_zeros([by_edges.size(0), rows, by_edges.size(2)])
    return out.index_add_(1, source, by_edges)


def each_its_own(source: Tensor, rows: int) -> bool:
    """Whether edge e takes row e, so that nothing is to be copied or summed.

    A GPU is not asked, because the host would have to wait for it.
    """
    if source.size(0) != rows or source.is_cuda:
        return False
    return torch.equal(source, torch.arange(rows, device=source.device))

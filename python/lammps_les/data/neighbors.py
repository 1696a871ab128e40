"""Neighbor lists as the model file wants them."""

import numpy as np
import torch
import vesin
from torch import Tensor


def neighbor_list(
    positions: np.ndarray, cell: np.ndarray, periodic: bool, cutoff: float
) -> tuple[Tensor, Tensor]:
    """Full neighbor list, images of the center itself included; boxes may be small and skewed.

    Args:
        positions: [N, 3] in A; need not lie inside the cell.
        cell: [3, 3], rows are lattice vectors [A].
        periodic: in all three directions, or in none.
        cutoff: A.

    Returns:
        edge_index [2, E], int64, center and neighbor, sorted by center; edge_shifts [E, 3],
        float64, integer cell shifts n of the neighbor: r_cj = x_j - x_c + n . cell.
    """
    if len(positions) == 0:
        return torch.zeros((2, 0), dtype=torch.int64), torch.zeros((0, 3), dtype=torch.float64)
    lists = vesin.NeighborList(cutoff=cutoff, full_list=True, sorted=True)
    center, neighbor, shifts = lists.compute(
        np.ascontiguousarray(positions, dtype=np.float64),
        np.ascontiguousarray(cell, dtype=np.float64),
        periodic,
        "ijS",
    )
    edge_index = torch.from_numpy(np.stack([center, neighbor]).astype(np.int64))
    return edge_index, torch.from_numpy(np.asarray(shifts, dtype=np.float64))

"""Neighbor lists as the model file wants them."""

from collections.abc import Sequence

import numpy as np
import torch
import vesin
from torch import Tensor

_FARTHEST, _LARGEST = 1e6, 1e4
"""A: of a coordinate, which may have left its cell; of a cell vector."""
_DENSEST, _THINNEST = 0.2, 0.1
"""A^3 an atom (hydrogen at 500 GPa has 1.2); A between opposite faces of a cell."""
_MOST_NEIGHBORS = 5e8
"""Of all atoms together: tens of GB."""


def neighbor_list(
    positions: np.ndarray, cell: np.ndarray, periodic: bool | Sequence[bool], cutoff: float
) -> tuple[Tensor, Tensor]:
    """Full neighbor list, images of the center itself included; boxes may be small and skewed.

    Args:
        positions: [N, 3] in A; need not lie inside the cell.
        cell: [3, 3], rows are lattice vectors [A]; not used where nothing is periodic.
        periodic: in all three directions or in none, or along each lattice vector.
        cutoff: A.

    Returns:
        edge_index [2, E], int64, center and neighbor, sorted by center; edge_shifts [E, 3],
        float64, integer cell shifts n of the neighbor: r_cj = x_j - x_c + n . cell.

    Raises:
        ValueError: positions or cell are not finite or of no size that can be meant, or there would
            be too many neighbors; nothing is looked up then.
    """
    _check_sizes(positions, cell, bool(np.any(periodic)), cutoff)
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


def _check_sizes(positions: np.ndarray, cell: np.ndarray, periodic: bool, cutoff: float) -> None:
    n = len(positions)
    if not np.isfinite(cell).all():
        raise ValueError(f"the cell is {_listed(cell.ravel())} A; expected finite numbers")
    for at in np.nonzero(~(np.abs(positions) <= _FARTHEST).all(axis=1))[0][:1]:
        raise ValueError(
            f"the position of atom {at} is {_listed(positions[at])} A; expected finite numbers up "
            f"to {_FARTHEST:g}"
        )
    if not periodic:
        return
    lengths = np.linalg.norm(cell, axis=1)
    if not (lengths <= _LARGEST).all():
        raise ValueError(
            f"cell vectors of {_listed(lengths)} A; expected lengths up to {_LARGEST:g} A"
        )
    volume = abs(float(np.linalg.det(cell)))
    areas = np.linalg.norm(np.cross(cell[[1, 2, 0]], cell[[2, 0, 1]]), axis=1)
    if not (areas > 0.0).all() or volume == 0.0:
        raise ValueError("it is periodic but has no cell of three lattice vectors")
    if (volume / areas).min() < _THINNEST:
        raise ValueError(
            f"opposite faces of the cell are {_listed(volume / areas)} A apart; expected at least "
            f"{_THINNEST:g} A"
        )
    if volume < _DENSEST * n:
        raise ValueError(
            f"a cell of {volume:.3g} A^3 for {n} atoms; expected at least {_DENSEST:g} A^3 an "
            "atom, with lengths in A"
        )
    neighbors = n**2 * 4.19 * cutoff**3 / volume
    if neighbors > _MOST_NEIGHBORS:
        raise ValueError(
            f"{n} atoms in {volume:.3g} A^3 would have about {neighbors:.1e} neighbors within "
            f"{cutoff:g} A; expected at most {_MOST_NEIGHBORS:.0e}"
        )


def _listed(numbers: np.ndarray) -> str:
    return " ".join(f"{number:.4g}" for number in numbers)

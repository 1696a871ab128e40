"""Whether atoms and cells can be meant: sizes, densities, distances."""

import numpy as np
import torch
from ase import Atoms
from ase.data import chemical_symbols, covalent_radii
from torch import Tensor

from lammps_les.data.neighbors import neighbor_list

NEAREST = 0.1
"""Sums of covalent radii (0.06 A for two H): nearer atoms are none that a potential is made for."""
_WIDEST = 1e4
"""A, of an open structure in a file; in a simulation an atom may leave the others."""


def check_distances(
    numbers: np.ndarray,
    edge_index: Tensor,
    edge_vectors: Tensor,
    nearest: float = NEAREST,
    remedy: str = "",
) -> None:
    """Refuse atoms that are too near to each other.

    Args:
        numbers: [N], atomic numbers; 0 where there is none.
        edge_index: [2, E], of a neighbor list of any cutoff.
        edge_vectors: [E, 3] in A.
        nearest: sums of two covalent radii.
        remedy: end of the message.

    Raises:
        ValueError: names the nearest two, their distance and the least one.
    """
    if edge_index.size(1) == 0:
        return
    radii = torch.from_numpy(covalent_radii[numbers])
    least = nearest * radii[edge_index].sum(0)
    distance = torch.linalg.vector_norm(edge_vectors, dim=1)
    at = int(torch.argmin(distance / least))
    if distance[at] >= least[at]:
        return
    i, j = edge_index[:, at].tolist()
    other = "its own image" if i == j else f"atom {j} ({chemical_symbols[numbers[j]]})"
    raise ValueError(
        f"atom {i} ({chemical_symbols[numbers[i]]}) and {other} are {float(distance[at]):.3g} A "
        f"apart; expected at least {float(least[at]):.3g} A, {nearest:g} times the sum of their "
        f"covalent radii{remedy}"
    )


def check_structure(atoms: Atoms, nearest: float = NEAREST, remedy: str = "") -> None:
    """Refuse a structure that no model can be asked for.

    Args:
        atoms: one structure.
        nearest: as in ``check_distances``.
        remedy: likewise.

    Raises:
        ValueError: no atoms, one of no element, boundaries that are periodic in some directions
            only or have no cell, sizes without meaning, atoms too near to each other.
    """
    if len(atoms) == 0:
        raise ValueError("it has no atoms")
    if (atoms.numbers == 0).any():
        raise ValueError("an atom has no known element (symbol X)")
    periodic = bool(atoms.pbc.all())
    if atoms.pbc.any() and not periodic:
        raise ValueError(
            f"boundary flags are {atoms.pbc.tolist()}, expected all periodic or all open; "
            "use a cell with vacuum, periodic in all directions"
        )
    extent = np.ptp(atoms.positions, axis=0).max()
    if not periodic and _WIDEST < extent < np.inf:
        raise ValueError(
            f"the atoms of an open structure reach over {extent:.4g} A; expected up to "
            f"{_WIDEST:g} A"
        )
    reach = nearest * 2.0 * float(covalent_radii[atoms.numbers].max())
    edges, shifts = neighbor_list(atoms.positions, atoms.cell.array, periodic, reach)
    r = torch.from_numpy(atoms.get_positions())
    vectors = r[edges[1]] - r[edges[0]] + shifts @ torch.from_numpy(atoms.cell.array)
    check_distances(atoms.numbers, edges, vectors, nearest, remedy)

"""Polarization of structures against a reference structure, and local dipoles.

Zhong et al., npj Comput. Mater. (2025), doi:10.1038/s41524-025-01911-z, eq. 13: from the reference
along a path of structures s, with displacements u and Born effective charges Z[P, r],

    P_a = 1/V sum_s sum_ib 1/2 (Z_iab(s) + Z_iab(s+1)) (r_ib(s+1) - r_ib(s))

Displacements are taken in fractional coordinates, by the nearest image: that is the branch. On
another branch an atom has moved by a lattice vector R more, and P differs by Z_i R/V; so no step of
a path may move an atom by half a lattice vector. The mean of Z over the atoms is taken off (the
acoustic sum rule), since else P would depend on where the center of mass is.
"""

from typing import NamedTuple

import numpy as np
from ase import units

COULOMB_PER_AREA = units._e * 1e20
"""16.02177 C/m^2 in one e/A^2."""


def displacements(fractional: np.ndarray, reference: np.ndarray, cell: np.ndarray) -> np.ndarray:
    """Nearest-image displacements [N, 3] in A.

    Args:
        fractional: [N, 3], of the structure.
        reference: [N, 3], of the reference.
        cell: [3, 3], rows are lattice vectors of the structure.
    """
    moved = fractional - reference
    return (moved - np.round(moved)) @ cell


def neutral(born_charges: np.ndarray) -> np.ndarray:
    """Born effective charges [N, 3, 3] less their mean over the atoms."""
    return born_charges - born_charges.mean(axis=0)


def atomic_dipoles(
    path: np.ndarray, cells: np.ndarray, born_charges: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Dipoles [N, 3] of the atoms at the end of a path, and uncertainty [3] of their sum, in e A.

    Args:
        path: [structures, N, 3], fractional, the reference first.
        cells: [structures, 3, 3].
        born_charges: [structures, N, 3, 3], e.

    Returns:
        Dipoles with Z averaged over each step, and the standard deviation of what any Z between
        its two ends would give, |sum_i (Z_i(s+1) - Z_i(s)) u_i|/sqrt(12): zero where Z is constant.
        In a crystal it is the same for all cells, so atoms are not independent, steps are.
    """
    total, square = np.zeros(path.shape[1:]), np.zeros(3)
    z = [neutral(one) for one in born_charges]
    for n in range(len(path) - 1):
        u = displacements(path[n + 1], path[n], 0.5 * (cells[n] + cells[n + 1]))
        total += np.einsum("iab,ib->ia", 0.5 * (z[n] + z[n + 1]), u)
        square += np.einsum("iab,ib->a", z[n + 1] - z[n], u) ** 2 / 12.0
    return total, np.sqrt(square)


class Environment(NamedTuple):
    """Atoms that make a local dipole: ``number`` nearest of ``element``, each with ``weight``."""

    element: str
    number: int
    weight: float


class Cells(NamedTuple):
    """Local cells.

    Attributes:
        centers: [cells], atoms at their centers.
        weights: [cells, N], of atoms in cells; each atom's add up to 1.
    """

    centers: np.ndarray
    weights: np.ndarray


def local_cells(
    fractional: np.ndarray,
    cell: np.ndarray,
    elements: np.ndarray,
    center: str,
    environments: list[Environment],
) -> Cells:
    """Cells about the atoms of one element, as in a perovskite Ti, 8 Ba of 1/8, 6 O of 1/2.

    Args:
        fractional: [N, 3], of the reference.
        cell: [3, 3].
        elements: [N].
        center: element at the centers, with weight 1.
        environments: the other elements.

    Raises:
        ValueError: an element is not there, or the weights of an atom do not add up to 1.
    """
    centers = np.flatnonzero(elements == center)
    if not len(centers):
        raise ValueError(f"there is no {center} to be the center of a cell")
    weights = np.zeros((len(centers), len(elements)))
    weights[np.arange(len(centers)), centers] = 1.0
    images = np.array(list(np.ndindex(3, 3, 3))) - 1
    for environment in environments:
        atoms = np.flatnonzero(elements == environment.element)
        if len(images) * len(atoms) < environment.number or not len(atoms):
            raise ValueError(
                f"there are no {environment.number} {environment.element} about {center}"
            )
        for row, atom in enumerate(centers):
            moved = fractional[atoms] - fractional[atom]
            moved -= np.round(moved)
            # [atoms, images]; a small cell holds one atom at several corners
            distances = np.linalg.norm((moved[:, None] + images) @ cell, axis=2)
            nearest = np.argsort(distances, axis=None, kind="stable")[: environment.number]
            np.add.at(weights[row], atoms[nearest // len(images)], environment.weight)
    sums = weights.sum(axis=0)
    wrong = np.flatnonzero(np.abs(sums - 1.0) > 1e-6)
    if len(wrong):
        raise ValueError(
            f"expected weights of each atom that add up to 1; those of atom {wrong[0] + 1} "
            f"({elements[wrong[0]]}) add up to {sums[wrong[0]]:.6g}"
        )
    return Cells(centers, weights)


def local_polarization(dipoles: np.ndarray, cells: Cells, volume: float) -> np.ndarray:
    """Local polarization [cells, 3] in C/m^2; its mean is that of the whole.

    Args:
        dipoles: [N, 3], e A.
        cells: of ``local_cells``.
        volume: of the whole, A^3.
    """
    return COULOMB_PER_AREA * len(cells.centers) / volume * (cells.weights @ dipoles)

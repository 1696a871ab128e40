"""Multipole moments of molecules from the charges of a model."""

from typing import NamedTuple

import numpy as np
from ase import Atoms


class Moments(NamedTuple):
    """Moments of an open system about its center of mass.

    Attributes:
        dipole: [3], e A, sum_i q_i d_i with d_i = r_i - center of mass.
        quadrupole: [3, 3], e A^2, sum_i q_i (d_ia d_ib - d_ab d_i^2 / 3), symmetric, trace 0;
            2/3 of the quadrupole moment in the convention of Buckingham.
    """

    dipole: np.ndarray
    quadrupole: np.ndarray


def molecular_moments(
    atoms: Atoms,
    charges: np.ndarray,
    total_charge: float = 0.0,
    dipoles: np.ndarray | None = None,
    quadrupoles: np.ndarray | None = None,
) -> Moments:
    """Dipole and traceless quadrupole of point charges and of multipoles at the atoms.

    The charges of a LES model need not sum to the charge of the molecule. What is missing is
    shared out evenly, q_i + (total_charge - sum_j q_j) / N: without that the dipole would depend on
    the origin. A model with an exact total charge has nothing to share out.

    Args:
        atoms: open boundaries; positions in A.
        charges: [N] in e, without sqrt(epsilon_inf).
        total_charge: of the molecule, e.
        dipoles: [N, 3] in e A, likewise.
        quadrupoles: [N, 3, 3] in e A^2, likewise.
    """
    q = charges + (total_charge - charges.sum()) / len(atoms)
    d = atoms.positions - atoms.get_center_of_mass()
    second = np.einsum("i,ia,ib->ab", q, d, d)
    dipole = q @ d
    if dipoles is not None:
        dipole = dipole + dipoles.sum(axis=0)
        mixed = d.T @ dipoles
        second = second + mixed + mixed.T
    if quadrupoles is not None:
        second = second + quadrupoles.sum(axis=0)
    return Moments(dipole, second - np.trace(second) / 3.0 * np.eye(3))

"""The file BORN of phonopy: permittivity and Born effective charges of a crystal.

phonopy adds to the dynamical matrix, towards q = 0 and up to the masses,

    4 pi e^2/(4 pi epsilon_0 V) (q.Z_i)_a (q.Z_j)_b/(q.epsilon_inf.q)

which splits longitudinal from transversal optical modes (X. Gonze, C. Lee, Phys. Rev. B 55, 10355
(1997), doi:10.1103/PhysRevB.55.10355). (q.Z)_a is the sum over the first index of Z, that of the
polarization, as here. The file has the charges of the first atom of each kind that the symmetry of
the crystal leaves apart, in the order of the atoms.
"""

import numpy as np
from ase import Atoms
from ase.geometry import minkowski_reduce

COULOMB = 14.399652
"""eV A/e^2, which phonopy multiplies by, in the units of files in eV and A."""


def independent_atoms(atoms: Atoms, tolerance: float = 1e-3) -> np.ndarray:
    """First atom of each kind: those that no operation of the space group maps to an earlier one.

    Rotations of a lattice in its reduced basis have the components -1, 0 and 1; of each, the
    translations are those that map one atom of the rarest element to another.

    Args:
        atoms: periodic in all directions.
        tolerance: A, by which positions may be off.

    Raises:
        ValueError: it is not periodic in all directions.
    """
    if not atoms.pbc.all():
        raise ValueError("expected a crystal, periodic in all directions")
    cell, operation = minkowski_reduce(atoms.cell.array)
    places = atoms.get_scaled_positions() @ np.linalg.inv(operation)
    metric = cell @ cell.T
    rows = np.array(list(np.ndindex(3, 3, 3))) - 1
    # rows of a rotation are lattice vectors as long as those that they take the place of
    lengths = np.einsum("ia,ab,ib->i", rows, metric, rows)
    margin = tolerance * np.sqrt(np.diag(metric).max())
    choices = [rows[np.abs(lengths - metric[n, n]) < margin] for n in range(3)]
    rotations = [
        rotation
        for a in choices[0]
        for b in choices[1]
        for c in choices[2]
        if np.abs((rotation := np.array([a, b, c])) @ metric @ rotation.T - metric).max() < margin
    ]
    kinds, counts = np.unique(atoms.numbers, return_counts=True)
    rare = np.flatnonzero(atoms.numbers == kinds[counts.argmin()])
    first = np.arange(len(atoms))
    for rotation in rotations:
        turned = places @ rotation
        for shift in places[rare] - turned[rare[0]]:
            image = _images(turned + shift, places, cell, atoms.numbers, tolerance)
            if image is not None:
                first = np.minimum(first, first[image])
    while not np.array_equal(first, first[first]):
        first = first[first]
    return np.flatnonzero(first == np.arange(len(atoms)))


def _images(
    moved: np.ndarray, places: np.ndarray, cell: np.ndarray, numbers: np.ndarray, tolerance: float
) -> np.ndarray | None:
    """[N] atom whose place each moved one takes; None where one takes none."""
    image = np.empty(len(places), int)
    for n, place in enumerate(moved):
        apart = place - places
        apart -= np.round(apart)
        distances = np.linalg.norm(apart @ cell, axis=1)
        distances[numbers != numbers[n]] = np.inf
        image[n] = distances.argmin()
        if distances[image[n]] > tolerance:
            return None
    return image


def born_file(
    atoms: Atoms, born_charges: np.ndarray, epsilon_inf: float | np.ndarray, keep_sum: bool = False
) -> str:
    """Text of the file.

    Args:
        atoms: the unit cell as phonopy gets it, or its primitive cell, relaxed.
        born_charges: [N, 3, 3], e, index of the polarization first.
        epsilon_inf: number, or tensor [3, 3].
        keep_sum: leave the sum of the charges as it is; else their mean is taken off, for it makes
            acoustic modes of q = 0 longitudinal.

    Raises:
        ValueError: the structure is not periodic in all directions.
    """
    charges = born_charges if keep_sum else born_charges - born_charges.mean(axis=0)
    tensor = np.eye(3) * epsilon_inf if np.ndim(epsilon_inf) == 0 else np.asarray(epsilon_inf)
    kept = independent_atoms(atoms)
    lines = [f"{COULOMB}"]
    lines += [" ".join(f"{v:.8f}" for v in row.ravel()) for row in (tensor, *charges[kept])]
    return "\n".join(lines) + "\n"

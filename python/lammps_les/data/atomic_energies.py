"""Energies of atoms, which are taken off the energies that a network learns."""

from collections.abc import Sequence

import numpy as np

from lammps_les.data.neighbors import neighbor_list
from lammps_les.data.structures import Labelled
from lammps_les.keys import ENERGY


def fit_atomic_energies(
    structures: Sequence[Labelled],
    species: Sequence[str],
    predicted: Sequence[float] | None = None,
) -> dict[str, float]:
    """Energy [eV] of an atom of each species, by least squares of the energies of structures.

    Structures of one composition (water: 2 H to each O) fix only one combination of the energies;
    the solution of least norm is taken then. Energy differences at fixed composition, forces and
    pressures do not depend on the choice.

    Args:
        structures: those without an energy are passed over.
        species: elements.
        predicted: eV, taken off the energy of each structure first.

    Raises:
        ValueError: no structure has an energy.
    """
    offset = np.zeros(len(structures)) if predicted is None else np.asarray(predicted, float)
    with_energy = [i for i, s in enumerate(structures) if ENERGY.name in s.labels]
    if not with_energy:
        raise ValueError("atomic energies cannot be fitted: no structure has an energy")
    counts = [
        [structures[i].atoms.symbols.count(symbol) for symbol in species] for i in with_energy
    ]
    energies = [float(structures[i].labels[ENERGY.name]) - offset[i] for i in with_energy]
    solution = np.linalg.lstsq(np.array(counts, dtype=float), np.array(energies), rcond=None)[0]
    return dict(zip(species, solution.tolist(), strict=True))


def isolated_atomic_energies(
    structures: Sequence[Labelled], species: Sequence[str], cutoff: float
) -> dict[str, float]:
    """Energy [eV] of each species from the structures that are an isolated atom.

    Args:
        structures: of all parts of the data.
        species: elements.
        cutoff: A; an atom with a neighbor within it, be it its own image, is not isolated.

    Raises:
        ValueError: a species has no such structure.
    """
    single = {
        s.atoms.get_chemical_symbols()[0]: float(s.labels[ENERGY.name])
        for s in structures
        if len(s.atoms) == 1 and ENERGY.name in s.labels and _is_isolated(s, cutoff)
    }
    absent = [symbol for symbol in species if symbol not in single]
    if absent:
        raise ValueError(
            "data.atomic_energies: isolated, but no structure with an energy is an isolated atom "
            f"of {' '.join(absent)} (one atom that has no neighbor within {cutoff:g} A, images "
            "included); add a file with such atoms, in any part, or give the energies by symbol"
        )
    return {symbol: single[symbol] for symbol in species}


def _is_isolated(structure: Labelled, cutoff: float) -> bool:
    atoms = structure.atoms
    edges, _ = neighbor_list(atoms.positions, atoms.cell.array, structure.periodic, cutoff)
    return edges.size(1) == 0

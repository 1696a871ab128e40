"""What labelled structures are like, in a few lines: sizes, densities, distances, forces."""

import itertools
from collections.abc import Sequence

import numpy as np
from ase.units import _amu as ATOMIC_MASS

from lammps_les.data.neighbors import neighbor_list
from lammps_les.data.structures import Labelled
from lammps_les.keys import BORN_EFFECTIVE_CHARGES, FORCES, STRESS

_AT_MOST = 200
"""Structures whose distances are looked at, evenly chosen."""
_REACH = 6.0
"""Distance [A] up to which the shortest one of a pair of elements is looked for."""


def data_table(structures: Sequence[Labelled], elements: Sequence[str]) -> list[tuple[str, str]]:
    """Rows of what and how much; those that the data say nothing about are left out.

    Args:
        structures: at least one.
        elements: of the structures, in the order of the rows.
    """
    symbols = [symbol for s in structures for symbol in s.atoms.get_chemical_symbols()]
    counts = " ".join(f"{element} {symbols.count(element)}" for element in elements)
    rows = [("atoms", f"{len(symbols)} in {len(structures)} structures ({counts})")]
    densities = [_density(s) for s in structures if s.periodic]
    if densities:
        rows.append(("density", f"{_span(densities, '.3g')} g/cm^3"))
    closest = _shortest_distances(structures, elements)
    if closest:
        rows.append(("shortest distances", " ".join(f"{p} {d:.2f}" for p, d in closest) + " A"))
    forces = _by_element(structures, FORCES.name)
    if forces:
        everything = np.concatenate(list(forces.values()))
        each = " ".join(f"{e} {_rms(forces[e]):.3g}" for e in elements if e in forces)
        largest = float(np.abs(everything).max())
        rows.append(
            ("RMS force", f"{_rms(everything):.3g} ({each}) eV/A, largest component {largest:.3g}")
        )
    stresses = [s.labels[STRESS.name] for s in structures if STRESS.name in s.labels]
    if stresses:
        pressure = -np.mean([stress[:3].mean() for stress in stresses])
        rows.append(
            ("RMS stress", f"{_rms(np.array(stresses)):.3g}, mean pressure {pressure:.3g} eV/A^3")
        )
    born = _by_element(structures, BORN_EFFECTIVE_CHARGES.name)
    if born:
        each = " ".join(
            f"{e} {np.trace(born[e].mean(axis=0)) / 3.0:+.3g}" for e in elements if e in born
        )
        rows.append(("mean Born charge", f"{each} e"))
    return rows


def _span(values: Sequence[float], form: str) -> str:
    low, high = format(min(values), form), format(max(values), form)
    return low if low == high else f"{low} to {high}"


def _rms(values: np.ndarray) -> float:
    return float(np.sqrt(np.mean(values**2)))


def _density(structure: Labelled) -> float:
    """Density [g/cm^3]."""
    atoms = structure.atoms
    return float(atoms.get_masses().sum() * ATOMIC_MASS * 1e3 / (atoms.get_volume() * 1e-24))


def _by_element(structures: Sequence[Labelled], name: str) -> dict[str, np.ndarray]:
    """A label of atoms, [n, ...], by element."""
    found: dict[str, list[np.ndarray]] = {}
    for s in structures:
        if name not in s.labels:
            continue
        symbols = np.array(s.atoms.get_chemical_symbols())
        for element in sorted(set(symbols)):
            found.setdefault(element, []).append(s.labels[name][symbols == element])
    return {element: np.concatenate(parts) for element, parts in found.items()}


def _shortest_distances(
    structures: Sequence[Labelled], elements: Sequence[str]
) -> list[tuple[str, float]]:
    """Shortest distance [A] of each pair of elements, where it is below the reach."""
    index = {element: n for n, element in enumerate(elements)}
    n = len(elements)
    closest = np.full(n * n, np.inf)
    for s in structures[:: -(-len(structures) // _AT_MOST)]:
        atoms = s.atoms
        edges, shifts = neighbor_list(atoms.positions, atoms.cell.array, s.periodic, _REACH)
        center, neighbor = edges.numpy()
        r = atoms.positions[neighbor] - atoms.positions[center]
        distance = np.linalg.norm(r + shifts.numpy() @ atoms.cell.array, axis=1)
        kind = np.array([index[symbol] for symbol in atoms.get_chemical_symbols()])
        np.minimum.at(closest, kind[center] * n + kind[neighbor], distance)
    pairs = itertools.combinations_with_replacement(elements, 2)
    found = [(f"{a}-{b}", float(closest[index[a] * n + index[b]])) for a, b in pairs]
    return [(pair, distance) for pair, distance in found if np.isfinite(distance)]

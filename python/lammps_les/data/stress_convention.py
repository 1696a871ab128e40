"""Whether labels of the stress have the sign and the unit that they should have.

Forces know: those of a pair potential, fitted to them by linear least squares, have a virial, and
the labels must follow it. Only the parts without trace are compared, and only how they change from
structure to structure: forces say nothing about a stress that is the same everywhere. Where there
are too few forces for the fit, or hardly any, nothing is said.
"""

from collections.abc import Sequence
from itertools import combinations_with_replacement
from typing import NamedTuple

import numpy as np
from ase.units import GPa

from lammps_les.data.neighbors import neighbor_list
from lammps_les.data.structures import Labelled
from lammps_les.keys import FORCES, STRESS

_CUTOFF, _FUNCTIONS = 5.0, 12
_AT_LEAST_FRAMES, _AT_MOST_FRAMES, _AT_MOST_ATOMS = 4, 100, 4000
_PER_PARAMETER, _LEAST_FORCE = 10, 0.05
"""Force components for each number that is fitted, and their RMS [eV/A], from which on the fit says
something: of crystals at rest it would be one to rounding errors."""
_SPEAKS, _CERTAIN = 0.6, 0.75
"""Correlations from which on labels say something, and from which on only a convention can be at
fault. Right labels of BaTiO3, SiO2 and water at 2 g/cc have 0.91, 0.99 and 0.88."""


class Verdict(NamedTuple):
    """How labels follow stresses that are known from elsewhere.

    Attributes:
        factor: labels over these, as standard deviations, with the sign of their correlation.
        correlation: between the two.
        looks_like: what the labels look like; None where they are as they should be, or where
            nothing can be said.
    """

    factor: float
    correlation: float
    looks_like: str | None

    @property
    def certain(self) -> bool:
        """Whether the two follow each other so well that only a convention can be at fault."""
        return abs(self.correlation) >= _CERTAIN


def convention_of(known: np.ndarray, labels: np.ndarray, volumes: np.ndarray) -> Verdict:
    """Compare labels of the stress with stresses of a model.

    Args:
        known: [frames, 6], eV/A^3, Voigt order.
        labels: [frames, 6], likewise, as they were read.
        volumes: [frames], A^3.
    """
    a, b = _traceless(known).ravel(), _traceless(labels).ravel()
    scale = float(np.sqrt((a * a).sum() * (b * b).sum()))
    if len(known) < _AT_LEAST_FRAMES or scale == 0.0:
        return Verdict(float("nan"), 0.0, None)
    correlation = float((a * b).sum()) / scale
    factor = float(np.sqrt((b * b).sum() / (a * a).sum())) * (1.0 if correlation > 0.0 else -1.0)
    volume = float(np.median(volumes))
    sizes = {
        "eV/A^3": 1.0,
        "GPa": 1.0 / GPa,
        "kbar": 10.0 / GPa,
        "bar": 1e4 / GPa,
        "virials in eV": volume,
        "Hartree/bohr^3": 1.0 / 183.63,
    }
    distance = {unit: abs(np.log(abs(factor) / size)) for unit, size in sizes.items()}
    near = [unit for unit in sorted(distance, key=distance.__getitem__) if distance[unit] < 1.1]
    if abs(correlation) < _SPEAKS or not near or (near[0] == "eV/A^3" and factor > 0.0):
        return Verdict(factor, correlation, None)
    names = []
    for unit in near:
        turned = (factor < 0.0) != (unit == "virials in eV")
        names.append(f"{unit} of the opposite sign" if turned else unit)
    return Verdict(factor, correlation, " or ".join(names))


def _traceless(stress: np.ndarray) -> np.ndarray:
    """The five parts without trace, each frame's own; shear counts twice, as in the tensor."""
    mean = stress[:, :3].mean(axis=1, keepdims=True)
    return np.concatenate([stress[:, :3] - mean, np.sqrt(2.0) * stress[:, 3:]], axis=1)


def convention_by_forces(structures: Sequence[Labelled]) -> Verdict | None:
    """Compare labels of the stress with those of a pair potential fitted to the forces.

    Args:
        structures: those without forces or stress are passed over.

    Returns:
        None where too few have both, or forces are too few or too small to be fitted.
    """
    chosen = [s for s in structures if {FORCES.name, STRESS.name} <= s.labels.keys()]
    chosen = chosen[:: -(-len(chosen) // _AT_MOST_FRAMES) or 1]
    most = max(_AT_LEAST_FRAMES, _AT_MOST_ATOMS // max((len(s.atoms) for s in chosen), default=1))
    chosen = chosen[:: -(-len(chosen) // most) or 1]
    if len(chosen) < _AT_LEAST_FRAMES:
        return None
    symbols = sorted({symbol for s in chosen for symbol in s.atoms.get_chemical_symbols()})
    pairs = {pair: n for n, pair in enumerate(combinations_with_replacement(symbols, 2))}
    forces = np.concatenate([s.labels[FORCES.name].reshape(-1) for s in chosen])
    if len(forces) < _PER_PARAMETER * _FUNCTIONS * len(pairs):
        return None
    if np.sqrt(np.mean(forces**2)) < _LEAST_FORCE:
        return None
    rows = [_pair_functions(s, pairs) for s in chosen]
    design = np.concatenate([f for f, _ in rows])  # [3 N of all, K]
    norm = design.T @ design
    ridge = 1e-8 * np.trace(norm) / len(norm) * np.eye(len(norm))
    weights = np.linalg.solve(norm + ridge + 1e-300 * np.eye(len(norm)), design.T @ forces)
    known = np.stack([stress @ weights for _, stress in rows])
    labels = np.stack([s.labels[STRESS.name] for s in chosen])
    volumes = np.array([s.atoms.get_volume() for s in chosen])
    return convention_of(known - known.mean(axis=0), labels - labels.mean(axis=0), volumes)


def _pair_functions(
    structure: Labelled, pairs: dict[tuple[str, str], int]
) -> tuple[np.ndarray, np.ndarray]:
    """Forces [3 N, K] and stresses [6, K] of the slopes that a pair potential is made of.

    The slope is a sum of Gaussians times a step to zero at the cutoff, for each pair of elements.
    """
    atoms = structure.atoms
    n = len(atoms)
    edges, shifts = neighbor_list(atoms.positions, atoms.cell.array, True, _CUTOFF)
    center, neighbor = edges.numpy()
    r = atoms.positions[neighbor] - atoms.positions[center] + shifts.numpy() @ atoms.cell.array
    distance = np.linalg.norm(r, axis=1)
    unit = r / distance[:, None]
    # denser at short distances, where slopes are steep
    middles = 0.7 + (_CUTOFF - 0.7) * np.linspace(0.0, 1.0, _FUNCTIONS) ** 1.5
    widths = np.gradient(middles)
    values = np.exp(-0.5 * ((distance[:, None] - middles) / widths) ** 2)
    values *= (1.0 - (distance / _CUTOFF) ** 2)[:, None] ** 2  # [E, b]
    symbols = np.array(atoms.get_chemical_symbols())
    forces = np.zeros((n, 3, len(pairs), _FUNCTIONS))
    stress = np.zeros((6, len(pairs), _FUNCTIONS))
    for (first, second), kind in pairs.items():
        mine = ((symbols[center] == first) & (symbols[neighbor] == second)) | (
            (symbols[center] == second) & (symbols[neighbor] == first)
        )
        own, u, v = center[mine], unit[mine], values[mine]
        for a, b in np.ndindex(3, _FUNCTIONS):
            forces[:, a, kind, b] = np.bincount(own, u[:, a] * v[:, b], minlength=n)
        for row, (a, b) in enumerate(((0, 0), (1, 1), (2, 2), (1, 2), (0, 2), (0, 1))):
            stress[row, kind] = (0.5 / atoms.get_volume() * r[mine, a] * u[:, b]) @ v
    return forces.reshape(3 * n, -1), stress.reshape(6, -1)

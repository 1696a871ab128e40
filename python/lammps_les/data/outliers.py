"""Labels of single structures that no other structure of the set explains."""

from collections.abc import Sequence

import numpy as np

from lammps_les.data.structures import Labelled
from lammps_les.keys import ENERGY, FORCES, STRESS

_ENERGY, _SPREADS, _REACH = 20.0, 20.0, 10.0
"""eV per atom, spreads of the others, A along the own forces: an energy beyond all is refused."""
_FEW = 0.1
"""Share of the structures of which this is said."""
_TIMES = 10.0
"""How many times what three quarters of the structures stay below is remarked on."""
_REMARKED = {FORCES.name: 5.0, STRESS.name: 0.1}
"""RMS of a structure from which on it is looked at, in the unit of the quantity."""


def energy_outliers(structures: Sequence[Labelled]) -> list[str]:
    """Structures whose energy cannot be meant beside those of the others, with the reason.

    The energy per atom is compared with what energies of atoms make of it, fitted by the sum of
    absolute deviations, in which a few wild energies do not count.
    """
    having = [s for s in structures if ENERGY.name in s.labels and len(s.atoms) > 1]
    if len(having) < 4:
        return []
    sizes = np.array([len(s.atoms) for s in having], float)
    most = max(int(s.atoms.numbers.max()) for s in having)
    counts = np.array([np.bincount(s.atoms.numbers, minlength=most + 1) for s in having], float)
    shares = counts[:, counts.any(axis=0)] / sizes[:, None]
    energies = np.array([float(s.labels[ENERGY.name]) for s in having]) / sizes
    rest = energies - shares @ _least_absolute(shares, energies)
    rest -= np.median(rest)
    spread = 1.4826 * float(np.median(np.abs(rest)))
    forces = np.array([_rms(s, FORCES.name) for s in having])
    allowed = np.maximum(max(_ENERGY, _SPREADS * spread), _REACH * forces)
    wild = np.nonzero(np.abs(rest) > allowed)[0]
    if len(wild) > max(1.0, _FEW * len(having)):
        return []  # of another code, or another kind: a group, which is remarked on
    return [
        f"{having[i].where}: the energy is {rest[i]:+.4g} eV per atom from what the others and "
        "energies of atoms explain"
        for i in wild
    ]


def _least_absolute(design: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Solution of least absolute deviations, by least squares with weights over and over."""
    weights = np.ones(len(values))
    for _ in range(50):
        root = np.sqrt(weights)
        solution = np.linalg.lstsq(root[:, None] * design, root * values, rcond=None)[0]
        weights = 1.0 / np.maximum(np.abs(values - design @ solution), 1e-6)
    return solution


def _rms(structure: Labelled, name: str) -> float:
    values = structure.labels.get(name)
    return 0.0 if values is None else float(np.sqrt(np.mean(values**2)))


def remarkable(structures: Sequence[Labelled], listed: int) -> list[str]:
    """A sentence for forces and stresses that are far larger in some structures than in the others.

    Args:
        structures: of all parts.
        listed: how many are named at most.
    """
    found = []
    for name, least in _REMARKED.items():
        having = [s for s in structures if name in s.labels]
        sizes = np.array([_rms(s, name) for s in having])
        if len(having) < 4:
            continue
        usual = float(np.quantile(sizes, 0.75))
        large = np.nonzero(sizes > max(least, _TIMES * usual))[0]
        if len(large) == 0:
            continue
        places = ", ".join(f"{having[i].where} ({sizes[i]:.3g})" for i in large[:listed])
        more = f" and {len(large) - listed} more" if len(large) > listed else ""
        found.append(
            f"RMS {name} of {places}{more} are more than {_TIMES:g} times those of most structures "
            f"({usual:.3g}); if they are not meant, take the frames out"
        )
    return found

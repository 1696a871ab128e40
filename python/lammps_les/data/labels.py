"""Reference values of structures read by ASE."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from ase import Atoms
from ase.stress import full_3x3_to_voigt_6_stress, voigt_6_to_full_3x3_stress

from lammps_les.keys import (
    BORN_EFFECTIVE_CHARGES,
    DIELECTRIC,
    DIPOLE,
    ENERGY,
    FORCES,
    LABELS,
    POLARIZABILITY,
    QUADRUPOLE,
    STRESS,
    TOTAL_CHARGE,
    VIRIAL,
    Quantity,
)
from lammps_les.units import COULOMB

_LIMITS = {
    ENERGY: 1e7,
    FORCES: 1e9,
    STRESS: 1e6,
    BORN_EFFECTIVE_CHARGES: 1e4,
    DIPOLE: 1e6,
    QUADRUPOLE: 1e9,
    POLARIZABILITY: 1e8,
}
"""Largest value of a component, of the energy per atom: far beyond all electrons of uranium, and
beyond stresses in other units, which have a remark of their own."""


POLARIZABILITY_UNITS = {POLARIZABILITY.unit: 1.0, "A^3": 1.0 / COULOMB}
"""Size in e A^2/V of the units of polarizabilities in files."""
_ROUNDING = 0.01
"""e: by which a total charge may be beyond that of all nuclei."""


def label(
    atoms: Atoms, quantity: Quantity, key: str | None = None, r_first: bool = False
) -> np.ndarray | None:
    """Reference value of a quantity, looked up in ``calc.results``, ``info`` and ``arrays``.

    Args:
        atoms: one structure.
        quantity: of ``lammps_les.keys``; says shape and unit of the result.
        key: name in the file; without one the names of the quantity are tried in order.
        r_first: the file gives Born effective charges as [atom, r component, P component].

    Returns:
        the value, or None where the file has none under any of the names.

    Raises:
        ValueError: the value is no number, has a number of elements that does not fit the
            quantity, or is not finite.
    """
    found = named(atoms, quantity, key)
    if found is None:
        return None
    name, value = found
    try:
        numbers = np.asarray(value, dtype=float)
    except (TypeError, ValueError):
        raise ValueError(
            f"label '{name}': expected {quantity.name}, numbers of shape "
            f"{label_shape(quantity, len(atoms))}, got {str(value)[:40]} ({type(value).__name__})"
        ) from None
    return _shaped(numbers, quantity, name, len(atoms), r_first)


def named(atoms: Atoms, quantity: Quantity, key: str | None = None) -> tuple[str, Any] | None:
    """Name in the file and value of a quantity as it was read; None where there is none.

    Without a key, columns of atoms are no candidates for what a structure has once: ``charge`` and
    ``virials`` are then quantities of atoms.
    """
    per_atom = quantity.shape.startswith("[N")
    for name in (key,) if key else quantity.names:
        for place in places(atoms)[: None if key or per_atom else -1]:
            if place.get(name) is not None:
                return name, place[name]
    return None


def read_labels(
    atoms: Atoms,
    keys: Mapping[str, str] | None = None,
    r_first: bool = False,
    polarizability_unit: str = POLARIZABILITY.unit,
) -> dict[str, np.ndarray]:
    """Reference values by name of the quantity, those without meaning left out.

    A virial W [eV] gives the stress -W/V: where its name in the file was given, or where the file
    has no stress. Likewise a dielectric tensor gives the polarizability (epsilon_inf - 1)
    epsilon_0 V; both are made symmetric.

    Args:
        atoms: one structure.
        keys: names in the file by name of the quantity; else the usual ones are tried.
        r_first: as for :func:`label`.
        polarizability_unit: of the polarizability in the file, a name of ``POLARIZABILITY_UNITS``.

    Raises:
        ValueError: as of :func:`label`; or a value that is larger than any calculation gives.
    """
    keys, without = keys or {}, without_meaning(atoms)
    values = {
        q.name: label(atoms, q, keys.get(q.name), r_first) for q in LABELS if q not in without
    }
    asked = VIRIAL.name in keys
    wanted = asked or (values.get(STRESS.name) is None and STRESS.name not in keys)
    if wanted and STRESS not in without and atoms.cell.rank == 3:
        virial = label(atoms, VIRIAL, keys.get(VIRIAL.name))
        if virial is not None:
            values[STRESS.name] = -virial / atoms.get_volume()
    polarizability = values.get(POLARIZABILITY.name)
    if polarizability is not None:
        values[POLARIZABILITY.name] = polarizability * POLARIZABILITY_UNITS[polarizability_unit]
    asked = DIELECTRIC.name in keys
    wanted = asked or (polarizability is None and POLARIZABILITY.name not in keys)
    if wanted and DIELECTRIC not in without and atoms.cell.rank == 3:
        dielectric = label(atoms, DIELECTRIC, keys.get(DIELECTRIC.name))
        if dielectric is not None:
            volume = atoms.get_volume() / (4.0 * np.pi * COULOMB)  # epsilon_0 V
            values[POLARIZABILITY.name] = (dielectric - np.eye(3)) * volume
    found = {name: value for name, value in values.items() if value is not None}
    _check_sizes(atoms, found)
    return found


def _check_sizes(atoms: Atoms, labels: Mapping[str, np.ndarray]) -> None:
    """Refuse labels of a size that no calculation gives."""
    electrons = float(atoms.numbers.sum())
    limits = {**_LIMITS, ENERGY: _LIMITS[ENERGY] * len(atoms), TOTAL_CHARGE: electrons}
    for quantity, limit in limits.items():
        largest = float(np.abs(labels.get(quantity.name, 0.0)).max(initial=0.0))
        if largest > limit + _ROUNDING * (quantity is TOTAL_CHARGE):
            raise ValueError(
                f"{quantity.name.replace('_', ' ')} of {largest:.4g} {quantity.unit}; expected at "
                f"most {limit:.4g}: take the frame out, or correct the label or its unit"
            )


def has_label(atoms: Atoms, key: str) -> bool:
    """Whether a file gives a structure something under a name, whatever it may mean."""
    return any(key in place for place in places(atoms))


def without_meaning(atoms: Atoms) -> tuple[Quantity, ...]:
    """Quantities that a structure with such boundaries does not have, whatever a file says."""
    return (DIPOLE, QUADRUPOLE) if atoms.pbc.any() else (STRESS, VIRIAL, DIELECTRIC)


def label_shape(quantity: Quantity, n_atoms: int) -> tuple[int, ...]:
    """Shape of a quantity of a structure of ``n_atoms`` atoms."""
    sizes = quantity.shape.strip("[]").split(", ")
    return tuple(n_atoms if size == "N" else int(size) for size in sizes if size)


def places(atoms: Atoms) -> tuple[Mapping[str, Any], ...]:
    """Where ASE puts what a file gives a structure, in the order of search."""
    return (atoms.calc.results if atoms.calc is not None else {}, atoms.info, atoms.arrays)


def _shaped(
    value: np.ndarray, quantity: Quantity, name: str, n_atoms: int, r_first: bool
) -> np.ndarray:
    if quantity is DIELECTRIC and value.size in (1, 3):
        value = value.reshape(-1) * np.eye(3)
    if quantity in (POLARIZABILITY, DIELECTRIC) and value.size == 6:
        value = voigt_6_to_full_3x3_stress(value.reshape(6))
    if quantity in (STRESS, VIRIAL) and value.size == 9:
        value = full_3x3_to_voigt_6_stress(value.reshape(3, 3))
    shape = label_shape(quantity, n_atoms)
    if value.size != np.prod(shape, dtype=int):
        raise ValueError(
            f"label '{name}': expected {quantity.name} of shape {shape}, got {value.shape}"
        )
    if not np.isfinite(value).all():
        raise ValueError(f"label '{name}': {quantity.name} holds a value that is not finite")
    value = value.reshape(shape)
    if quantity is BORN_EFFECTIVE_CHARGES and r_first:
        value = value.transpose(0, 2, 1)
    if quantity in (POLARIZABILITY, DIELECTRIC):
        value = 0.5 * (value + value.T)
    if quantity is QUADRUPOLE:
        value = value - np.trace(value) / 3.0 * np.eye(3)
    return value

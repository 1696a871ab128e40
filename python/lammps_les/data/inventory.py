"""What files of structures hold, under which names, and what of it is taken for a label."""

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from ase import Atoms

from lammps_les.data.labels import named, places, without_meaning
from lammps_les.keys import DIELECTRIC, FILE_LABELS, POLARIZABILITY, STRESS, VIRIAL, Quantity

_OF_THE_STRUCTURE = {
    "numbers",
    "positions",
    "tags",
    "momenta",
    "masses",
    "initial_magmoms",
    "initial_charges",
}
_WORDS = {
    "energy": ("energ", "toten", "etot"),
    "forces": ("force", "grad"),
    "stress": ("stress",),
    "virial": ("virial",),
    "born_effective_charges": ("bec", "born", "zstar", "z_star"),
    "dipole": ("dipole",),
    "quadrupole": ("quadrupole",),
    "total_charge": ("charge",),
    "polarizability": ("polarizab",),
    "dielectric": ("dielectric", "epsilon"),
}
"""What the names of labels have in them, by quantity."""
_QUANTITIES = {quantity.name: quantity for quantity in FILE_LABELS}


class Entry(NamedTuple):
    """What is there under a name.

    Attributes:
        key: the name.
        per_atom: whether there is one for each atom, else one for each structure.
        present: how many structures have it.
        taken: how many of them have it taken for ``quantity``.
        passed_over: how many have boundaries that leave it no meaning.
        quantity: what it is taken for; None where it is not used.
        likely: what it may be, by its name and size, where it is not used.
    """

    key: str
    per_atom: bool
    present: int
    taken: int
    passed_over: int
    quantity: str | None
    likely: str | None


def inventory(structures: Iterable[Atoms], keys: Mapping[str, str] | None = None) -> list[Entry]:
    """Everything that structures carry besides elements, positions, cells and the like.

    Args:
        structures: as ASE reads them.
        keys: names of labels by name of the quantity; else the usual ones are tried.
    """
    keys = keys or {}
    entries: dict[str, Entry] = {}
    for atoms in structures:
        taken = _taken(atoms, keys)
        without = without_meaning(atoms)
        for key, value in _values(atoms).items():
            before = entries.get(key, Entry(key, False, 0, 0, 0, None, None))
            per_atom = key in atoms.arrays or (
                key in ("forces", "charges", "magmoms", "energies", "stresses")
                and _rows(value) == len(atoms)
            )
            quantity = taken.get(key)
            over = quantity is not None and quantity in without
            entries[key] = Entry(
                key,
                per_atom,
                before.present + 1,
                before.taken + (quantity is not None and not over),
                before.passed_over + over,
                quantity.name if quantity is not None else before.quantity,
                before.likely if before.present else _likely(key, value, len(atoms)),
            )
    return sorted(entries.values(), key=lambda entry: (entry.quantity is None, not entry.likely))


def _values(atoms: Atoms) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for place in places(atoms):
        for key, value in place.items():
            if key not in _OF_THE_STRUCTURE and value is not None:
                found.setdefault(key, value)
    return found


def _rows(value: Any) -> int | None:
    """Length of an array; None of a number, and of a list of lists of unequal lengths."""
    try:
        return int(np.shape(value)[0])
    except (IndexError, ValueError):
        return None


def _taken(atoms: Atoms, keys: Mapping[str, str]) -> dict[str, Quantity]:
    """Quantity by the name in the file, as ``read_labels`` takes them."""
    found: dict[str, Quantity] = {}
    for quantity in FILE_LABELS:
        entry = named(atoms, quantity, keys.get(quantity.name))
        if entry is not None:
            found[entry[0]] = quantity
    by_quantity = {quantity: name for name, quantity in found.items()}
    if VIRIAL in by_quantity and (STRESS in by_quantity or STRESS.name in keys):
        loser = STRESS if VIRIAL.name in keys else VIRIAL
        found.pop(by_quantity.get(loser, ""), None)
    if DIELECTRIC in by_quantity and (POLARIZABILITY in by_quantity or POLARIZABILITY.name in keys):
        loser = POLARIZABILITY if DIELECTRIC.name in keys else DIELECTRIC
        found.pop(by_quantity.get(loser, ""), None)
    return found


def _likely(key: str, value: Any, n_atoms: int) -> str | None:
    try:
        numbers = np.asarray(value, dtype=float)
    except (TypeError, ValueError):
        return None
    for name, words in _WORDS.items():
        fits = numbers.size in _sizes(_QUANTITIES[name], n_atoms)
        if fits and any(word in str(key).lower() for word in words):
            return name
    return None


def _sizes(quantity: Quantity, n_atoms: int) -> tuple[int, ...]:
    """How many numbers a label may have, by the shape of its quantity."""
    size = math.prod(int(n) for n in re.findall(r"\d+", quantity.shape))
    if quantity.shape.startswith("[N"):
        return (n_atoms * size,)
    return (6, 9) if size in (6, 9) else (size,)  # symmetric tensors come in either form


def described(entries: Sequence[Entry], n: int) -> str:
    """One sentence on the labels found in ``n`` structures, and on what else is there."""
    taken = [entry for entry in entries if entry.taken]
    text = "labels found: " + (
        ", ".join(f"{e.quantity} ('{e.key}', {e.taken} of {n} structures)" for e in taken) or "none"
    )
    others = [entry for entry in entries if entry.quantity is None]
    if others:
        text += "; not used: " + ", ".join(_other(entry) for entry in others)
    return text


def _other(entry: Entry) -> str:
    kind = "per atom" if entry.per_atom else "per structure"
    if entry.likely is None:
        return f"'{entry.key}' ({kind})"
    return f"'{entry.key}' ({kind}; perhaps data.labels.{entry.likely})"


def _kind(quantity: str | None) -> str:
    """Boundaries in which a quantity means nothing."""
    return "an open" if quantity == DIELECTRIC.name else "a periodic"


def passed_over(entries: Sequence[Entry]) -> list[str]:
    """A sentence for each label that boundaries leave no meaning."""
    return [
        f"'{e.key}' of {e.passed_over} structure(s) is passed over: "
        + (
            "stresses of open structures (pbc F F F) mean nothing; if they are periodic, correct "
            "pbc in the file"
            if e.quantity in (STRESS.name, VIRIAL.name)
            else f"the {e.quantity} of {_kind(e.quantity)} structure means nothing"
        )
        for e in entries
        if e.passed_over
    ]

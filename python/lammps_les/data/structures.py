"""Reading labelled structures, and refusing those from which nothing good can be learned."""

from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np
from ase import Atoms
from ase.data import chemical_symbols

from lammps_les.data.labels import read_labels
from lammps_les.data.reading import read_frames
from lammps_les.keys import FORCES, TOTAL_CHARGE


class Labelled(NamedTuple):
    """One structure with its reference values.

    Attributes:
        atoms: the structure.
        labels: by name of the quantity (``lammps_les.keys``), in its shape and unit.
        weight: factor on its part of the loss.
        where: file and frame in it, for messages.
    """

    atoms: Atoms
    labels: dict[str, np.ndarray]
    weight: float
    where: str

    @property
    def file(self) -> str:
        """The file, as ``where`` names it."""
        return self.where.rsplit(", frame ", 1)[0]

    @property
    def frame(self) -> int:
        """Its number in the file, from 0 on."""
        return int(self.where.rsplit(", frame ", 1)[1])

    @property
    def periodic(self) -> bool:
        """Whether the boundaries are periodic (in all directions; there are no others here)."""
        return bool(self.atoms.pbc.all())

    @property
    def total_charge(self) -> float:
        """Charge of the structure [e]; 0 without a label."""
        return round(float(self.labels.get(TOTAL_CHARGE.name, 0.0)), 6)


def read_labelled(
    path: str | Path,
    keys: Mapping[str, str] | None = None,
    r_first: bool = False,
    weight: float = 1.0,
    max_force: float = 100.0,
    index: str = ":",
    name: str | None = None,
) -> list[Labelled]:
    """Read all structures of a file with ASE, and check them.

    Args:
        path: any format that ASE reads.
        keys: names of labels in the file by name of the quantity; else its aliases are tried.
        r_first: the file gives Born effective charges as [atom, r component, P component].
        weight: of these structures.
        max_force: eV/A; a force component beyond it is taken for a broken calculation.
        index: which frames, as ASE writes it.
        name: of the file in messages about its frames; default: the path.

    Raises:
        ValueError: the file cannot be read or holds nothing; a frame is broken. The message names
            file and frame.
    """
    keys = keys or {}
    found = []
    for n, atoms in read_frames(path, index):
        where = f"{name or path}, frame {n}"
        try:
            labels = read_labels(atoms, keys, r_first)
        except ValueError as error:
            raise ValueError(f"{where}: {error}") from None
        problem = _problem(atoms, labels, max_force)
        if problem:
            raise ValueError(f"{where}: {problem}")
        found.append(Labelled(atoms, labels, weight, where))
    return found


def _problem(atoms: Atoms, labels: Mapping[str, np.ndarray], max_force: float) -> str | None:
    """What is wrong with a structure, or None."""
    if len(atoms) == 0:
        return "it has no atoms"
    unknown = sorted({chemical_symbols[z] for z in atoms.numbers if z == 0})
    if unknown:
        return "an atom has no known element (symbol X)"
    if not np.isfinite(atoms.positions).all():
        return "a position is not finite"
    if atoms.pbc.any() and not atoms.pbc.all():
        return (
            f"boundary flags are {atoms.pbc.tolist()}, expected all periodic or all open; "
            "use a cell with vacuum, periodic in all directions"
        )
    if atoms.pbc.all():
        if atoms.cell.rank < 3:
            return "it is periodic but has no cell of three lattice vectors"
        if not np.isfinite(atoms.cell.array).all():
            return "the cell is not finite"
    if FORCES.name in labels:
        largest = float(np.abs(labels[FORCES.name]).max())
        if largest > max_force:
            return (
                f"a force component is {largest:.4g} eV/A, more than data.max_force "
                f"({max_force:g}); take the frame out, or raise max_force if that is real"
            )
    return None


def check_species(structures: list[Labelled], species: list[str]) -> None:
    """Refuse structures with elements that the network does not know.

    Raises:
        ValueError: names file, frame and elements.
    """
    for structure in structures:
        unknown = sorted(set(structure.atoms.get_chemical_symbols()) - set(species))
        if unknown:
            raise ValueError(
                f"{structure.where}: element {' '.join(unknown)} is not among the species of the "
                f"network, {' '.join(species)}"
            )

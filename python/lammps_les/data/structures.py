"""Reading labelled structures, and refusing those from which nothing good can be learned."""

from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np
from ase import Atoms

from lammps_les.data.geometry import check_structure
from lammps_les.data.labels import read_labels
from lammps_les.data.reading import read_frames
from lammps_les.keys import FORCES, POLARIZABILITY, TOTAL_CHARGE

_IF_REAL = "; take the frame out, or {} if that is real"


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


def read_structures(path: str | Path, index: str = ":") -> list[Atoms]:
    """Read structures with ASE, whatever labels they have, and check atoms and cells.

    Args:
        path: any format that ASE reads.
        index: which frames, as ASE writes it.

    Raises:
        ValueError: the file cannot be read or holds nothing, or a structure cannot be meant
            (``check_structure``). The message names file and frame.
    """
    found = []
    for n, atoms in read_frames(path, index):
        try:
            check_structure(atoms)
        except ValueError as error:
            raise ValueError(f"{path}, frame {n}: {error}") from None
        found.append(atoms)
    return found


def read_labelled(
    path: str | Path,
    keys: Mapping[str, str] | None = None,
    r_first: bool = False,
    weight: float = 1.0,
    max_force: float = 100.0,
    min_distance: float = 0.4,
    index: str = ":",
    name: str | None = None,
    polarizability_unit: str = POLARIZABILITY.unit,
) -> list[Labelled]:
    """Read all structures of a file with ASE, and check them.

    Args:
        path: any format that ASE reads.
        keys: names of labels in the file by name of the quantity; else its aliases are tried.
        r_first: the file gives Born effective charges as [atom, r component, P component].
        weight: of these structures.
        max_force: eV/A; a force component beyond it is taken for a broken calculation.
        min_distance: sums of the covalent radii of two atoms, below which they are too near.
        index: which frames, as ASE writes it.
        name: of the file in messages about its frames; default: the path.
        polarizability_unit: as for ``read_labels``.

    Raises:
        ValueError: the file cannot be read or holds nothing; a frame is broken. The message names
            file and frame.
    """
    keys = keys or {}
    found = []
    for n, atoms in read_frames(path, index):
        where = f"{name or path}, frame {n}"
        try:
            check_structure(atoms, min_distance, _IF_REAL.format("lower data.min_distance"))
            labels = read_labels(atoms, keys, r_first, polarizability_unit)
            _check_forces(labels, max_force)
        except ValueError as error:
            raise ValueError(f"{where}: {error}") from None
        found.append(Labelled(atoms, labels, weight, where))
    return found


def _check_forces(labels: Mapping[str, np.ndarray], max_force: float) -> None:
    if FORCES.name in labels:
        largest = float(np.abs(labels[FORCES.name]).max())
        if largest > max_force:
            raise ValueError(
                f"a force component is {largest:.4g} eV/A, more than data.max_force "
                f"({max_force:g}){_IF_REAL.format('raise max_force')}"
            )


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

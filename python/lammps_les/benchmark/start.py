"""Start structures of a benchmark: found, checked against the model, replicated."""

import itertools
import re
from dataclasses import dataclass
from pathlib import Path

import ase.io
import numpy as np
from ase import Atoms

WATER = Path(__file__).parent / "data.water"  # 192 atoms at 300 K, from lammps_examples/water_field
TOLERANCE = 0.02  # of a number of atoms, for the sake of a compact cell


@dataclass(frozen=True)
class Start:
    """A periodic structure to replicate.

    Attributes:
        atoms: positions and cell.
        name: of its file.
    """

    atoms: Atoms
    name: str

    @property
    def elements(self) -> list[str]:
        """Symbols in the order of LAMMPS's atom types."""
        return sorted(set(self.atoms.symbols))

    def write(self, path: Path) -> None:
        """Write a LAMMPS data file, atom_style atomic, units metal."""
        ase.io.write(path, self.atoms, format="lammps-data", specorder=self.elements, masses=True)


def read_start(path: Path | None, species: list[str]) -> Start:
    """Read a LAMMPS data file (with masses) or anything else that ASE reads.

    Args:
        path: None takes the box of liquid water that comes with the package.
        species: symbols that the model knows.

    Raises:
        ValueError: not readable, not periodic, or of other elements than the model.
    """
    if path is None and not {"H", "O"} <= set(species):
        raise ValueError(
            f"the start structure that is included is water, but the model is for "
            f"{' '.join(species)}; give one with --start"
        )
    path = path or WATER
    try:
        head = path.read_text(errors="replace")[:2000]
        is_data = re.search(r"^\s*\d+\s+atom types\s*$", head, re.MULTILINE) is not None
        atoms = ase.io.read(path, format="lammps-data" if is_data else None)
    except Exception as error:  # ASE's readers raise anything
        reason = " ".join(str(error).split())
        raise ValueError(f"{path} cannot be read as a structure: {reason}") from None
    if not isinstance(atoms, Atoms) or len(atoms) == 0:
        raise ValueError(f"{path} holds no atoms")
    numbers = (atoms.positions, atoms.cell.array)
    if not all(np.isfinite(values).all() for values in numbers):
        raise ValueError(f"{path} has positions or a cell that are not finite")
    if not atoms.pbc.all() or atoms.cell.rank < 3:
        raise ValueError(f"{path} is not periodic in all directions, so it cannot be replicated")
    strange = sorted(set(atoms.symbols) - set(species))
    if strange:
        raise ValueError(
            f"{path} contains {' '.join(strange)}, but the model is for {' '.join(species)}"
            + ("; does the data file have a section Masses?" if is_data else "")
        )
    plain = Atoms(atoms.symbols, atoms.positions, cell=atoms.cell, pbc=True)
    return Start(plain, path.name)


def replicas(start: Start, n_atoms: int) -> tuple[int, int, int]:
    """How often to repeat the cell along each axis for about so many atoms.

    Within 2 % of the number the most compact block is taken, else the nearest number. 10^6 atoms
    of water from a cubic cell of 192 are 17 x 17 x 18 cells with 998,784 atoms.
    """
    lengths = start.atoms.cell.lengths()
    wanted = max(1.0, n_atoms / len(start.atoms))
    most = np.ceil(3.0 * wanted ** (1 / 3) * np.cbrt(lengths.prod()) / lengths).astype(int)
    best, choice = (np.inf, np.inf), (1, 1, 1)
    for a, b in itertools.product(range(1, most[0] + 1), range(1, most[1] + 1)):
        c = max(1, round(wanted / (a * b)))
        if c > most[2]:
            continue
        off = abs(a * b * c / wanted - 1.0)
        edges = lengths * (a, b, c)
        key = (0.0 if off < TOLERANCE else off, edges.max() / edges.min())
        if key < best:
            best, choice = key, (a, b, c)
    return choice

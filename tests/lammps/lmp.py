"""Run LAMMPS on an ASE structure and read back what it computed, in ASE's frame and units."""

import os
import re
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from ase import Atoms
from ase.calculators.lammps import Prism
from ase.data import atomic_masses, atomic_numbers

BIN = Path(sys.executable).parent
KCAL_PER_MOL = 23.060549  # per eV, LAMMPS's constant


# ranks of MPICH that wait sleep: here they outnumber cores, and would keep others from these
WAITING = {
    "MPIR_CVAR_CH4_PROGRESS_THROTTLE": "true",
    "MPIR_CVAR_CH4_PROGRESS_THROTTLE_NO_PROGRESS_COUNT": "64",
}


@dataclass
class Run:
    """Outcome of one run; everything in eV, A, e, in the frame of the ASE structure."""

    returncode: int
    log: str
    prism: Prism
    values: dict[str, float] = field(default_factory=dict)  # what was printed as `VALUE name x`
    columns: dict[str, np.ndarray] = field(default_factory=dict)  # per atom, sorted by id

    def vectors(self, prefix: str) -> np.ndarray:
        """Per-atom vectors (columns prefix+x, y, z) in ASE's frame, [n, 3]."""
        rows = np.stack([self.columns[prefix + c] for c in "xyz"], axis=1)
        return self.prism.vector_to_ase(rows)

    @property
    def forces(self) -> np.ndarray:
        """Forces [n, 3], eV/A."""
        return self.vectors("f")

    @property
    def energy(self) -> float:
        """Potential energy, eV."""
        return self.values["pe"]

    @property
    def stress(self) -> np.ndarray:
        """(1/V) dE/d(strain) [3, 3], eV/A^3, from LAMMPS's virial pressure in bar."""
        p = [self.values[f"p{c}"] for c in ("xx", "yy", "zz", "xy", "xz", "yz")]
        tensor = np.array([[p[0], p[3], p[4]], [p[3], p[1], p[5]], [p[4], p[5], p[2]]])
        return -self.prism.tensor2_to_ase(tensor) / 1602176.5  # bar per eV/A^3, LAMMPS's nktv2p

    @property
    def bec(self) -> np.ndarray:
        """Born effective charges [n, 3, 3], e, in ASE's frame."""
        rows = np.stack([self.columns[f"bec{k}"] for k in range(9)], axis=1).reshape(-1, 3, 3)
        # prism.vector_to_ase is linear: its matrix turns both indices
        turn = self.prism.vector_to_ase(np.eye(3))  # rows: images of LAMMPS's axes
        return np.einsum("iab,ax,by->ixy", rows, turn, turn)


def write_data(path: Path, atoms: Atoms, elements: Sequence[str], prism: Prism) -> None:
    """Write a LAMMPS data file (atom_style atomic, metal or real units: A in both)."""
    xhi, yhi, zhi, xy, xz, yz = prism.get_lammps_prism()
    positions = prism.vector_to_lammps(atoms.get_positions(), wrap=False)
    lines = ["written by a test", "", f"{len(atoms)} atoms", f"{len(elements)} atom types", ""]
    lows = np.zeros(3)
    highs = np.array([xhi, yhi, zhi])
    if not atoms.pbc.any():
        lows = positions.min(axis=0) - 1.0
        highs = positions.max(axis=0) + 1.0
    for name, low, high in zip("xyz", lows, highs, strict=True):
        lines.append(f"{low:.16g} {high:.16g} {name}lo {name}hi")
    if atoms.pbc.any() and prism.is_skewed():
        lines.append(f"{xy:.16g} {xz:.16g} {yz:.16g} xy xz yz")
    lines += ["", "Masses", ""]
    lines += [f"{t} {atomic_masses[atomic_numbers[e]]}" for t, e in enumerate(elements, 1)]
    lines += ["", "Atoms # atomic", ""]
    for n, (symbol, r) in enumerate(zip(atoms.symbols, positions, strict=True), 1):
        lines.append(f"{n} {elements.index(symbol) + 1} " + " ".join(f"{c:.16g}" for c in r))
    if "momenta" in atoms.arrays:
        velocities = prism.vector_to_lammps(atoms.get_velocities()) * 98.22694743  # A/ps
        lines += ["", "Velocities", ""]
        lines += [f"{n} " + " ".join(f"{c:.16g}" for c in v) for n, v in enumerate(velocities, 1)]
    path.write_text("\n".join(lines) + "\n")


# of the words of compute les/atom, for each channel
WIDTHS = {"q": 1, "phi": 1, "dipole": 3, "quadrupole": 6, "alpha": 6, "dq": 1, "du": 3, "field": 3}

STRAINS = [(0, 0), (1, 1), (2, 2), (1, 2), (0, 2), (0, 1)]


def strained_both_ways(atoms: Atoms, step: float) -> list[Atoms]:
    """Copies under +step and -step of each symmetric strain of STRAINS, in this order."""
    copies = []
    for a, b in STRAINS:
        for sign in (1, -1):
            strain = np.zeros((3, 3))
            strain[a, b] += 0.5 * sign * step
            strain[b, a] += 0.5 * sign * step
            copy = atoms.copy()
            copy.set_cell(atoms.cell.array @ (np.eye(3) + strain), scale_atoms=True)
            copies.append(copy)
    return copies


def launch(
    script: Path,
    ranks: int = 1,
    environment: Mapping[str, str | None] | None = None,
    options: Sequence[str] = (),
) -> tuple[int, str]:
    """Run `lmp -in script` on some MPI ranks; return the exit status and all that was printed.

    A variable of `environment` that is None is unset.
    """
    command = ["lmp", "-in", script.name, "-log", "none", *options]
    if ranks > 1:
        command = ["mpiexec", "-n", str(ranks), *command]
    env = os.environ | {"PATH": f"{BIN}:{os.environ['PATH']}", "OMP_NUM_THREADS": "1"}
    env |= WAITING | (environment or {})
    done = subprocess.run(
        command,
        cwd=script.parent,
        env={name: value for name, value in env.items() if value is not None},
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        check=False,
        timeout=1200,
    )
    return done.returncode, done.stdout


def read_dump(path: Path) -> np.ndarray:
    """Rows of a dump file of one snapshot, in the order of the file."""
    return np.loadtxt(path.read_text().splitlines()[9:], ndmin=2)


def run(
    folder: Path,
    atoms: Atoms,
    model: Path,
    *,
    ranks: int = 1,
    style: str = "",
    potential: Sequence[str] | None = None,
    before: Sequence[str] = (),
    commands: Sequence[str] = ("run 0",),
    elements: Sequence[str] | None = None,
    quantities: str = "q phi bec",
    channels: int = 1,
    units: str = "metal",
    boundary: str | None = None,
    environment: Mapping[str, str | None] | None = None,
    check: bool = True,
) -> Run:
    """Define the system and `pair_style les STYLE`, run `commands`, dump what came out.

    Args:
        folder: Where files are written; made if absent.
        atoms: The structure.
        model: Model file.
        ranks: MPI ranks.
        style: Keywords of the pair style.
        potential: Commands in place of pair_style and pair_coeff, for instance of hybrid/overlay.
        before: Commands before the pair style (processors, newton, neighbor ...).
        commands: Commands after pair_coeff; the last must leave forces at the final positions.
        elements: Order of atom types; default: sorted symbols.
        quantities: Words for compute les/atom; none: no compute.
        channels: Charge channels of the model; several are let couple to a field.
        units: metal or real.
        boundary: Of LAMMPS; default: p p p or f f f, as the structure is.
        environment: See `launch`.
        check: Fail if LAMMPS does not end well.

    Returns:
        Energies and forces in eV and A whatever `units` is.
    """
    folder.mkdir(parents=True, exist_ok=True)
    elements = list(elements or sorted(set(atoms.symbols)))
    periodic = bool(atoms.pbc.any())
    prism = Prism(atoms.cell if periodic else np.eye(3) * 100.0, pbc=atoms.pbc)
    write_data(folder / "data.lmp", atoms, elements, prism)

    columns, spec = [], ""
    for word in quantities.split():
        columns += [f"{word}{k}" for k in range(9 if word == "bec" else WIDTHS[word] * channels)]
    if columns:
        spec = (
            "c_les"
            if len(columns) == 1
            else " ".join(f"c_les[{k + 1}]" for k in range(len(columns)))
        )
    if channels > 1:
        style += " multichannel_bec yes"
    thermo = ["pe", "evdwl", "ecoul", "pxx", "pyy", "pzz", "pxy", "pxz", "pyz"]
    script = [
        f"units {units}",
        f"boundary {boundary or ('p p p' if periodic else 'f f f')}",
        "atom_style atomic",
        *before,
        "read_data data.lmp",
        *(potential or [f"pair_style les {style}", f"pair_coeff * * {model} {' '.join(elements)}"]),
        "compute stress all pressure NULL virial",
        *([f"compute les all les/atom {quantities}"] if columns else []),
        "thermo_style custom step temp pe evdwl ecoul etotal "
        + " ".join(f"c_stress[{k}]" for k in range(1, 7)),
        "thermo_modify format float %.16g norm no",
        *commands,
        *(
            f'print "VALUE {name} $({value}:%.17g)"'
            for name, value in zip(
                thermo,
                ["pe", "evdwl", "ecoul", *(f"c_stress[{k}]" for k in range(1, 7))],
                strict=True,
            )
        ),
        f"write_dump all custom atoms.dump id x y z fx fy fz {spec} "
        "modify sort id format float %.17g",
    ]
    (folder / "in.lmp").write_text("\n".join(script) + "\n")
    returncode, log = launch(folder / "in.lmp", ranks, environment)
    result = Run(returncode, log, prism)
    if check and returncode != 0:
        raise AssertionError(f"LAMMPS ended with status {returncode}:\n{log[-4000:]}")
    if returncode != 0:
        return result
    result.values = {
        m[1]: float(m[2]) for m in re.finditer(r"^VALUE (\S+) (\S+)$", log, re.MULTILINE)
    }
    table = read_dump(folder / "atoms.dump")
    names = ["id", "x", "y", "z", "fx", "fy", "fz", *columns]
    result.columns = dict(zip(names, table.T, strict=True))
    if units == "real":
        for name in ("pe", "evdwl", "ecoul"):
            result.values[name] /= KCAL_PER_MOL
        for name in ("pxx", "pyy", "pzz", "pxy", "pxz", "pyz"):
            result.values[name] *= 1.01325  # atm to bar
        for name in ("fx", "fy", "fz"):
            result.columns[name] = result.columns[name] / KCAL_PER_MOL
    return result


def energies(
    folder: Path, structures: Sequence[Atoms], model: Path, *, ranks: int = 1, style: str = ""
) -> np.ndarray:
    """Energies [eV] of several structures of the same kind, in one process, cell and all."""
    folder.mkdir(parents=True, exist_ok=True)
    elements = sorted(set(structures[0].symbols))
    script = []
    for n, atoms in enumerate(structures):
        periodic = bool(atoms.pbc.any())
        prism = Prism(atoms.cell if periodic else np.eye(3) * 100.0, pbc=atoms.pbc)
        write_data(folder / f"data.{n}", atoms, elements, prism)
        script += [
            "clear",
            "units metal",
            f"boundary {'p p p' if periodic else 'f f f'}",
            f"read_data data.{n}",
            f"pair_style les {style}",
            f"pair_coeff * * {model} {' '.join(elements)}",
            "run 0",
            'print "ENERGY $(pe:%.17g)"',
        ]
    (folder / "in.energies").write_text("\n".join(script) + "\n")
    returncode, log = launch(folder / "in.energies", ranks)
    if returncode != 0:
        raise AssertionError(f"LAMMPS ended with status {returncode}:\n{log[-4000:]}")
    return np.array([float(m[1]) for m in re.finditer(r"^ENERGY (\S+)$", log, re.MULTILINE)])

"""Clusters that move, and the flux of heat that LAMMPS finds in them."""

from pathlib import Path

import numpy as np
import torch
from ase import Atoms, units
from generate import toy_metadata
from lmp import Run, read_dump, run

from lammps_les.models import CaceConfig, CaceNetwork, ReadoutConfig, RepresentationConfig
from lammps_les_export import write_model

BAR = 1602176.5  # per eV/A^3, LAMMPS's constant
ORDER = [(0, 0), (1, 1), (2, 2), (0, 1), (0, 2), (1, 2), (1, 0), (2, 0), (2, 1)]
COMPUTES = [
    "compute ke all ke/atom",
    "compute pe all pe/atom",
    "compute st all centroid/stress/atom NULL virial",
    "compute hf all heat/flux ke pe st",
]


def moving(atoms: Atoms, seed: int = 3) -> Atoms:
    """With velocities, of which nothing is removed."""
    rng = np.random.default_rng(seed)
    width = np.sqrt(units.kB * 500.0 / atoms.get_masses())
    atoms.set_velocities(width[:, None] * rng.normal(size=(len(atoms), 3)))
    return atoms


def opened(atoms: Atoms) -> Atoms:
    """A cluster, turned so that no axis is special."""
    atoms.pbc, atoms.cell = False, None
    atoms.rotate(37.0, (1.0, 2.0, -1.0))
    return atoms


def skewed(atoms: Atoms) -> Atoms:
    """In a triclinic cell that LAMMPS takes as it is."""
    strain = np.array([[0.02, 0.0, 0.0], [0.05, -0.01, 0.0], [-0.04, 0.06, 0.01]])
    atoms.set_cell(atoms.cell.array @ (np.eye(3) + strain), scale_atoms=True)
    return atoms


def flux(folder: Path, atoms: Atoms, model: Path, **options: object) -> tuple[Run, np.ndarray]:
    """Run; J and its convective part [6], eV A/ps, in LAMMPS's frame."""
    commands = [
        *COMPUTES,
        "thermo_style custom step pe c_hf[*]",
        "run 0",
        "write_dump all custom st.dump id c_st[*] modify sort id format float %.17g",
        'print "VALUE vol $(vol:%.17g)"',
        *(f'print "VALUE hf{k} $(c_hf[{k}]:%.17g)"' for k in range(1, 7)),
    ]
    result = run(folder, atoms, model, commands=commands, quantities="", **options)  # type: ignore[arg-type]
    return result, np.array([result.values[f"hf{k}"] for k in range(1, 7)])


def centroid_virial(folder: Path) -> np.ndarray:
    """Of the last `flux` there: [n, 3, 3], eV, direction of the flux first, in LAMMPS's frame."""
    table = read_dump(folder / "st.dump")[:, 1:] / -BAR
    out = np.zeros((len(table), 3, 3))
    for column, (a, b) in enumerate(ORDER):
        out[:, a, b] = table[:, column]
    return out


def cace(folder: Path, layers: int, separate: bool = False) -> Path:
    """A network as they are trained, of random weights; for the charges its own one, or not."""
    folder.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(2)
    environments = RepresentationConfig(
        cutoff=3.0, n_bessel=3, n_radial=4, max_l=2, max_nu=2, layers=layers
    )
    readout = ReadoutConfig(hidden=(6,), scale=3.0)
    config = CaceConfig(
        species=("H", "O"),
        representation=environments,
        energy=readout,
        charge=readout,
        charge_representation=environments if separate else None,
    )
    network = CaceNetwork(config).double()
    path = folder / "model.pt"
    write_model(path, network, toy_metadata(network, "float64"))  # type: ignore[arg-type]
    return path

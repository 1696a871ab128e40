"""Labelled periodic structures as tensors, and several of them joined into one graph."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from ase import Atoms
from torch import Tensor

from lammps_les.data.labels import label
from lammps_les.data.neighbors import neighbor_list
from lammps_les.electrostatics import wave_vector_triples
from lammps_les.keys import ENERGY, FORCES


class Frame(NamedTuple):
    """One periodic structure with N atoms, E edges and K wave vectors.

    Attributes:
        positions: [N, 3] in A.
        species: [N], index into the species of the network.
        cell: [3, 3], rows are lattice vectors [A].
        edge_index: [2, E], center and neighbor, sorted by center.
        edge_offsets: [E, 3] in A, so that r_cj = x_j - x_c + offset.
        triples: [K, 3], integer wave vectors of the long-range sum.
        energy: [], eV, reference energy without the energies of atoms.
        forces: [N, 3], eV/A, reference forces.
    """

    positions: Tensor
    species: Tensor
    cell: Tensor
    edge_index: Tensor
    edge_offsets: Tensor
    triples: Tensor
    energy: Tensor
    forces: Tensor


def atomic_energies(structures: Sequence[Atoms], species: Sequence[str]) -> dict[str, float]:
    """Energy [eV] of an atom of each species, by least squares of the energies of structures.

    Structures of one composition (water: 2 H to each O) fix only one combination of the energies;
    the solution of least norm is taken then. Energy differences at fixed composition, forces and
    pressures do not depend on the choice.

    Raises:
        ValueError: a structure has no energy.
    """
    counts = np.array([[s.symbols.count(symbol) for symbol in species] for s in structures])
    energies = [label(s, ENERGY) for s in structures]
    if any(energy is None for energy in energies):
        raise ValueError("atomic_energies: expected structures with energies, some have none")
    solution = np.linalg.lstsq(counts.astype(float), np.array(energies), rcond=None)[0]
    return dict(zip(species, solution.tolist(), strict=True))


def make_frame(
    atoms: Atoms, energies_of_atoms: dict[str, float], cutoff: float, dl: float
) -> Frame:
    """Prepare a structure, float32; its neighbors are looked up here, once.

    Args:
        atoms: periodic in all directions, with energy and forces.
        energies_of_atoms: eV, by symbol in the order of the network's species; taken off the
            energy.
        cutoff: A, of the network.
        dl: A, real-space resolution of the long-range sum.

    Raises:
        ValueError: the structure is not periodic, or has no energy or forces.
    """
    energy, forces = label(atoms, ENERGY), label(atoms, FORCES)
    if energy is None or forces is None or not atoms.pbc.all():
        raise ValueError("make_frame: expected a periodic structure with energy and forces")
    edge_index, shifts = neighbor_list(atoms.positions, atoms.cell.array, True, cutoff)
    cell = torch.from_numpy(atoms.cell.array)
    symbols = list(energies_of_atoms)
    return Frame(
        positions=torch.from_numpy(atoms.positions).float(),
        species=torch.tensor([symbols.index(symbol) for symbol in atoms.symbols]),
        cell=cell.float(),
        edge_index=edge_index,
        edge_offsets=(shifts @ cell).float(),
        triples=wave_vector_triples(cell, dl).float(),
        energy=torch.tensor(float(energy) - sum(energies_of_atoms[s] for s in atoms.symbols)),
        forces=torch.from_numpy(forces).float(),
    )


class Graph(NamedTuple):
    """Several frames as one graph without edges between them; shapes as in :class:`Frame`.

    Attributes:
        sizes: number of atoms of each frame.
    """

    positions: Tensor
    species: Tensor
    edge_index: Tensor
    edge_offsets: Tensor
    sizes: list[int]


def join(frames: Sequence[Frame]) -> Graph:
    """Join frames into one graph, atoms in the order of the frames."""
    sizes = [len(frame.species) for frame in frames]
    starts = np.cumsum([0, *sizes[:-1]]).tolist()
    return Graph(
        positions=torch.cat([frame.positions for frame in frames]),
        species=torch.cat([frame.species for frame in frames]),
        edge_index=torch.cat(
            [frame.edge_index + start for frame, start in zip(frames, starts, strict=True)], 1
        ),
        edge_offsets=torch.cat([frame.edge_offsets for frame in frames]),
        sizes=sizes,
    )

"""Labelled structures as tensors, and several of them joined into one graph."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from lammps_les.data.labels import label_shape
from lammps_les.data.neighbors import neighbor_list
from lammps_les.data.structures import Labelled
from lammps_les.electrostatics import wave_vector_triples
from lammps_les.keys import DIPOLE, ENERGY, LABELS, QUADRUPOLE, TOTAL_CHARGE, Quantity


def _rows(quantity: Quantity) -> tuple[bool, tuple[int, ...]]:
    per_atom, shape = quantity.shape.startswith("[N"), label_shape(quantity, 1)
    return per_atom, shape[1:] if per_atom else shape


LABEL_SHAPES = {q.name: _rows(q) for q in LABELS if q is not QUADRUPOLE}
"""Labels of a batch: whether there is one row for each atom (else one for each frame), and what
shape a row has."""


@dataclass(frozen=True)
class Frame:
    """One structure with N atoms and E edges.

    Attributes:
        positions: [N, 3] in A; inside the cell where there is one.
        species: [N], index into the species of the network.
        cell: [3, 3], rows are lattice vectors [A]; zero in open boundaries.
        periodic: boundaries.
        edge_index: [2, E], center and neighbor, sorted by center.
        edge_vectors: [E, 3], r_cj = x_j - x_c in A.
        edge_shifts: [E, 3], integer cell shifts of the neighbor.
        triples: [K, 3], integer wave vectors of the long-range sum; K = 0 in open boundaries
            and without charges.
        weight: factor on its part of the loss.
        labels: reference values by name, rows as ``LABEL_SHAPES`` says; the energy [eV] without
            the energies of atoms, the dipole about the mean position.
        where: file and frame in it, for messages.
    """

    positions: Tensor
    species: Tensor
    cell: Tensor
    periodic: bool
    edge_index: Tensor
    edge_vectors: Tensor
    edge_shifts: Tensor
    triples: Tensor
    weight: float
    labels: dict[str, Tensor]
    where: str


def make_frame(
    structure: Labelled,
    energies_of_atoms: Mapping[str, float],
    cutoff: float,
    dl: float | None,
    dtype: torch.dtype = torch.float32,
) -> Frame:
    """Prepare a structure; its neighbors are looked up here, once.

    Args:
        structure: periodic or open; it may lack any label.
        energies_of_atoms: eV, by symbol in the order of the network's species; taken off the
            energy.
        cutoff: A, of the network.
        dl: A, real-space resolution of the long-range sum; None where there are no charges.
        dtype: of all floating-point tensors; everything is computed in float64 before.

    Raises:
        ValueError: the cell has more wave vectors than can be, or too many neighbors.
    """
    atoms, periodic = structure.atoms, structure.periodic
    positions = atoms.get_positions(wrap=periodic)
    cell = torch.from_numpy(atoms.cell.array if periodic else np.zeros((3, 3)))
    try:
        edge_index, shifts = neighbor_list(positions, cell.numpy(), periodic, cutoff)
        triples = wave_vector_triples(cell, dl) if periodic and dl is not None else cell[:0]
    except ValueError as error:
        raise ValueError(f"{structure.where}: {error}") from None
    r = torch.from_numpy(positions)
    vectors = r[edge_index[1]] - r[edge_index[0]] + shifts @ cell
    symbols = list(energies_of_atoms)
    values = {
        name: np.asarray(value, dtype=float)
        for name, value in structure.labels.items()
        if name in LABEL_SHAPES
    }
    if DIPOLE.name in values and TOTAL_CHARGE.name in values:
        from_center_of_mass = atoms.get_center_of_mass() - atoms.positions.mean(axis=0)
        values[DIPOLE.name] = values[DIPOLE.name] + values[TOTAL_CHARGE.name] * from_center_of_mass
    if ENERGY.name in values:
        values[ENERGY.name] = values[ENERGY.name] - sum(energies_of_atoms[s] for s in atoms.symbols)
    return Frame(
        positions=r.to(dtype),
        species=torch.tensor([symbols.index(symbol) for symbol in atoms.symbols]),
        cell=cell.to(dtype),
        periodic=periodic,
        edge_index=edge_index,
        edge_vectors=vectors.to(dtype),
        edge_shifts=shifts.to(dtype),
        triples=triples.to(dtype),
        weight=structure.weight,
        labels={name: torch.as_tensor(value).to(dtype) for name, value in values.items()},
        where=structure.where,
    )


@dataclass(frozen=True)
class Batch:
    """B frames as one graph without edges between them; N atoms and E edges in all.

    Attributes:
        positions, species, edge_index, edge_vectors, edge_shifts: as in :class:`Frame`, one frame
            after the other; ``edge_index`` counts through.
        cells: [B, 3, 3].
        periodic: of each frame.
        triples: of each frame.
        weights: [B].
        sizes: number of atoms of each frame.
        n_edges: number of edges of each frame.
        frame_of_atom: [N].
        labels: by name; rows of frames that lack the label are zero.
        labelled: [B] by the same names, whether the frame has the label.
        where: of each frame.
    """

    positions: Tensor
    species: Tensor
    edge_index: Tensor
    edge_vectors: Tensor
    edge_shifts: Tensor
    cells: Tensor
    periodic: list[bool]
    triples: list[Tensor]
    weights: Tensor
    sizes: list[int]
    n_edges: list[int]
    frame_of_atom: Tensor
    labels: dict[str, Tensor]
    labelled: dict[str, Tensor]
    where: list[str]

    @property
    def atoms_per_frame(self) -> Tensor:
        """Number of atoms [B], in the floating-point type of the batch."""
        return torch.tensor(self.sizes, dtype=self.weights.dtype, device=self.weights.device)

    @property
    def total_charges(self) -> Tensor:
        """Charge of each frame [B] in e; 0 without a label."""
        return self.labels.get(TOTAL_CHARGE.name, torch.zeros_like(self.weights))

    def per_frame(self, values: Tensor) -> Tensor:
        """Sum over the atoms of each frame: [N, ...] to [B, ...]."""
        out = values.new_zeros((len(self.sizes), *values.shape[1:]))
        return out.index_add(0, self.frame_of_atom, values)

    def to(self, device: torch.device | str) -> "Batch":
        """The same batch on a device."""
        moved: dict[str, Any] = {"triples": [t.to(device) for t in self.triples]}
        for entry in fields(self):
            value = getattr(self, entry.name)
            if isinstance(value, Tensor):
                moved[entry.name] = value.to(device)
            elif isinstance(value, dict):
                moved[entry.name] = {name: tensor.to(device) for name, tensor in value.items()}
        return replace(self, **moved)


def join(frames: Sequence[Frame]) -> Batch:
    """Join frames into one graph, atoms in the order of the frames."""
    sizes = [len(frame.species) for frame in frames]
    n_edges = [frame.edge_index.size(1) for frame in frames]
    starts = np.cumsum([0, *sizes[:-1]]).tolist()
    dtype = frames[0].positions.dtype
    names = [name for name in LABEL_SHAPES if any(name in frame.labels for frame in frames)]
    labels = {}
    for name in names:
        per_atom, shape = LABEL_SHAPES[name]
        rows = [
            frame.labels.get(name, torch.zeros((size,) * per_atom + shape, dtype=dtype))
            for frame, size in zip(frames, sizes, strict=True)
        ]
        labels[name] = torch.cat(rows) if per_atom else torch.stack(rows)
    return Batch(
        positions=torch.cat([frame.positions for frame in frames]),
        species=torch.cat([frame.species for frame in frames]),
        edge_index=torch.cat(
            [frame.edge_index + start for frame, start in zip(frames, starts, strict=True)], 1
        ),
        edge_vectors=torch.cat([frame.edge_vectors for frame in frames]),
        edge_shifts=torch.cat([frame.edge_shifts for frame in frames]),
        cells=torch.stack([frame.cell for frame in frames]),
        periodic=[frame.periodic for frame in frames],
        triples=[frame.triples for frame in frames],
        weights=torch.tensor([frame.weight for frame in frames], dtype=dtype),
        sizes=sizes,
        n_edges=n_edges,
        frame_of_atom=torch.repeat_interleave(torch.arange(len(frames)), torch.tensor(sizes)),
        labels=labels,
        labelled={name: torch.tensor([name in frame.labels for frame in frames]) for name in names},
        where=[frame.where for frame in frames],
    )

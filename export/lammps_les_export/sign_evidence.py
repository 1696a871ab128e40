"""What structures tell of the signs of latent charges: Born effective charges of each channel."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import torch
from ase import Atoms
from torch import Tensor

from lammps_les.data.labels import label, without_meaning
from lammps_les.data.neighbors import neighbor_list
from lammps_les.electrostatics import (
    LongRangeParameters,
    born_effective_charges,
    born_effective_charges_by_layer,
    born_effective_charges_one_layer,
    dielectric_root,
    edge_response,
    evaluate_pieces,
    latents_of,
    long_range_response,
    unfold,
    with_dielectric,
    without_mean,
)
from lammps_les.electrostatics.born_effective_charges import is_phase_form
from lammps_les.electrostatics.system import Coupling as ChannelCoupling
from lammps_les.electrostatics.system import node_positions, system_born_charges
from lammps_les.keys import BORN_EFFECTIVE_CHARGES, DIPOLE
from lammps_les.model_file import Dielectric, ModelFileError
from lammps_les.models import Chain

POLAR = (BORN_EFFECTIVE_CHARGES, DIPOLE)
"""Labels that know the signs of charges; dipoles are looked at only where there is no other."""


class Coupling(NamedTuple):
    """How charges couple to a field; fields as in FORMAT.md.

    Attributes:
        unit: e per file unit.
        epsilon_inf: high-frequency dielectric constant or tensor, or epsilon_e with alpha.
        remove_mean: whether the mean charge is removed.
        bec_form: form of the Born effective charges.
        long_range: parameters of the sum; of use with latents beyond charges only.
    """

    unit: float
    epsilon_inf: Dielectric
    remove_mean: bool
    bec_form: str
    long_range: LongRangeParameters | None = None


@dataclass(frozen=True)
class Evidence:
    """Predictions for some structures, of each channel as if its sign were +1, beside labels.

    Attributes:
        species: symbols of the network.
        counts: [species] atoms in the structures.
        mean: [channels, species] mean of the trace / 3 of Z, in e; 0 where there is no atom.
        labelled_mean: [species] the same of labels, not a number where there is none.
        predicted: [channels, M] components of what ``label`` names, where it is labelled.
        reference: [M] its labels.
        label: name of the quantity, or "" where no structure has one.
    """

    species: list[str]
    counts: np.ndarray
    mean: np.ndarray
    labelled_mean: np.ndarray
    predicted: np.ndarray
    reference: np.ndarray
    label: str

    def mean_of(self, signs: Sequence[float]) -> dict[str, float]:
        """Mean of the trace / 3 of Z [e] by species that is there, for signs of the channels."""
        total = np.asarray(signs) @ self.mean
        return {
            symbol: float(value)
            for symbol, value, count in zip(self.species, total, self.counts, strict=True)
            if count > 0
        }


def polar_labels(atoms: Atoms) -> dict[str, np.ndarray]:
    """Born effective charges and dipole of a structure under their usual names."""
    found = {}
    for quantity in POLAR:
        if quantity not in without_meaning(atoms):
            value = label(atoms, quantity)
            if value is not None:
                found[quantity.name] = value
    return found


def a_few(structures: Sequence[Any], at_most: int = 20, n_atoms: int = 1000) -> list[Any]:
    """Some of many structures, evenly chosen: enough for means, and quick.

    Args:
        structures: with a length, or with ``atoms`` that have one.
        at_most: how many.
        n_atoms: no further ones where those before have so many atoms.
    """
    chosen: list[Any] = []
    atoms = 0
    for structure in structures[:: max(1, -(-len(structures) // at_most))]:
        if atoms >= n_atoms:
            break
        chosen.append(structure)
        atoms += len(getattr(structure, "atoms", structure))
    return chosen


def gather(
    network: Chain,
    structures: Sequence[Atoms],
    coupling: Coupling,
    labels: Sequence[Mapping[str, np.ndarray]] | None = None,
) -> Evidence:
    """Evaluate a network for what tells the signs of its charges.

    Args:
        network: in float64.
        structures: periodic or open.
        coupling: of the charges.
        labels: of each structure, by name of the quantity; without them there are none.

    Raises:
        ModelFileError: an element that the network does not know.
    """
    labels = labels or [{}] * len(structures)
    names = [q.name for q in POLAR if any(q.name in of_one for of_one in labels)]
    chosen = names[0] if names else ""
    species, channels = list(network.species), network.channels
    sums, counts = np.zeros((channels, len(species))), np.zeros(len(species))
    labelled, n_labelled = np.zeros(len(species)), np.zeros(len(species))
    predicted, reference = [np.zeros((channels, 0))], [np.zeros(0)]
    for atoms, of_one in zip(structures, labels, strict=True):
        index = species_index(network, atoms)
        dipoles, tensors = _by_channel(network, atoms, index, coupling)
        np.add.at(counts, index, 1.0)
        for channel in range(channels):
            np.add.at(sums[channel], index, _trace(tensors[channel]))
        if BORN_EFFECTIVE_CHARGES.name in of_one:
            np.add.at(labelled, index, _trace(of_one[BORN_EFFECTIVE_CHARGES.name]))
            np.add.at(n_labelled, index, 1.0)
        if chosen in of_one:
            reference.append(of_one[chosen].ravel())
            if chosen == BORN_EFFECTIVE_CHARGES.name:
                predicted.append(tensors.reshape(channels, -1))
            else:
                predicted.append(dipoles)
    with np.errstate(invalid="ignore"):
        labelled_mean = labelled / np.where(n_labelled > 0, n_labelled, np.nan)
    return Evidence(
        species,
        counts,
        sums / np.maximum(counts, 1.0),
        labelled_mean,
        np.concatenate(predicted, axis=1),
        np.concatenate(reference),
        chosen,
    )


def species_index(network: Chain, atoms: Atoms) -> np.ndarray:
    """Places of the elements of a structure among the species of a network.

    Raises:
        ModelFileError: an element that the network does not know.
    """
    species, symbols = list(network.species), atoms.get_chemical_symbols()
    unknown = sorted(set(symbols) - set(species))
    if unknown:
        raise ModelFileError(
            f"the model has species {' '.join(species)}; a structure has {' '.join(unknown)}"
        )
    return np.array([species.index(symbol) for symbol in symbols], dtype=np.int64)


def _trace(tensors: np.ndarray) -> np.ndarray:
    return np.trace(tensors, axis1=1, axis2=2) / 3.0


def _by_channel(
    network: Chain, atoms: Atoms, index: np.ndarray, coupling: Coupling
) -> tuple[np.ndarray, np.ndarray]:
    """Dipole [C, 3] in e A, about the mean position, and Born effective charges [C, N, 3, 3]."""
    cell, periodic = torch.from_numpy(atoms.cell.array.copy()), bool(atoms.pbc.all())
    n, form, remove_mean = len(atoms), coupling.bec_form, coupling.remove_mean
    edge_index, shifts = neighbor_list(atoms.positions, atoms.cell.array, periodic, network.cutoff)
    r = torch.from_numpy(atoms.positions.copy())
    species = torch.from_numpy(index)
    if len(network.latent_names) > 1:
        return _with_multipoles(network, r, species, cell, periodic, edge_index, shifts, coupling)
    edges = r[edge_index[1]] - r[edge_index[0]] + shifts @ cell
    edges.requires_grad_(True)
    if network.layers == 1:
        charges = coupling.unit * network(edges, edge_index, species, n)["charge"]

        def tensor(q: Tensor) -> Tensor:
            return born_effective_charges_one_layer(
                q, edges, edge_index, r, cell, periodic, remove_mean, form
            )
    elif not (periodic and is_phase_form(form)):
        piece: Any = network.piece  # nn.Module does not know it
        found = evaluate_pieces(piece, network.layers, edges, edge_index, species)
        charges = coupling.unit * found[-1].outputs[1]

        def tensor(q: Tensor) -> Tensor:
            response = edge_response(q, found, edge_index, False)
            diagonal = without_mean(q, remove_mean)[:, None, None] * torch.eye(3, dtype=q.dtype)
            return diagonal + born_effective_charges_by_layer(response, edges, edge_index, n)
    else:
        graph = unfold(edge_index, shifts, n, network.layers)
        nodes = (r[graph.owner] + graph.shifts.to(cell.dtype) @ cell).requires_grad_(True)
        vectors = nodes[graph.edge_index[1]] - nodes[graph.edge_index[0]]
        latent = network(vectors, graph.edge_index, species[graph.owner], n)
        charges = coupling.unit * latent["charge"]

        def tensor(q: Tensor) -> Tensor:
            return born_effective_charges(q, nodes, graph.owner, cell, periodic, remove_mean, form)

    tensors = [tensor(charges[:, channel]).detach() for channel in range(network.channels)]
    bare = torch.stack(tensors) if tensors else torch.zeros((0, n, 3, 3))
    root = dielectric_root(coupling.epsilon_inf)
    neutral = charges.detach() - charges.detach().mean(dim=0)
    return (neutral.T @ r).numpy(), with_dielectric(bare, root).numpy()


def _with_multipoles(
    network: Chain,
    r: Tensor,
    species: Tensor,
    cell: Tensor,
    periodic: bool,
    edge_index: Tensor,
    shifts: Tensor,
    coupling: Coupling,
) -> tuple[np.ndarray, np.ndarray]:
    """The same of a network with latents beyond charges; channels do not answer each other."""
    assert coupling.long_range is not None
    graph = unfold(edge_index, shifts, len(r), network.layers)
    nodes = node_positions(graph, r, cell)
    vectors = nodes[graph.edge_index[1]] - nodes[graph.edge_index[0]]
    latents = latents_of(network(vectors, graph.edge_index, species[graph.owner], len(r)))
    response = long_range_response(r, latents, cell, periodic, coupling.long_range)
    zero = torch.zeros_like(latents.charge)[:, :, None].expand(-1, -1, 3)
    charges, dipoles = latents.charge, zero if latents.dipole is None else latents.dipole
    if response.charge_induced is not None:
        charges = charges + response.charge_induced
    if response.dipole_induced is not None:
        dipoles = dipoles + response.dipole_induced
    moments = (charges - charges.mean(dim=0)).T @ r + dipoles.sum(dim=0)
    tensors = []
    for sign in torch.eye(network.channels, dtype=torch.float64):
        root = dielectric_root(coupling.epsilon_inf)
        one = ChannelCoupling(coupling.unit, sign, None, root, coupling.remove_mean)
        tensors.append(
            system_born_charges(
                latents,
                nodes,
                graph.owner,
                cell,
                periodic,
                coupling.long_range,
                one,
                coupling.bec_form,
            ).detach()
        )
    return coupling.unit * moments.detach().numpy(), torch.stack(tensors).numpy()

"""The physical sign of latent charges, which the energy does not know."""

from collections.abc import Sequence

import numpy as np
import torch
from ase import Atoms

from lammps_les.data.neighbors import neighbor_list
from lammps_les.model_file import ModelFileError
from lammps_les.models import LesNetwork
from lammps_les_export.electronegativity import PAULING

_ADVICE = "give --structures FILE with typical structures, or --charge-sign +1 or -1"


def mean_charges(network: LesNetwork, structures: Sequence[Atoms]) -> tuple[np.ndarray, np.ndarray]:
    """Mean charge of each species and how many atoms of it there are.

    Args:
        network: in float64, with attributes ``species``, ``cutoff`` and ``channels``.
        structures: periodic or open.

    Returns:
        [species, channels] in file units (zero where there is no atom), [species].

    Raises:
        ModelFileError: an element that the network does not know.
    """
    species = list(network.species)
    sums = np.zeros((len(species), network.channels))
    counts = np.zeros(len(species))
    for atoms in structures:
        symbols = atoms.get_chemical_symbols()
        unknown = sorted(set(symbols) - set(species))
        if unknown:
            raise ModelFileError(
                f"the model has species {' '.join(species)}; a structure has {' '.join(unknown)}"
            )
        index = np.array([species.index(symbol) for symbol in symbols])
        periodic = bool(atoms.pbc.all())
        edge_index, shifts = neighbor_list(
            atoms.positions, atoms.cell.array, periodic, network.cutoff
        )
        r = torch.from_numpy(atoms.positions)
        edges = r[edge_index[1]] - r[edge_index[0]] + shifts @ torch.from_numpy(atoms.cell.array)
        with torch.no_grad():
            latent = network(edges, edge_index, torch.from_numpy(index), len(atoms))
        np.add.at(sums, index, latent["charge"].numpy())
        np.add.at(counts, index, 1.0)
    return sums / np.maximum(counts, 1.0)[:, None], counts


def decide_charge_signs(
    network: LesNetwork, structures: Sequence[Atoms], minimum: float = 0.5
) -> list[float]:
    """Signs [channels] that make the more electronegative species the more negative ones.

    For each channel the correlation, weighted by the number of atoms, between the mean charge of a
    species and its Pauling electronegativity decides.

    Args:
        network: as in ``mean_charges``.
        structures: typical of what the model was trained on.
        minimum: a correlation weaker than this decides nothing.

    Raises:
        ModelFileError: the sign of a channel cannot be decided; says why and what to do.
    """
    means, counts = mean_charges(network, structures)
    known = np.array([s in PAULING for s in network.species]) & (counts > 0)
    if known.sum() < 2:
        raise ModelFileError(
            "the sign of the charges cannot be decided: the structures hold fewer than two species "
            f"of known electronegativity; {_ADVICE}"
        )
    symbols = [symbol for symbol, use in zip(network.species, known, strict=True) if use]
    weight = counts[known] / counts[known].sum()
    scale = np.array([PAULING[symbol] for symbol in symbols])
    scale = scale - weight @ scale
    signs = []
    for channel in range(network.channels):
        q = means[known, channel] - weight @ means[known, channel]
        spread = np.sqrt((weight @ q**2) * (weight @ scale**2))
        correlation = (weight @ (q * scale)) / spread if spread > 0 else 0.0
        if abs(correlation) < minimum:
            listed = ", ".join(
                f"{symbol} {mean:.3g}"
                for symbol, mean in zip(symbols, means[known, channel], strict=True)
            )
            raise ModelFileError(
                f"the sign of charge channel {channel + 1} cannot be decided: mean charges "
                f"{listed} (file units) do not follow the electronegativities; {_ADVICE}"
            )
        signs.append(-1.0 if correlation > 0 else 1.0)
    return signs


def water_molecule(network: LesNetwork) -> list[Atoms]:
    """A structure in which a model of hydrogen and oxygen with one charge shows its sign.

    With several channels a molecule does not do: they share the charge out as they like, and a
    small one may turn its sign between gas and liquid.

    Raises:
        ModelFileError: the network has other species or several channels.
    """
    if set(network.species) != {"H", "O"} or network.channels != 1:
        raise ModelFileError(
            "the sign of the charges cannot be decided without structures for species "
            f"{' '.join(network.species)} and {network.channels} channel(s); {_ADVICE}"
        )
    return [Atoms("OHH", [[0.0, 0.0, 0.0], [0.757, 0.586, 0.0], [-0.757, 0.586, 0.0]])]

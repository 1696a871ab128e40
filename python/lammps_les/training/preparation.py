"""From a configuration to structures as tensors and a network to train."""

from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from lammps_les.data.atomic_energies import fit_atomic_energies, isolated_atomic_energies
from lammps_les.data.splits import PARTS
from lammps_les.data.structures import Labelled, check_species
from lammps_les.keys import BORN_EFFECTIVE_CHARGES, ENERGY
from lammps_les.model_file import DTYPES
from lammps_les.models import Chain
from lammps_les.training.charge_signs import settle_signs
from lammps_les.training.config import NO_CITATION, RunConfig
from lammps_les.training.doubts import data_doubts
from lammps_les.training.frames import Frame, join, make_frame
from lammps_les.training.losses import used_quantities
from lammps_les.training.parts import check_labels, labels_found, read_data
from lammps_les.training.physics import Physics
from lammps_les.training.prediction import predict
from lammps_les.training.response import check_loss
from lammps_les.training.start import initial_network


@dataclass(frozen=True)
class Prepared:
    """All that a training starts from.

    Attributes:
        network: with initial weights.
        physics: of the model.
        atomic_energies: eV by symbol.
        sign_origin: where the signs of the charges come from, "" if nowhere (``settle_signs``).
        total_charges: [e] of all structures, the most frequent first, where the model depends on
            them; else empty.
        structures: by part of the data.
        frames: the same as tensors.
        bec_fitted: whether Born effective charges are fitted here, or were in the initial network.
        citation: of data and method, that of the initial network included.
        notes: one sentence for each decision that the configuration left open.
    """

    network: Chain
    physics: Physics
    atomic_energies: dict[str, float]
    sign_origin: str
    total_charges: list[float]
    structures: dict[str, list[Labelled]]
    frames: dict[str, list[Frame]]
    bec_fitted: bool
    citation: str
    notes: list[str]


def prepare(config: RunConfig, folder: Path) -> Prepared:
    """Read data, build or load the network, settle charges and atomic energies.

    Args:
        config: of the run.
        folder: to which paths in it are relative.

    Raises:
        ValueError: data, network and configuration do not go together; says how.
    """
    parts = read_data(config, folder)
    notes: list[str] = []
    everything = [structure for part in PARTS for structure in parts[part]]
    check_labels(config, parts)
    notes += labels_found(config, parts)
    notes += data_doubts(config, parts)
    dtype = DTYPES[config.dtype]
    torch.manual_seed(config.seed)
    network, physics, suggested = initial_network(config, folder, everything, notes)
    check_species(everything, network.species)
    check_loss(config, network)
    network = network.to(dtype)

    # energies of atoms depend on the sign where charges are drawn to a total charge
    physics, origin = settle_signs(config, network, physics, parts, suggested, notes)
    energies = _atomic_energies(config, parts, network, physics, suggested, notes)
    dl = _resolution(network, physics)
    frames = {
        name: [make_frame(s, energies, network.cutoff, dl, dtype) for s in part]
        for name, part in parts.items()
    }
    charges: list[float] = []
    if network.needs_total_charge or physics.exact_total_charge:
        counted = Counter(structure.total_charge for structure in everything)
        charges = [charge for charge, _ in counted.most_common()]
    given = [
        c for c in (config.citation, suggested.get("citation")) if c not in (None, NO_CITATION)
    ]
    citation = "; ".join(dict.fromkeys(given)) or NO_CITATION
    bec = BORN_EFFECTIVE_CHARGES.name
    fitted = bec in used_quantities(config.loss) and any(
        bec in structure.labels for structure in parts["training"]
    )
    return Prepared(
        network=network,
        physics=physics,
        atomic_energies=energies,
        sign_origin=origin,
        total_charges=charges,
        structures=parts,
        frames=frames,
        bec_fitted=fitted or suggested.get("bec_fitted", False),
        citation=citation,
        notes=notes,
    )


def _resolution(network: Chain, physics: Physics) -> float | None:
    """Of the long-range sum [A]; None where there is none."""
    return physics.long_range.dl if network.channels > 0 else None


def _atomic_energies(
    config: RunConfig,
    parts: dict[str, list[Labelled]],
    network: Chain,
    physics: Physics,
    suggested: dict[str, Any],
    notes: list[str],
) -> dict[str, float]:
    species, wish, training = network.species, config.data.atomic_energies, parts["training"]
    if isinstance(wish, dict):
        absent = [symbol for symbol in species if symbol not in wish]
        if absent:
            raise ValueError(f"data.atomic_energies: no value for {', '.join(absent)}")
        return {symbol: float(wish[symbol]) for symbol in species}
    if wish == "isolated":
        everywhere = [structure for part in parts.values() for structure in part]
        return isolated_atomic_energies(everywhere, species, network.cutoff)
    if not any(ENERGY.name in structure.labels for structure in training):
        notes.append("no structure has an energy; energies of atoms are set to 0")
        return suggested.get("atomic_energies") or dict.fromkeys(species, 0.0)
    if config.init_from is None:
        return fit_atomic_energies(training, species)
    # the energies that the network does not account for yet
    zero = dict.fromkeys(species, 0.0)
    dl = _resolution(network, physics)
    predicted = []
    for structure in training:
        frame = make_frame(structure, zero, network.cutoff, dl, DTYPES[config.dtype])
        with torch.no_grad():
            energy = predict(network, join([frame]), physics, [ENERGY.name])[ENERGY.name]
        predicted.append(float(energy))
    notes.append("energies of atoms are fitted to what the initial network leaves over")
    return fit_atomic_energies(training, species, predicted)

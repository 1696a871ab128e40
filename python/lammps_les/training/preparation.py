"""From a configuration to structures as tensors and a network to train."""

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch

from lammps_les.data.atomic_energies import fit_atomic_energies, isolated_atomic_energies
from lammps_les.data.frames import Frame, join, make_frame
from lammps_les.data.splits import PARTS, check_indices, split_by_fraction
from lammps_les.data.structures import Labelled, check_species, read_labelled
from lammps_les.electrostatics import LongRangeParameters
from lammps_les.keys import BORN_EFFECTIVE_CHARGES, DIPOLE, ENERGY, TOTAL_CHARGE
from lammps_les.models import LesNetwork, NetworkConfig
from lammps_les.training.config import NO_CITATION, RunConfig
from lammps_les.training.config_file import nearest
from lammps_les.training.losses import used_quantities
from lammps_les.training.prediction import Physics, predict
from lammps_les.units import NORM_COULOMB
from lammps_les_export.convert import import_model

DTYPES = {"float32": torch.float32, "float64": torch.float64}


@dataclass(frozen=True)
class Prepared:
    """All that a training starts from.

    Attributes:
        network: with initial weights.
        physics: of the model.
        atomic_energies: eV by symbol.
        sign_decided: whether the sign of the charges is known already.
        total_charges: [e] of all structures, the most frequent first, where the model depends on
            them; else empty.
        structures: by part of the data.
        frames: the same as tensors.
        citation: of data and method, that of the initial network included.
        notes: one sentence for each decision that the configuration left open.
    """

    network: LesNetwork
    physics: Physics
    atomic_energies: dict[str, float]
    sign_decided: bool
    total_charges: list[float]
    structures: dict[str, list[Labelled]]
    frames: dict[str, list[Frame]]
    citation: str
    notes: list[str]


def read_data(config: RunConfig, folder: Path) -> dict[str, list[Labelled]]:
    """Read all files and deal their structures out; paths are relative to ``folder``.

    Raises:
        ValueError: a file or a structure is refused; a part stays empty.
    """
    parts: dict[str, list[Labelled]] = {name: [] for name in PARTS}
    pool: list[Labelled] = []
    keys = {name: key for name, key in config.data.labels.model_dump().items() if key is not None}
    for file in config.data.files:
        found = read_labelled(
            folder / file.path,
            keys,
            config.data.bec_order == "r-first",
            file.weight,
            config.data.max_force,
            file.frames,
        )
        (pool if file.part == "split" else parts[file.part]).extend(found)
    if pool:
        for name, indices in zip(PARTS, _split(config, len(pool), parts), strict=True):
            parts[name] += [pool[i] for i in indices]
    for name in ("training", "validation"):
        if not parts[name]:
            raise ValueError(f"no structures for {name}; see data.files and data.split")
    return parts


def _split(config: RunConfig, n: int, given: dict[str, list[Labelled]]) -> Sequence[Sequence[int]]:
    split = config.data.split
    if isinstance(split.validation, list) and isinstance(split.test, list):
        held_out = {*split.validation, *split.test}
        training = split.training
        if training is None:
            training = [i for i in range(n) if i not in held_out]
        indices = (training, split.validation, split.test)
        check_indices(n, indices)
        return indices
    assert not isinstance(split.validation, list)
    assert not isinstance(split.test, list)
    # a part that has files of its own takes nothing from the others
    validation = 0.0 if given["validation"] else split.validation
    test = 0.0 if given["test"] else split.test
    if validation == 0.0 and given["validation"]:
        if test == 0.0:
            return (list(range(n)), [], [])
        training, held, rest = split_by_fraction(n, test, 0.0, split.seed)
        return training, rest, held
    return split_by_fraction(n, validation, test, split.seed)


def prepare(config: RunConfig, folder: Path) -> Prepared:
    """Read data, build or load the network, settle atomic energies and charges.

    Args:
        config: of the run.
        folder: to which paths in it are relative.

    Raises:
        ValueError: data, network and configuration do not go together; says how.
    """
    parts = read_data(config, folder)
    notes: list[str] = []
    everything = [structure for part in PARTS for structure in parts[part]]
    _check_labels(config, parts)
    dtype = DTYPES[config.dtype]
    torch.manual_seed(config.seed)
    suggested: dict = {}
    if config.init_from is None:
        network, physics = _fresh(config, everything)
    else:
        network, physics, suggested = _loaded(config, folder)
    check_species(everything, network.species)
    network = network.to(dtype)
    _freeze(network, config.freeze)

    energies = _atomic_energies(config, parts["training"], network, physics, suggested, notes)
    frames = {
        name: [make_frame(s, energies, network.cutoff, physics.long_range.dl, dtype) for s in part]
        for name, part in parts.items()
    }
    physics, decided = _settle_sign(
        config, network, physics, frames["training"], everything, suggested
    )
    charges: list[float] = []
    if network.needs_total_charge or physics.exact_total_charge:
        counted = Counter(structure.total_charge for structure in everything)
        charges = [charge for charge, _ in counted.most_common()]
    given = [
        c for c in (config.citation, suggested.get("citation")) if c not in (None, NO_CITATION)
    ]
    citation = "; ".join(dict.fromkeys(given)) or NO_CITATION
    return Prepared(network, physics, energies, decided, charges, parts, frames, citation, notes)


def _check_labels(config: RunConfig, parts: dict[str, list[Labelled]]) -> None:
    """Every quantity with a weight must have labels, in training and in validation."""
    for name in used_quantities(config.loss):
        if name == TOTAL_CHARGE.name and config.charges.total_charge == "penalty":
            continue
        for part in ("training", "validation"):
            if not any(name in structure.labels for structure in parts[part]):
                raise ValueError(
                    f"loss.weights.{name} is not 0, but no structure for {part} has a label for "
                    f"it; give its name in data.labels.{name}, or set the weight to 0"
                )
    used = [BORN_EFFECTIVE_CHARGES.name, DIPOLE.name, TOTAL_CHARGE.name]
    if config.init_from is None and config.network.channels == 0:
        for name in set(used) & set(used_quantities(config.loss)):
            raise ValueError(f"loss.weights.{name} needs charges, but network.channels is 0")


def _fresh(config: RunConfig, structures: Sequence[Labelled]) -> tuple[LesNetwork, Physics]:
    section, far = config.network, config.long_range
    present = {symbol for s in structures for symbol in s.atoms.get_chemical_symbols()}
    network_config = NetworkConfig(
        species=tuple(section.species or sorted(present)),
        channels=section.channels,
        representation=section.representation,
        energy=section.energy,
        charge=section.charge,
        charge_representation=section.charge_representation,
    )
    network = LesNetwork(network_config)
    parameters = LongRangeParameters(far.sigma, far.dl, far.norm, far.remove_self, 1.0)
    physics = Physics(
        long_range=parameters,
        # a charge in file units has the Coulomb energy of the charge in e
        charge_unit=math.sqrt(far.norm / NORM_COULOMB),
        charge_sign=(1.0,) * section.channels,
        epsilon_inf=config.charges.epsilon_inf,
        remove_mean=config.charges.remove_mean,
        born=config.charges.born,
        layers=network.layers,
        exact_total_charge=config.charges.total_charge == "exact",
    )
    return network, physics


def _loaded(config: RunConfig, folder: Path) -> tuple[LesNetwork, Physics, dict]:
    assert config.init_from is not None
    path = folder / config.init_from
    imported = import_model(path if path.exists() else config.init_from)
    meta, suggested = imported.metadata, dict(imported.suggested)
    suggested["citation"] = meta["provenance"]["citation"]
    charges, given = config.charges, config.charges.model_fields_set
    physics = Physics(
        long_range=LongRangeParameters(
            sigma=meta["sigma"],
            dl=meta["dl"],
            norm=meta["norm"],
            remove_self=meta["remove_self"],
            self_factor=meta["self_factor"],
            open_shift=meta.get("open_shift", 0.0),
        ),
        charge_unit=meta["charge_unit"],
        charge_sign=(1.0,) * meta["channels"],
        epsilon_inf=(
            charges.epsilon_inf
            if "epsilon_inf" in given
            else suggested.get("epsilon_inf") or charges.epsilon_inf
        ),
        remove_mean=charges.remove_mean if "remove_mean" in given else meta["remove_mean"],
        born=charges.born,
        layers=meta["layers"],
        exact_total_charge=(
            charges.total_charge == "exact"
            if "total_charge" in given
            else meta.get("total_charge") is not None
        ),
    )
    if physics.exact_total_charge and meta["channels"] != 1:
        raise ValueError(
            f"charges.total_charge: exact is for one charge channel; {config.init_from} has "
            f"{meta['channels']}"
        )
    return imported.network.train().requires_grad_(True), physics, suggested


def _freeze(network: LesNetwork, beginnings: Sequence[str]) -> None:
    names = [name for name, _ in network.named_parameters()]
    for beginning in beginnings:
        if not any(name == beginning or name.startswith(f"{beginning}.") for name in names):
            parts = sorted({name.rsplit(".", n)[0] for name in names for n in (0, 1, 2)})
            raise ValueError(
                f"freeze: the network has no part '{beginning}'{nearest(beginning, parts)} "
                f"Its parts: {', '.join(sorted({name.split('.')[0] for name in names}))}"
            )
    for name, parameter in network.named_parameters():
        if any(name == b or name.startswith(f"{b}.") for b in beginnings):
            parameter.requires_grad_(False)
    if not any(parameter.requires_grad for parameter in network.parameters()):
        raise ValueError("freeze: nothing is left to train")


def _atomic_energies(
    config: RunConfig,
    training: Sequence[Labelled],
    network: LesNetwork,
    physics: Physics,
    suggested: dict,
    notes: list[str],
) -> dict[str, float]:
    species, wish = network.species, config.data.atomic_energies
    if isinstance(wish, dict):
        absent = [symbol for symbol in species if symbol not in wish]
        if absent:
            raise ValueError(f"data.atomic_energies: no value for {', '.join(absent)}")
        return {symbol: float(wish[symbol]) for symbol in species}
    if wish == "isolated":
        return isolated_atomic_energies(training, species)
    if not any(ENERGY.name in structure.labels for structure in training):
        notes.append("no structure has an energy; energies of atoms are set to 0")
        return suggested.get("atomic_energies") or dict.fromkeys(species, 0.0)
    if config.init_from is None:
        return fit_atomic_energies(training, species)
    # the energies that the network does not account for yet
    zero = dict.fromkeys(species, 0.0)
    predicted = []
    for structure in training:
        frame = make_frame(
            structure, zero, network.cutoff, physics.long_range.dl, DTYPES[config.dtype]
        )
        with torch.no_grad():
            energy = predict(network, join([frame]), physics, [ENERGY.name])[ENERGY.name]
        predicted.append(float(energy))
    notes.append("energies of atoms are fitted to what the initial network leaves over")
    return fit_atomic_energies(training, species, predicted)


def _settle_sign(
    config: RunConfig,
    network: LesNetwork,
    physics: Physics,
    frames: Sequence[Frame],
    structures: Sequence[Labelled],
    suggested: dict,
) -> tuple[Physics, bool]:
    """Signs of the charges, and whether they are settled before the training.

    They are where labels know them: Born effective charges, dipoles, or a total charge that is not
    zero and is asked of the charges.
    """
    channels = len(physics.charge_sign)
    name = BORN_EFFECTIVE_CHARGES.name
    if isinstance(config.charges.sign, list):
        if len(config.charges.sign) != channels:
            raise ValueError(f"charges.sign: expected one for each of {channels} channels")
        return replace(physics, charge_sign=tuple(map(float, config.charges.sign))), True
    signs = tuple(map(float, suggested.get("charge_sign") or (1.0,) * channels))
    physics = replace(physics, charge_sign=signs)
    polar = {name, DIPOLE.name} & set(used_quantities(config.loss))
    asked = physics.exact_total_charge or config.charges.total_charge == "penalty"
    charged = asked and any(structure.total_charge != 0.0 for structure in structures)
    if not (polar or charged) or channels == 0:
        return physics, channels == 0
    if config.init_from is None:
        return physics, True  # the labels draw fresh charges to their sign
    if not polar:
        if "charge_sign" not in suggested:
            raise ValueError(
                f"the total charges need the sign of the charges, which {config.init_from} does "
                "not state; give charges.sign"
            )
        return physics, True
    overlap = 0.0
    for frame in [f for f in frames if polar & set(f.labels)][:4]:
        predicted = predict(network, join([frame]), physics, polar)
        overlap += sum(
            float((predicted[label].detach() * frame.labels[label]).sum())
            for label in polar & {*frame.labels}
        )
    if overlap < 0.0:
        physics = replace(physics, charge_sign=tuple(-sign for sign in signs))
    return physics, True


def composition(structures: Sequence[Labelled]) -> dict[str, int]:
    """Number of atoms of each element in all structures."""
    symbols = np.concatenate([s.atoms.get_chemical_symbols() for s in structures])
    names, counts = np.unique(symbols, return_counts=True)
    return dict(zip(names.tolist(), counts.tolist(), strict=True))

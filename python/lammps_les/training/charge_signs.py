"""The signs of the charges, as far as they are known before the training."""

import copy
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from lammps_les.data.frames import join, make_frame
from lammps_les.data.structures import Labelled
from lammps_les.keys import BORN_EFFECTIVE_CHARGES, DIPOLE
from lammps_les.model_file import DTYPES, ModelFileError
from lammps_les.models import LesNetwork
from lammps_les.training.config import RunConfig
from lammps_les.training.losses import used_quantities
from lammps_les.training.prediction import Physics, predict
from lammps_les_export.charge_sign import decide_charge_signs


def settle_signs(
    config: RunConfig,
    network: LesNetwork,
    physics: Physics,
    parts: Mapping[str, Sequence[Labelled]],
    suggested: Mapping[str, Any],
    notes: list[str],
) -> tuple[Physics, bool]:
    """Signs of the charges, and whether they are settled before the training.

    They are where the configuration gives them, where labels know them (Born effective charges,
    dipoles, or a total charge that is not zero and is asked of the charges), and where the initial
    network states them.

    Args:
        config: of the run.
        network: with initial weights.
        physics: of the model.
        parts: structures by part of the data.
        suggested: what the initial network states.
        notes: gets a sentence where electronegativities speak against a sign that is kept.

    Raises:
        ValueError: another number of signs than channels, or a sign that is needed and not known.
    """
    channels = len(physics.charge_sign)
    given = config.charges.sign
    if isinstance(given, list):
        if len(given) != channels:
            raise ValueError(f"charges.sign: expected one for each of {channels} channels")
        return replace(physics, charge_sign=tuple(map(float, given))), True
    if channels == 0:
        return physics, True
    polar = {BORN_EFFECTIVE_CHARGES.name, DIPOLE.name} & set(used_quantities(config.loss))
    asked = physics.exact_total_charge or config.charges.total_charge == "penalty"
    charged = asked and any(s.total_charge != 0.0 for part in parts.values() for s in part)
    if config.init_from is None:
        return physics, bool(polar or charged)  # labels draw fresh charges to their sign
    stated = "charge_sign" in suggested
    if stated:
        physics = replace(physics, charge_sign=tuple(map(float, suggested["charge_sign"])))
    if polar:
        if _against_labels(config, network, physics, parts["training"], polar):
            signs = tuple(-sign for sign in physics.charge_sign)
            physics = replace(physics, charge_sign=signs)
        return physics, True
    if charged and not stated:
        raise ValueError(
            f"the total charges need the sign of the charges, which {config.init_from} does "
            "not state; give charges.sign"
        )
    if stated and not charged:
        _compare(config, network, physics, parts["validation"], notes)
    return physics, stated


def _against_labels(
    config: RunConfig,
    network: LesNetwork,
    physics: Physics,
    structures: Sequence[Labelled],
    polar: set[str],
) -> bool:
    """Whether predicted Born charges and dipoles point against their labels."""
    zero = dict.fromkeys(network.species, 0.0)
    physics = replace(physics, exact_total_charge=False)  # a shift of the charges has its own sign
    overlap = 0.0
    for structure in [s for s in structures if polar & s.labels.keys()][:4]:
        frame = make_frame(
            structure, zero, network.cutoff, physics.long_range.dl, DTYPES[config.dtype]
        )
        predicted = predict(network, join([frame]), physics, polar)
        overlap += sum(
            float((predicted[label].detach() * frame.labels[label]).sum())
            for label in polar & frame.labels.keys()
        )
    return overlap < 0.0


def _compare(
    config: RunConfig,
    network: LesNetwork,
    physics: Physics,
    structures: Sequence[Labelled],
    notes: list[str],
) -> None:
    try:
        others = signs_by_electronegativity(network, structures)
    except ModelFileError:  # they do not decide
        return
    if others != list(physics.charge_sign):
        notes.append(
            f"charge sign {listed(physics.charge_sign)} is that of {config.init_from}; "
            f"electronegativities would make it {listed(others)}; charges.sign overrides it"
        )


def signs_by_electronegativity(network: LesNetwork, structures: Sequence[Labelled]) -> list[float]:
    """Signs [channels] with which the more electronegative species are negative.

    Raises:
        ModelFileError: the charges of some structures do not decide it.
    """
    if network.needs_total_charge:
        first = structures[0].total_charge
        network = network.at_total_charge(first)
        structures = [s for s in structures if s.total_charge == first]
    network = copy.deepcopy(network).double()
    return decide_charge_signs(network, [s.atoms for s in structures[:20]])


def listed(signs: Sequence[float]) -> str:
    """``+1 -1`` of (1.0, -1.0)."""
    return " ".join(f"{sign:+g}" for sign in signs)

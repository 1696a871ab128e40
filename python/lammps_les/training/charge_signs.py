"""The signs of the charges: as far as they are known before the training, and after it."""

import copy
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import torch

from lammps_les.data.structures import Labelled
from lammps_les.electrostatics import coupling_dielectric
from lammps_les.keys import BORN_EFFECTIVE_CHARGES, DIPOLE
from lammps_les.models import Chain
from lammps_les.training.config import RunConfig
from lammps_les.training.physics import Physics
from lammps_les_export.charge_sign import (
    UndecidedError,
    contradicts_electronegativity,
    listed,
    mean_text,
    signs_by_electronegativity,
    signs_by_labels,
)
from lammps_les_export.convert import WARNING
from lammps_les_export.sign_evidence import Coupling, Evidence, a_few, gather

GIVEN, TOTAL_CHARGES = "given as charges.sign", "that of the total charges"
STATED = "that of the initial network"


def settle_signs(
    config: RunConfig,
    network: Chain,
    physics: Physics,
    parts: Mapping[str, Sequence[Labelled]],
    suggested: Mapping[str, Any],
    notes: list[str],
) -> tuple[Physics, str]:
    """Signs of the charges to train with, and where they come from.

    The configuration binds them (``GIVEN``), and total charges that are not zero and are asked of
    the charges (``TOTAL_CHARGES``). Else labels decide (Born effective charges, dipoles) or the
    initial network states them (``STATED``), and they are looked at again after the training
    (``final_signs``).

    Args:
        config: of the run.
        network: with initial weights.
        physics: of the model.
        parts: structures by part of the data.
        suggested: what the initial network states.
        notes: gets a sentence where labels turn a stated sign.

    Returns:
        physics with signs; ``GIVEN``, ``TOTAL_CHARGES``, ``STATED`` or "".

    Raises:
        ValueError: another number of signs than channels, a sign that is needed and not known, or
            one that the initial network states and electronegativities speak against.
    """
    channels = len(physics.charge_sign)
    given = config.charges.sign
    if isinstance(given, list):
        if len(given) != channels:
            raise ValueError(f"charges.sign: expected one for each of {channels} channels")
        return replace(physics, charge_sign=tuple(map(float, given))), GIVEN
    asked = physics.exact_total_charge or config.charges.total_charge == "penalty"
    charged = asked and any(s.total_charge != 0.0 for part in parts.values() for s in part)
    bound = TOTAL_CHARGES if charged and channels else ""
    if config.init_from is None or config.init.channels or channels == 0:
        return physics, bound  # labels in the loss draw fresh charges to their sign
    stated = "charge_sign" in suggested
    if stated:
        physics = replace(physics, charge_sign=tuple(map(float, suggested["charge_sign"])))
    evidence = evidence_of(network, physics, parts)
    by_labels = signs_by_labels(evidence)
    if by_labels is not None:
        if stated and tuple(by_labels) != physics.charge_sign:
            notes.append(
                f"charge sign {listed(by_labels)} by labels, where {config.init_from} states "
                f"{listed(physics.charge_sign)}"
            )
        return replace(physics, charge_sign=tuple(by_labels)), bound or STATED
    if bound and not stated:
        raise ValueError(
            f"the total charges need the sign of the charges, which {config.init_from} does "
            "not state; give charges.sign"
        )
    if stated and not bound and contradicts_electronegativity(evidence, physics.charge_sign):
        raise ValueError(
            f"charge sign {listed(physics.charge_sign)}, which {config.init_from} states, is "
            f"against the electronegativities ({mean_text(evidence, physics.charge_sign)} in the "
            "data); give charges.sign"
        )
    return physics, bound or (STATED if stated else "")


def final_signs(
    network: Chain,
    physics: Physics,
    origin: str,
    parts: Mapping[str, Sequence[Labelled]],
) -> tuple[list[float], str, str]:
    """Signs of a trained network: bound ones, else those of labels, else by electronegativities.

    Args:
        network: with the weights of the result.
        physics: it was trained with.
        origin: of the signs in ``physics``, as ``settle_signs`` returned it.
        parts: structures by part of the data.

    Returns:
        [channels]; what they rest on in a word or two, for ``provenance.charge_sign``; and a
        sentence that says so and gives mean Born charges, which begins with ``WARNING`` where
        something speaks against the signs. "" without charges.
    """
    signs = list(physics.charge_sign)
    if not signs:
        return [], "", ""
    evidence = evidence_of(network, physics, parts)
    by_labels = signs_by_labels(evidence)
    bound = origin in (GIVEN, TOTAL_CHARGES)
    how, warning = origin, ""
    by = {GIVEN: "given", TOTAL_CHARGES: "total charges"}.get(origin, "initial network")
    if not bound and by_labels is not None:
        signs, how = by_labels, f"by labels ({evidence.label.replace('_', ' ')})"
        by = "labels"
    elif bound and by_labels is not None and by_labels != signs:
        warning = f"labels ({evidence.label.replace('_', ' ')}) would make it {listed(by_labels)}"
    elif not bound:
        try:
            signs, how = signs_by_electronegativity(evidence), "by electronegativities"
            by = "electronegativities"
        except UndecidedError as error:
            if not origin:
                how = by = "a guess"
                warning = (
                    f"{error}; compare with Born effective charges that you know, and give the "
                    "sign as charges.sign or by lammps-les export --charge-sign"
                )
    if not warning and contradicts_electronegativity(evidence, signs):
        warning = "that is against the electronegativities"
    text = f"charge sign {listed(signs)}, {how}: {mean_text(evidence, signs)}"
    return signs, by, f"{WARNING}{text}; {warning}" if warning else text


def evidence_of(
    network: Chain, physics: Physics, parts: Mapping[str, Sequence[Labelled]]
) -> Evidence:
    """What labelled structures tell of the signs, held-out ones first; any where none is labelled.

    Raises:
        ModelFileError: a species that the network does not know.
    """
    pool = [s for name in ("test", "validation", "training") for s in parts.get(name, ())]
    for name in (BORN_EFFECTIVE_CHARGES.name, DIPOLE.name):
        labelled = [s for s in pool if name in s.labels]
        if labelled:
            pool = labelled
            break
    if network.needs_total_charge:
        first = pool[0].total_charge
        network = network.at_total_charge(first)
        pool = [s for s in pool if s.total_charge == first]
    chosen = a_few(pool)
    chi = torch.tensor(physics.susceptibility or torch.zeros(3, 3).tolist())
    coupling = Coupling(
        physics.charge_unit,
        coupling_dielectric(physics.epsilon_inf, chi),
        physics.remove_mean or physics.exact_total_charge,
        physics.bec_form,
        physics.long_range,
    )
    labels = [s.labels for s in chosen]
    return gather(
        copy.deepcopy(network).cpu().double(), [s.atoms for s in chosen], coupling, labels
    )

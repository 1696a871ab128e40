"""The network that a training starts from: a fresh one, or one that was trained before."""

import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from lammps_les.data.structures import Labelled
from lammps_les.electrostatics import LongRangeParameters
from lammps_les.models import Chain, build_network, with_charges
from lammps_les.training.config import RunConfig
from lammps_les.training.config_file import nearest
from lammps_les.training.physics import Physics
from lammps_les.units import NORM_COULOMB
from lammps_les_export.adapters import Choice
from lammps_les_export.convert import import_model

EPSILON_INF_UNKNOWN = (
    "epsilon_inf is not given and counts as 1 (vacuum); Born effective charges scale with its "
    "square root, and with them the action of fields, infrared spectra and conductivities: give it "
    "as charges.epsilon_inf, or later by lammps-les export --epsilon-inf or pair_style les "
    "epsilon_inf"
)


def initial_network(
    config: RunConfig, folder: Path, structures: Sequence[Labelled], notes: list[str]
) -> tuple[Chain, Physics, dict[str, Any]]:
    """Network and physics, with signs of the charges all +1, and what the source states.

    Args:
        config: of the run.
        folder: to which paths in it are relative.
        structures: of all parts; they give the elements of a fresh network.
        notes: gets a sentence where epsilon_inf is not known.

    Returns:
        network, physics, and for ``init_from`` what the source suggests (``ImportedModel``), its
        ``citation`` and ``bec_fitted``.

    Raises:
        ValueError: a network that cannot be, or a source that is refused.
    """
    if config.init_from is None:
        network, physics = _fresh(config, structures)
        suggested: dict[str, Any] = {}
    else:
        network, physics, suggested = _loaded(config, folder, notes)
    given = config.charges.epsilon_inf or suggested.get("epsilon_inf")
    if network.channels > 0 and given is None:
        notes.append(EPSILON_INF_UNKNOWN)
    _freeze(network, config.freeze)
    return network, physics, suggested


def _fresh(config: RunConfig, structures: Sequence[Labelled]) -> tuple[Chain, Physics]:
    section = config.network
    present = {symbol for s in structures for symbol in s.atoms.get_chemical_symbols()}
    network = build_network(replace(section, species=section.species or tuple(sorted(present))))
    parameters, unit = _long_range(config)
    physics = Physics(
        long_range=parameters,
        charge_unit=unit,
        charge_sign=(1.0,) * section.channels,
        epsilon_inf=config.charges.epsilon_inf or 1.0,
        remove_mean=config.charges.remove_mean,
        bec_form=config.charges.bec_form,
        layers=network.layers,
        exact_total_charge=config.charges.total_charge == "exact",
    )
    return network, physics


def _long_range(config: RunConfig) -> tuple[LongRangeParameters, float]:
    """Of charges that are trained from the beginning: the sum, and their unit [e].

    A charge in file units has the Coulomb energy of the charge in e.
    """
    far = config.long_range
    parameters = LongRangeParameters(far.sigma, far.dl, far.norm, far.remove_self, 1.0)
    return parameters, math.sqrt(far.norm / NORM_COULOMB)


def _loaded(
    config: RunConfig, folder: Path, notes: list[str]
) -> tuple[Chain, Physics, dict[str, Any]]:
    from lammps_les.training.unfinished import trained_folder  # which prepares a training itself

    assert config.init_from is not None
    path = folder / config.init_from
    with trained_folder(path if path.exists() else Path(config.init_from), notes) as source:
        imported = import_model(source, Choice(config.init.head, config.init.elements))
    notes += imported.notes
    network, suggested = imported.network, dict(imported.suggested)
    stated, response = imported.metadata["charges"], imported.metadata["response"]
    long_range = LongRangeParameters(**imported.metadata["long_range"])
    if config.init.channels:
        try:
            network = with_charges(network, config.init.channels)
        except ValueError as error:
            raise ValueError(f"init.channels: {error}; leave it out") from None
        long_range, unit = _long_range(config)
        stated = {"unit": unit}
    suggested["citation"] = imported.metadata["provenance"]["citation"]
    suggested["bec_fitted"] = response.get("bec_fitted", False)
    charges, given = config.charges, config.charges.model_fields_set
    physics = Physics(
        long_range=long_range,
        charge_unit=stated["unit"],
        charge_sign=(1.0,) * network.channels,
        epsilon_inf=charges.epsilon_inf or suggested.get("epsilon_inf") or 1.0,
        remove_mean=charges.remove_mean if "remove_mean" in given else response["remove_mean"],
        bec_form=charges.bec_form if "bec_form" in given else response.get("bec_form", "local"),
        layers=network.layers,
        exact_total_charge=(
            charges.total_charge == "exact"
            if "total_charge" in given
            else stated.get("total") is not None
        ),
    )
    if physics.exact_total_charge and network.channels != 1:
        raise ValueError(
            f"charges.total_charge: exact is for one charge channel; {config.init_from} has "
            f"{network.channels}"
        )
    return network.train().requires_grad_(True), physics, suggested


def _freeze(network: Chain, beginnings: Sequence[str]) -> None:
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

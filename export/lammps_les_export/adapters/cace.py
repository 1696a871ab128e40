"""CACE-LR and CACE-LES checkpoints (``torch.save`` of a whole module) as networks of this project.

A checkpoint is a chain of modules that fill a dictionary. This reader works out which of its
entries make the energy and carries those over; a module that it does not know, or one that has an
influence it cannot reproduce, is refused. The network itself is read in
:mod:`lammps_les_export.adapters.cace_network`.
"""

import math
from dataclasses import dataclass, replace
from typing import Any

import torch
from ase.data import chemical_symbols

from lammps_les.models import CaceConfig, CaceNetwork
from lammps_les_export.adapters.cace_network import Part, read_readout, read_representation
from lammps_les_export.adapters.imported import (
    EVERYTHING,
    NO_CHARGES,
    Choice,
    ImportedModel,
    agree,
    expect,
    flag,
    refuse_unless,
)
from lammps_les_export.adapters.les import les_settings, sum_settings
from lammps_les_export.unpickler import Stub

_CITATION = {
    "cace-lr": "Cheng, npj Comput. Mater. 10, 157 (2024); Cheng, npj Comput. Mater. 11, 80 (2025)",
    "cace-les": (
        "Cheng, npj Comput. Mater. 10, 157 (2024); King et al., Nat. Commun. 16, 8763 (2025)"
    ),
}
_CACE_OPEN_SHIFT = 1e-6  # A; CACE divides by r + 1e-6 in its open pair sum, LES by r

EXPECTED = "a CACE NeuralNetworkPotential or CombinePotential"
_MODULES = "cace.modules."
_IGNORED = {_MODULES + name for name in ("forces.Forces", "grad.Grad", "polarization.Dephase")}
"""Modules that differentiate the result and add nothing to the energy."""


@dataclass(frozen=True)
class _ShortRange:
    """The readout of the energy, the environments it reads, and the weight of its result."""

    readout: Stub
    representation: Stub
    weight: float


@dataclass
class _LongRange:
    """What the module of the long-range sum says, and which readout gives its charges.

    ``settings`` are sections of the metadata, by name.
    """

    settings: dict[str, dict[str, Any]]
    charge_readout: Stub
    charge_representation: Stub
    charge_key: str
    program: str
    suggested: dict[str, Any]


def knows(root: Any) -> bool:
    """Whether a stored object is a model of CACE."""
    return isinstance(root, Stub) and root.kind.startswith("cace.")


def read(root: Stub, choice: Choice) -> ImportedModel:
    """A ``NeuralNetworkPotential``, or a ``CombinePotential`` of a short- and a long-range one.

    Raises:
        UnsupportedModelError: a part of the model that has no counterpart here; nothing is dropped.
        KeyError, AttributeError: a part of the model is missing.
    """
    refuse_unless(
        choice == EVERYTHING,
        "a CACE model has one head, is taken with all elements, and says its norm",
    )
    energies: list[_ShortRange] = []
    sums: list[_LongRange] = []
    for potential, weight in _potentials(root):
        _read_potential(potential, weight, energies, sums)
    refuse_unless(
        len(energies) == 1 and len(sums) <= 1,
        "expected one short-range energy and at most one long-range sum, found "
        f"{len(energies)} and {len(sums)}",
    )
    long_range = sums[0] if sums else None
    network = _network(energies[0], long_range)
    metadata = {
        "provenance": {
            "program": "cace",
            "version": "not stated in the file",
            "citation": _CITATION[long_range.program if long_range else "cace-lr"],
        },
        **(long_range.settings if long_range else NO_CHARGES),
    }
    return ImportedModel(network, metadata, long_range.suggested if long_range else {})


def _potentials(root: Stub) -> list[tuple[Stub, float]]:
    """The potentials that add up to the model, and their weights."""
    if root.kind == "cace.models.atomistic.NeuralNetworkPotential":
        return [(root, 1.0)]
    refuse_unless(
        root.kind == "cace.models.combined.CombinePotential",
        f"the file holds a {root.kind}, expected a NeuralNetworkPotential or a CombinePotential",
    )
    expect(root, "operation", f"{root.kind}.default_operation")
    potentials, keys = root.get("models").children(), root.get("potential_keys")
    refuse_unless(
        len(keys) == len(potentials),
        "CombinePotential: one table of keys is needed for each potential",
    )
    found = []
    for potential, table in zip(potentials, keys, strict=True):
        energy, added = _energy_key(potential), [table[key] for key in root.get("out_keys")]
        refuse_unless(
            energy in added,
            f"CombinePotential adds {added}, but the forces are those of {energy!r}",
        )
        weight = float(table.get("weight", 1.0))
        refuse_unless(
            weight > 0.0,
            f"CombinePotential gives {energy!r} the weight {weight}, expected a positive one",
        )
        found.append((potential, weight))
    return found


def _energy_key(potential: Stub) -> str:
    """The energy is what the forces are a derivative of."""
    keys = {
        m.get("energy_key")
        for m in potential.get("output_modules").children()
        if m.kind.endswith(".Forces")
    }
    refuse_unless(
        len(keys) == 1, f"expected one module Forces, which names the energy; found {sorted(keys)}"
    )
    return keys.pop()


def _read_potential(
    potential: Stub,
    weight: float,
    energy_readouts: list[_ShortRange],
    long_range: list[_LongRange],
) -> None:
    refuse_unless(
        potential.kind == "cace.models.atomistic.NeuralNetworkPotential",
        f"{potential.kind} as part of a sum",
    )
    for module in potential.get("input_modules").children():
        refuse_unless(
            module.kind == "cace.modules.preprocess.Preprocess", f"input module {module.kind}"
        )
    expect(potential, "do_postprocessing", False, default=False)
    representation = potential.get("representation")
    modules = potential.get("output_modules").children()
    readouts: list[Stub] = []
    sums: dict[str, list[str]] = {}
    ewald: dict[str, Stub] = {}
    polarizations: list[Stub] = []
    for module in modules:
        match module.kind.removeprefix(_MODULES):
            case "atomwise.Atomwise":
                readouts.append(module)
            case "feature_mix.FeatureAdd":
                sums[module.get("output_key")] = module.get("feature_keys")
            case "ewald.EwaldPotential":
                ewald[module.get("output_key")] = module
            case "les_wrapper.LesWrapper":
                ewald[module.get("energy_key")] = module
            case "polarization.Polarization":
                polarizations.append(module)
            case _:
                refuse_unless(module.kind in _IGNORED, f"output module {module.kind}")

    energy_key = _energy_key(potential)
    used: list[Stub] = []
    for term in sums.pop(energy_key, [energy_key]):
        if term in ewald:
            found = _long_range(ewald.pop(term), readouts, representation)
            found.suggested.update(_suggestions(polarizations, found))
            found.settings["long_range"]["norm"] *= weight
            found.settings["charges"]["unit"] *= math.sqrt(weight)
            long_range.append(found)
            used.append(found.charge_readout)
        else:
            matching = [m for m in readouts if m.get("output_key") == term]
            refuse_unless(
                len(matching) == 1, f"the energy contains {term!r}, which no known module computes"
            )
            expect(matching[0], "aggregation_mode", "sum")
            expect(matching[0], "n_out", 1)
            energy_readouts.append(_ShortRange(matching[0], representation, weight))
            used.append(matching[0])
    idle = [
        *sums,
        *ewald,
        *(m.get("output_key") for m in readouts if not any(m is u for u in used)),
    ]
    refuse_unless(not idle, f"the model also computes {idle}, which are no part of the energy")


def _long_range(module: Stub, readouts: list[Stub], representation: Stub) -> _LongRange:
    if module.kind == "cace.modules.les_wrapper.LesWrapper":
        return _les_wrapper(module, representation)
    for name, value in (("exponent", 1), ("external_field", None), ("charge_neutral_lambda", None)):
        expect(module, name, value, default=value)
    expect(module, "aggregation_mode", "sum")
    charge_key = module.get("feature_key")
    matching = [m for m in readouts if m.get("per_atom_output_key") == charge_key]
    refuse_unless(
        len(matching) == 1, f"no readout gives the charges {charge_key!r} of the long-range sum"
    )
    settings = sum_settings(module) | {"response": {"remove_mean": True, "bec_form": "local"}}
    settings["long_range"]["open_shift"] = _CACE_OPEN_SHIFT
    if settings["long_range"]["remove_self"]:
        # the original takes the sum over channels from each of them
        settings["long_range"]["self_factor"] = float(matching[0].get("n_out"))
    return _LongRange(settings, matching[0], representation, charge_key, "cace-lr", {})


def _les_wrapper(module: Stub, representation: Stub) -> _LongRange:
    expect(module, "feature_key", "node_feats")
    expect(module, "compute_energy", True)
    les = module.get("les")
    settings, suggested = les_settings(les, flag(module, "compute_bec", False))
    return _LongRange(
        settings,
        les.get("atomwise"),
        representation,
        module.get("charge_key"),
        "cace-les",
        suggested,
    )


def _suggestions(polarizations: list[Stub], found: _LongRange) -> dict[str, Any]:
    """Sign and epsilon_inf of the factor by which the model makes its own polarization.

    A model that has one gives Born effective charges itself: with ``pbc`` from the exponentials
    exp(i k.r) of the smallest k, the phase form.
    """
    suggested: dict[str, Any] = {}
    for module in polarizations:
        expect(module, "charge_key", found.charge_key)
        factor = float(module.get("normalization_factor")) / found.settings["charges"]["unit"]
        found.settings["response"]["remove_mean"] = bool(module.get("remove_mean"))
        found.settings["response"]["bec_form"] = "phase" if module.get("pbc") else "local"
        suggested["epsilon_inf"] = factor**2
        suggested["charge_sign"] = [math.copysign(1.0, factor)] * int(
            found.charge_readout.get("n_out")
        )
    return suggested


def _rounded_alike(part: Part, other: Part) -> Part:
    """The numbers of a part, those that agree with the other's up to rounding equal to them."""
    numbers = {
        name: getattr(other.config, name)
        for name in ("cutoff", "average_neighbors")
        if agree(getattr(part.config, name), getattr(other.config, name))
    }
    return replace(part, config=replace(part.config, **numbers))


def _network(short_range: _ShortRange, long_range: _LongRange | None) -> CaceNetwork:
    main = read_representation(short_range.representation)
    channels, charge, separate = 0, None, None
    if long_range is not None:
        channels = int(long_range.charge_readout.get("n_out"))
        separate = _rounded_alike(read_representation(long_range.charge_representation), main)
        refuse_unless(
            separate.numbers == main.numbers,
            f"the two representations list the elements {main.numbers} and {separate.numbers}",
        )
        if separate == main:
            separate = None
        charge = read_readout(long_range.charge_readout, (separate or main).config)
    energy = read_readout(short_range.readout, main.config)
    config = CaceConfig(
        species=tuple(chemical_symbols[z] for z in main.numbers),
        channels=channels,
        representation=main.config,
        energy=replace(energy.config, scale=energy.config.scale * short_range.weight),
        charge_representation=separate.config if separate else None,
        **({"charge": charge.config} if charge else {}),
    )
    weights = {f"representation.{k}": v for k, v in main.weights.items()}
    weights |= {f"energy_readout.{k}": v for k, v in energy.weights.items()}
    if separate:
        weights |= {f"charge_representation.{k}": v for k, v in separate.weights.items()}
    if charge:
        weights |= {f"charge_readout.{k}": v for k, v in charge.weights.items()}
    network = CaceNetwork(config).to(torch.float64)
    network.load_state_dict(weights)
    return network.eval()

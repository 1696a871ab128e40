"""NequIP and Allegro checkpoints, with or without LES, as networks of this project.

A checkpoint (``.ckpt``) of nequip-train has the arguments of the model and its weights, and no
code. Arguments that say what the model is are read, others refused, and so are weights that nothing
here asks for. The networks themselves are read in
:mod:`lammps_les_export.adapters.nequip_network` and
:mod:`lammps_les_export.adapters.allegro_network`.
"""

import copy
import dataclasses
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from lammps_les.models import Chain, network_of
from lammps_les.units import NORM_LES_2025, NORM_LES_2026
from lammps_les_export.adapters.allegro_network import read_allegro
from lammps_les_export.adapters.imported import (
    NO_CHARGES,
    WARNING,
    Choice,
    ImportedModel,
    UnsupportedModelError,
    agree,
    refuse_unless,
)
from lammps_les_export.adapters.nequip_heads import Asked, take_heads
from lammps_les_export.adapters.nequip_network import read_nequip
from lammps_les_export.adapters.nequip_state import Arguments, Weights

EXPECTED = "a checkpoint (.ckpt) of NequIP or Allegro"

_CITATION = {
    "nequip": "Batzner et al., Nat. Commun. 13, 2453 (2022)",
    "allegro": "Musaelian et al., Nat. Commun. 14, 579 (2023)",
}
_CITATION_LES = "King et al., Nat. Commun. 16, 8763 (2025)"
_Reader = Callable[[Arguments, Weights, Asked], tuple[Chain, dict[str, float], list[str]]]
_READERS: dict[str, _Reader] = {
    "nequip": read_nequip,
    "allegro": read_allegro,
}
_COMPARED = {
    "nequip": ("0.7.0", "0.12.", "0.15.", "0.19."),
    "allegro": ("0.7.", "0.8."),
}
"""Versions with which results were compared."""
_NORMS = {"0.7.": NORM_LES_2025, "0.19.": NORM_LES_2026}
"""Of the les library, by versions of nequip with which models are known to have been made."""
_MOST_WRAPPERS = 10
_MODIFIERS = {
    "enable_OpenEquivariance",
    "enable_CuEquivariance",
    "enable_CuEquivarianceContracter",
    "modify_PerTypeScaleShift",
}
"""They leave the formula as it is; scales and shifts are read from the weights."""


def knows(root: Any) -> bool:
    """Whether a stored object is a checkpoint of nequip-train."""
    return isinstance(root, dict) and isinstance(_model_arguments(root), dict)


def holds_code(path: Path) -> str:
    """What a file of nequip-package or nequip-compile is; "" for others."""
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
    except Exception:  # of what is no archive, or a damaged one
        return ""
    if any(name.endswith("/package_metadata.txt") for name in names):
        return "a packaged model (nequip-package)"
    if any("/data/aotinductor/" in name or name.endswith("/extra/r_max") for name in names):
        return "a compiled model (nequip-compile)"
    return ""


def _model_arguments(root: dict[str, Any]) -> Any:
    arguments = root.get("hyper_parameters")
    return arguments.get("model") if isinstance(arguments, dict) else None


def read(root: dict[str, Any], choice: Choice) -> ImportedModel:
    """A NequIP or Allegro model, alone or with LES.

    Raises:
        UnsupportedModelError: a part of the model that has no counterpart here; nothing is dropped.
        KeyError: a part of the model is missing.
    """
    refuse_unless(choice.head is None, f"--head {choice.head}: such a model has one head")
    model, les = _without_wrappers(_model_arguments(root))
    program, arguments = _program(model)
    versions = root["hyper_parameters"].get("info_dict", {}).get("versions", {})
    les = _les_arguments(arguments, les)
    weights = Weights(root, _fixed(arguments))
    asked = take_heads(les)
    network, energies, notes = _READERS[program](arguments, weights, asked)
    arguments.refuse_others()
    weights.refuse_others()
    refuse_unless(
        (network.channels > 0) == (les is not None),
        f"{network.channels} charges of an atom in a model "
        + ("with" if les is not None else "without")
        + " a long-range sum",
    )
    if choice.elements is not None:
        network = _of_elements(network, choice.elements)
        energies = {symbol: energies[symbol] for symbol in choice.elements}
    version = str(versions.get(program, "not stated in the file"))
    if not version.startswith(_COMPARED[program]):
        notes.append(
            f"the model is of {program} {version}, this reader was compared with "
            f"{' and '.join(v.rstrip('.') for v in _COMPARED[program])}: compare some energies"
        )
    sections: dict[str, Any] = NO_CHARGES
    suggested: dict[str, Any] = {}
    if les is not None:
        norm = _norm(choice.norm, str(versions.get("nequip", "")), notes)
        sections, suggested = _long_range(les, norm, notes)
    else:
        refuse_unless(choice.norm is None, f"--norm {choice.norm}: the model has no charges")
    citation = _CITATION[program] + (f"; {_CITATION_LES}" if les is not None else "")
    provenance = {"program": program, "version": version, "citation": citation}
    metadata = {"provenance": provenance, **copy.deepcopy(sections)}
    return ImportedModel(network, metadata, {"atomic_energies": energies, **suggested}, notes)


def _without_wrappers(model: Mapping[str, Any]) -> tuple[dict[str, Any], Any]:
    """The arguments of the model itself, and those of LES around it."""
    model, les = dict(model), None
    for _ in range(_MOST_WRAPPERS):
        target = model.get("_target_")
        if target == "nequip.model.modify":
            for modifier in model.get("modifiers", []):
                name = modifier.get("modifier") if isinstance(modifier, dict) else modifier
                refuse_unless(name in _MODIFIERS, f"modifier {name!r}")
            model = dict(model["model"])
        elif target == "nequip_les.model.LESModel":
            les = model.pop("LES")
            base = model.pop("base_model")
            refuse_unless(base in ("nequip", "allegro"), f"base_model {base!r}")
            builder = {"nequip": "NequIPGNNModel", "allegro": "AllegroModel"}[base]
            model["_target_"] = f"{base}.model.{builder}"
        else:
            return model, les
    raise UnsupportedModelError(
        f"checkpoint not supported: a model in more than {_MOST_WRAPPERS} wrappers"
    )


def _program(model: dict[str, Any]) -> tuple[str, Arguments]:
    target = str(model.pop("_target_", None))
    program, _, builder = target.partition(".model.")
    advice = ""
    if builder in ("ModelFromPackage", "ModelFromCheckpoint"):
        advice = "; it says where the model came from, not what it is: export that file"
    refuse_unless(
        program in _READERS and builder in _BUILDERS[program],
        f"a model made by {target!r}{advice}; supported are "
        + ", ".join(f"{p}.model.{b}" for p, names in _BUILDERS.items() for b in names),
    )
    return program, Arguments(f"{program}.model.{builder}", model)


_BUILDERS = {
    "nequip": ("NequIPGNNModel", "FullNequIPGNNModel", "PresetNequIPGNNModel"),
    "allegro": ("AllegroModel", "FullAllegroModel"),
}


def _fixed(arguments: Arguments) -> list[str]:
    """Tensors of the state that are trained where an argument says so, and are not here."""
    values = arguments.values
    embedding = values.get("radial_chemical_embed", values)
    trained = {
        "bessel_weights": isinstance(embedding, dict) and embedding.get("bessel_trainable"),
        "scales": values.get("per_type_energy_scales_trainable"),
        "shifts": values.get("per_type_energy_shifts_trainable"),
    }
    return [name for name, flag in trained.items() if not flag]


def _les_arguments(arguments: Arguments, les: Any) -> dict[str, Any] | None:
    """Arguments of the library; None for a model of short range."""
    if arguments.flag("use_les", False):
        refuse_unless(les is None, "two long-range sums")
        return dict(arguments.take("les_args", {}))
    arguments.only("les_args", (None, {}))
    if les is None:
        return None
    les = Arguments("LES", les)
    found = dict(les.take("les_args", {}))
    les.refuse_others()
    return found


def _of_elements(network: Chain, elements: tuple[str, ...]) -> Chain:
    """The network for some of its elements, in their order."""
    config: Any = network.config
    species = config.species
    unknown = [symbol for symbol in elements if symbol not in species]
    refuse_unless(
        not unknown and len(set(elements)) == len(elements) > 0,
        f"elements {' '.join(elements)}, expected some of {' '.join(species)}, each once",
    )
    rows = [species.index(symbol) for symbol in elements]
    values = {
        name: tuple(value[row] for row in rows)
        for name in ("average_neighbors", "scale")
        if isinstance(value := getattr(config, name), tuple)
    }
    config = dataclasses.replace(config, species=elements, **values)
    state = {
        name: tensor[rows] if name.endswith("embedding") or ".own_weights." in name else tensor
        for name, tensor in network.state_dict().items()
    }
    fewer = network_of(network.kind, dataclasses.asdict(config)).double()
    fewer.load_state_dict(state)
    return fewer.eval()


def _norm(given: float | None, version: str, notes: list[str]) -> float:
    """Norm of the long-range sum, which the file does not say."""
    if given is not None:
        return given
    known = [norm for beginning, norm in _NORMS.items() if version.startswith(beginning)]
    norm = known[0] if known else NORM_LES_2026
    if known:
        notes.append(f"not said in the file, taken as that of nequip {version}: norm = {norm:g}")
    else:
        notes.append(
            f"{WARNING}the norm of the long-range sum is not said in the file, and nequip "
            f"{version or 'of no stated version'} does not settle it; taken is {norm:g}, the les "
            f"library until spring 2026 had {NORM_LES_2025:g}: compare energies, and give --norm"
        )
    return norm


def _long_range(
    found: dict[str, Any], norm: float, notes: list[str]
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Sections of the metadata, and what is suggested."""
    les = Arguments("les_args", found)
    les.only("use_atomwise", (False,))
    defaults = {"sigma": 1.0, "dl": 2.0, "remove_self_interaction": True, "remove_mean": True}
    unsaid = [name for name in defaults if name not in found]
    values = {
        name: les.flag(name, default) if isinstance(default, bool) else les.number(name, default)
        for name, default in defaults.items()
    }
    epsilon_inf = float(les.number("epsilon_factor", 1.0))
    les.refuse_others()
    if unsaid:
        taken = ", ".join(f"{name} = {values[name]}" for name in unsaid)
        notes.append(f"not said in the file, taken as the les library has it: {taken}")
    sections = {
        "long_range": {
            "sigma": float(values["sigma"]),
            "dl": float(values["dl"]),
            "norm": norm,
            "remove_self": values["remove_self_interaction"],
            "self_factor": 1.0,
        },
        "charges": {"unit": 1.0},
        "response": {"remove_mean": values["remove_mean"], "bec_form": "local"},
    }
    return sections, {} if agree(epsilon_inf, 1.0) else {"epsilon_inf": epsilon_inf}

"""A trained network as a folder: ``weights.pt`` (state dict) and ``config.json``.

``config.json`` is an object with three members: ``metadata`` (those of FORMAT.md, with the fields
of ``NetworkConfig`` as ``network.config``), ``total_charges`` (charges [e] of the structures
trained on, where the model depends on that; may be absent) and ``training`` (data, options and
errors; for people). Folders of version 1 of FORMAT.md have the configuration of the network as a
member of its own, and flat metadata.
"""

import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from pydantic import TypeAdapter
from torch import Tensor

from lammps_les.model_file import Metadata, network_section, parse_metadata
from lammps_les.models import LesNetwork, NetworkConfig

WEIGHTS = "weights.pt"
CONFIG = "config.json"
_NETWORK_CONFIG = TypeAdapter(NetworkConfig)


def save_folder(
    directory: str | Path,
    weights: Mapping[str, Tensor],
    metadata: Mapping[str, Any],
    training: Mapping[str, Any],
    total_charges: Sequence[float] = (),
) -> None:
    """Write a trained network; an existing one in the folder is replaced.

    Args:
        directory: made if absent.
        weights: state dict of the network.
        metadata: fields of FORMAT.md; ``provenance.sha256`` is filled in here, with the hash of
            the weights file.
        training: what else one should know; anything that goes into JSON.
        total_charges: of the structures trained on [e], without repetition.

    Raises:
        ModelFileError: metadata that do not follow FORMAT.md.
    """
    directory = Path(directory)
    directory.mkdir(parents=True, exist_ok=True)
    unfinished = directory / f"{WEIGHTS}.part"
    torch.save(dict(weights), unfinished)
    sha256 = hashlib.sha256(unfinished.read_bytes()).hexdigest()
    provenance = {**metadata["provenance"], "sha256": sha256}
    checked = parse_metadata({**metadata, "provenance": provenance}, f"metadata for {directory}")
    content = {
        "metadata": checked.model_dump(),
        "total_charges": list(total_charges),
        "training": training,
    }
    os.replace(unfinished, directory / WEIGHTS)
    (directory / CONFIG).write_text(json.dumps(content, indent=2, allow_nan=False) + "\n")


def load_folder(directory: str | Path) -> tuple[LesNetwork, Metadata]:
    """Read a trained network, in the type of its weights, and its metadata.

    Raises:
        ModelFileError: metadata that do not follow FORMAT.md.
        ValueError: the weights are not those that the metadata speak of.
    """
    directory = Path(directory)
    content = json.loads((directory / CONFIG).read_text())
    fields = content["metadata"]
    of_version_1 = fields.get("format_version") == 1
    config = content["network"] if of_version_1 else fields["network"]["config"]
    network = LesNetwork(_NETWORK_CONFIG.validate_python(config))
    if of_version_1:
        fields = _from_version_1(fields, network)
    metadata = parse_metadata(fields, str(directory / CONFIG))
    weights = directory / WEIGHTS
    sha256 = hashlib.sha256(weights.read_bytes()).hexdigest()
    if sha256 != metadata.provenance["sha256"]:
        raise ValueError(
            f"{weights} has SHA-256 {sha256}, but {CONFIG} beside it names "
            f"{metadata.provenance['sha256']}; take both from one source"
        )
    state = torch.load(weights, weights_only=True, map_location="cpu")
    network.to(next(iter(state.values())).dtype).load_state_dict(state)
    return network.eval(), metadata


def _from_version_1(fields: Mapping[str, Any], network: LesNetwork) -> dict[str, Any]:
    """Metadata of version 2 from those of version 1; what was absent stays absent."""

    def section(**names: str) -> dict[str, Any]:
        return {new: fields[old] for new, old in names.items() if old in fields}

    def same(*names: str) -> dict[str, Any]:
        return section(**dict(zip(names, names, strict=True)))

    return {
        "format_version": 2,
        "network": network_section(network, fields["dtype"]),
        "latents": ["charge"] if network.channels > 0 else [],
        "long_range": same("sigma", "dl", "norm", "remove_self", "self_factor", "open_shift"),
        "charges": section(
            channels="channels", unit="charge_unit", sign="charge_sign", total="total_charge"
        ),
        "response": same("epsilon_inf", "remove_mean", "bec_form", "bec_fitted"),
        **same("atomic_energies", "atomic_masses", "provenance"),
    }


def trained_total_charges(directory: str | Path) -> list[float]:
    """Total charges [e] of the structures trained on; empty where the model depends on none."""
    return list(json.loads((Path(directory) / CONFIG).read_text()).get("total_charges", []))

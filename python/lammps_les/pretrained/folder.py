"""A trained network as a folder: ``weights.pt`` (state dict) and ``config.json``.

``config.json`` is an object with three members: ``metadata`` (those of FORMAT.md, with a
configuration of ``lammps_les.models`` as ``network.config``), ``total_charges`` (charges [e] of the
structures trained on, where the model depends on that; may be absent) and ``training`` (data,
options and errors; for people). Folders of version 1 of FORMAT.md have the configuration of the
network as a member of its own, and flat metadata.
"""

import hashlib
import io
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from pydantic import ValidationError
from torch import Tensor

from lammps_les.files import read_json, unreadable, write_atomically
from lammps_les.model_file import Metadata, ModelFileError, network_section, parse_metadata
from lammps_les.models import Chain, network_of

WEIGHTS = "weights.pt"
CONFIG = "config.json"


class OtherWeights(ValueError):
    """The weights in a folder are not those that the metadata beside them speak of."""


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
    saved = io.BytesIO()
    torch.save(dict(weights), saved)
    sha256 = hashlib.sha256(saved.getvalue()).hexdigest()
    provenance = {**metadata["provenance"], "sha256": sha256}
    checked = parse_metadata({**metadata, "provenance": provenance}, f"metadata for {directory}")
    content = {
        "metadata": checked.model_dump(),
        "total_charges": list(total_charges),
        "training": training,
    }
    text = json.dumps(content, indent=2, allow_nan=False) + "\n"
    write_atomically(directory / WEIGHTS, saved.getvalue())
    write_atomically(directory / CONFIG, text.encode())


def load_folder(directory: str | Path) -> tuple[Chain, Metadata]:
    """Read a trained network, in the type of its weights, and its metadata.

    Raises:
        ModelFileError: metadata that do not follow FORMAT.md.
        OtherWeights: the weights are not those that the metadata speak of.
        ValueError: a file cannot be read, or the configuration is that of no network.
    """
    directory = Path(directory)
    where = str(directory / CONFIG)
    content = read_json(where)
    fields = _section(content, "metadata", where)
    of_version_1 = fields.get("format_version") == 1
    if of_version_1:
        network = _network("cace", _section(content, "network", where), where)
    else:
        section = _section(fields, "network", where)
        network = _network(section.get("kind"), _section(section, "config", where), where)
        # with the sizes that have come since, at the values that they had before
        whole = network_section(network, section.get("dtype", ""))["config"]
        fields = {**fields, "network": {**section, "config": whole}}
    if of_version_1:
        try:
            fields = _from_version_1(fields, network)
        except KeyError as error:
            raise ModelFileError(f"{where}: the metadata have no {error}") from None
    metadata = parse_metadata(fields, where)
    weights = directory / WEIGHTS
    problem = unreadable(weights)
    if problem:
        raise ValueError(f"{weights} {problem}")
    sha256 = hashlib.sha256(weights.read_bytes()).hexdigest()
    if sha256 != metadata.provenance["sha256"]:
        raise OtherWeights(
            f"{weights} has SHA-256 {sha256}, but {CONFIG} beside it names "
            f"{metadata.provenance['sha256']}; take both from one source"
        )
    try:
        state = torch.load(weights, weights_only=True, map_location="cpu")
        network.to(next(iter(state.values())).dtype).load_state_dict(state)
    except Exception as error:  # torch raises anything
        reason = " ".join(str(error).split())[:200]
        raise ValueError(f"{weights} does not fit the network of {where}: {reason}") from None
    return network.eval(), metadata


def _section(content: Mapping[str, Any], name: str, where: str) -> dict[str, Any]:
    section = content.get(name)
    if not isinstance(section, dict):
        raise ModelFileError(
            f"{where}: expected an object as member '{name}', got {str(section)[:40]}; it is "
            "written by a training"
        )
    return section


def _network(kind: Any, config: Mapping[str, Any], where: str) -> Chain:
    try:
        return network_of(kind, config)
    except ValidationError as error:
        detail = error.errors()[0]
        key = ".".join(str(part) for part in detail["loc"])
        text = f"{key}: {detail['msg'].removeprefix('Value error, ')}"
    except ValueError as error:
        text = str(error)
    raise ModelFileError(f"{where}: not the configuration of a network: {text}")


def _from_version_1(fields: Mapping[str, Any], network: Chain) -> dict[str, Any]:
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
    return list(read_json(Path(directory) / CONFIG).get("total_charges", []))

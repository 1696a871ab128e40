"""Writing a model file."""

import copy
import io
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from ase.data import atomic_masses, atomic_numbers
from torch import nn
from torch.jit.frontend import FrontendError

from lammps_les.files import write_atomically
from lammps_les.model_file import (
    METADATA_FILE,
    Metadata,
    ModelFileError,
    metadata_text,
    network_section,
    parse_metadata,
)
from lammps_les_export.exported_model import exported


def write_model(
    path: str | Path, network: nn.Module, metadata: Metadata | Mapping[str, Any]
) -> Metadata:
    """Script a network and write it with its metadata as a model file (FORMAT.md).

    Args:
        path: file to write; replaced only when everything has gone well.
        network: scriptable module with attributes ``species`` (list of symbols), ``cutoff`` [A],
            ``layers``, ``channels``, ``kept`` and ``sent``, the method ``piece`` of FORMAT.md, and
            ``piece_store`` and ``piece_backward`` if it likes (without them it is
            differentiated), and a ``forward`` that is ``latents`` there, which
            ``lammps_les.models.Chain`` makes of pieces. ``wrap`` makes such a network of a module
            without pieces. Not changed, a copy is brought to the ``dtype`` asked for.
        metadata: the fields of FORMAT.md; where ``atomic_masses`` is empty, elements get theirs.

    Returns:
        the metadata as written.

    Raises:
        ModelFileError: metadata that do not follow FORMAT.md, or that contradict the network; a
            module that is no network; a file that cannot be written, as on a full disk.
    """
    if not isinstance(metadata, Metadata):
        metadata = parse_metadata(dict(metadata), f"metadata for {path}")
    species = metadata.network.species
    if not metadata.atomic_masses:  # run folders do not settle them
        elements = [symbol for symbol in species if atomic_numbers.get(symbol, 0) > 0]
        masses = {symbol: float(atomic_masses[atomic_numbers[symbol]]) for symbol in elements}
        metadata = metadata.model_copy(update={"atomic_masses": masses})
    _check_network(network, metadata, path)
    if getattr(network, "needs_total_charge", False):
        raise ModelFileError(
            f"cannot write {path}: the network embeds the total charge of the system, and a model "
            "file stands for one; fix it with network.at_total_charge(Q)"
        )
    network = copy.deepcopy(network).to(metadata.network.torch_dtype).eval()
    for parameter in network.parameters():
        parameter.requires_grad_(False)
    for tensor in (*network.parameters(), *network.buffers()):
        # views are written with their offset, and an empty one cannot be read again
        tensor.data = tensor.data.clone(memory_format=torch.contiguous_format)
    try:
        module = torch.jit.script(exported(network, metadata))
    # what the compiler refuses, in its two ways, and a network whose source it cannot find
    except (FrontendError, RuntimeError, OSError) as error:
        reason = str(error).strip().splitlines()[0]
        raise ModelFileError(
            f"cannot write {path}: TorchScript does not take the network ({reason}). Write it in "
            "the part of Python that TorchScript knows, and in a file, not at a prompt"
        ) from error
    content = io.BytesIO()
    torch.jit.save(module, content, _extra_files={METADATA_FILE: metadata_text(metadata)})
    try:
        write_atomically(Path(path), content.getvalue())
    except OSError as error:
        raise ModelFileError(f"cannot write {path}: {error.strerror}") from None
    return metadata


def _check_network(network: nn.Module, metadata: Metadata, path: str | Path) -> None:
    """Refuse a network that lacks something, and metadata that contradict it."""
    for name in ("species", "cutoff", "layers", "channels", "kept", "sent", "piece"):
        if not hasattr(network, name):
            raise ModelFileError(
                f"cannot write {path}: the network, {type(network).__name__}, has no '{name}'; "
                "lammps_les_export.wrap makes a network of a module that maps edges to energies"
            )
    found = network_section(network, metadata.network.dtype)
    pairs = [(f"network.{name}", getattr(metadata.network, name), found[name]) for name in found]
    pairs.append(("charges.channels", metadata.charges.channels, network.channels))
    for name, stated, of_network in pairs:
        if name == "network.cutoff":  # a network may hold it in its own type
            same = math.isclose(float(of_network), stated, rel_tol=1e-6)
        else:
            same = of_network == stated
        if not same:
            raise ModelFileError(
                f"metadata for {path}: field '{name}' is {stated!r}, "
                f"but the network has {of_network!r}"
            )

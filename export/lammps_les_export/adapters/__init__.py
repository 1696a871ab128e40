"""Readers of other programs' model files."""

import hashlib
from pathlib import Path
from typing import Any

from lammps_les_export.adapters import cace, mace, nequip
from lammps_les_export.adapters.foundation import provenance_of
from lammps_les_export.adapters.imported import (
    DAMAGE,
    EVERYTHING,
    Choice,
    ImportedModel,
    UnsupportedModelError,
    said,
)
from lammps_les_export.unpickler import Stub, load_pickle

__all__ = [
    "EVERYTHING",
    "Choice",
    "ImportedModel",
    "UnsupportedModelError",
    "is_own_checkpoint",
    "read_checkpoint",
]

_ADAPTERS = (cace, mace, nequip)
"""Each ``knows`` a stored object by what it is, and can ``read`` it."""


def read_checkpoint(path: str | Path, choice: Choice = EVERYTHING) -> ImportedModel:
    """Read a checkpoint without importing the program that wrote it.

    Args:
        path: ``torch.save`` file.
        choice: which part of the model, where it is several in one.

    Raises:
        UnsupportedModelError: a part of the model that has no counterpart here; nothing is dropped.
        UnsafePickleError: the file asks for other names than a model needs.
        ValueError: not a ``torch.save`` file.
    """
    path = Path(path)
    if what := nequip.holds_code(path):
        raise UnsupportedModelError(
            f"the file is {what}, and is not read because it holds code; export the checkpoint "
            "(.ckpt) of the training that it was made of"
        )
    root = load_pickle(path)
    for adapter in _ADAPTERS:
        if not adapter.knows(root):
            continue
        try:
            imported = adapter.read(root, choice)
        except UnsupportedModelError:
            raise
        except DAMAGE as error:
            raise UnsupportedModelError(f"checkpoint not supported: {said(error)}") from error
        imported.metadata["provenance"] |= {
            "source": path.name,
            "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
            **provenance_of(path.name),
        }
        return imported
    raise UnsupportedModelError(
        f"the file holds a {_kind(root)}, expected a model that can be imported: "
        + "; ".join(adapter.EXPECTED for adapter in _ADAPTERS)
    )


def is_own_checkpoint(path: Path) -> bool:
    """Whether a file is a checkpoint of Lightning, and not one of a program that is known here."""
    try:
        root = load_pickle(path)
    except ValueError:  # said where the file is read
        return False
    own = isinstance(root, dict) and "pytorch-lightning_version" in root
    return own and not any(adapter.knows(root) for adapter in _ADAPTERS)


def _kind(root: Any) -> str:
    return root.kind if isinstance(root, Stub) else type(root).__name__

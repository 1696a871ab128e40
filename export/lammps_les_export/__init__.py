"""Model files of lammps-les: the contract, the writer, and adapters for other programs' models."""

from lammps_les_export.contract import (
    FORMAT_VERSION,
    METADATA_FILE,
    Metadata,
    ModelFileError,
    load_model,
    parse_metadata,
    read_metadata,
)
from lammps_les_export.writer import write_model

__all__ = [
    "FORMAT_VERSION",
    "METADATA_FILE",
    "Metadata",
    "ModelFileError",
    "load_model",
    "parse_metadata",
    "read_metadata",
    "write_model",
]

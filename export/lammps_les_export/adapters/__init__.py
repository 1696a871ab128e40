"""Readers of other programs' model files."""

from lammps_les_export.adapters.cace import ImportedModel, UnsupportedModelError, read_cace

__all__ = ["ImportedModel", "UnsupportedModelError", "read_cace"]

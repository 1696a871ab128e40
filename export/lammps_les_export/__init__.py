"""From networks to model files: the writer, and adapters for other programs' models.

What a model file is, and reading it, is :mod:`lammps_les.model_file`.
"""

from lammps_les_export.wrap import wrap
from lammps_les_export.writer import write_model

__all__ = ["wrap", "write_model"]

"""``python -m lammps_les.cli``."""

from lammps_les.cli import app

app()

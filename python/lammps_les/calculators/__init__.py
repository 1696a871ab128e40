"""Calculators for other programs."""

from lammps_les.calculators.ase import LesCalculator

__all__ = ["LesCalculator"]

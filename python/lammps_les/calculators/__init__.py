"""Calculators for other programs."""

from lammps_les.calculators.ase import LesCalculator
from lammps_les.calculators.forward import ForwardCalculator, calculator_for

__all__ = ["ForwardCalculator", "LesCalculator", "calculator_for"]

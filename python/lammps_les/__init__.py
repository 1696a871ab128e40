"""Latent Ewald Summation machine-learning potentials for LAMMPS."""

__version__ = "0.1.0"

"""Rotations and reflections (the group O(3)): harmonics, coupling coefficients, irreps."""

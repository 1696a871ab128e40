"""Quantities of open systems, which training reads besides those of any system."""

from lammps_les.keys import LABELS, Quantity

DIPOLE = Quantity("dipole", "[3]", "e A", "sum_i q_i r_i of an open system", ("dipole",))
QUADRUPOLE = Quantity(
    "quadrupole",
    "[3, 3]",
    "e A^2",
    "sum_i q_i r_i r_i of an open system; its trace means nothing",
    ("quadrupole",),
)
TOTAL_CHARGE = Quantity(
    "total_charge", "[]", "e", "charge of the whole structure", ("total_charge", "charge")
)

TRAINING_LABELS = (*LABELS, DIPOLE, QUADRUPOLE, TOTAL_CHARGE)
"""Quantities for which training looks in data files."""

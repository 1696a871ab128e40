"""Vocabulary of the quantities that the package reads, predicts and compares."""

from typing import NamedTuple


class Quantity(NamedTuple):
    """One quantity: what it is called here and in data files, its shape, unit and meaning.

    Attributes:
        name: name in this package.
        shape: of one structure; N atoms.
        unit: inside the package.
        meaning: sign and index order included.
        aliases: names under which data files carry it, in the order of search.
    """

    name: str
    shape: str
    unit: str
    meaning: str
    aliases: tuple[str, ...]


ENERGY = Quantity(
    "energy", "[]", "eV", "potential energy of the structure", ("energy", "total_energy")
)
FORCES = Quantity("forces", "[N, 3]", "eV/A", "-dE/dr", ("forces", "force"))
STRESS = Quantity(
    "stress", "[6]", "eV/A^3", "(1/V) dE/d(strain), Voigt order xx yy zz yz xz xy", ("stress",)
)
BORN_EFFECTIVE_CHARGES = Quantity(
    "born_effective_charges",
    "[N, 3, 3]",
    "e",
    "dP_a/dr_b, indices [atom, P component a, r component b]",
    ("BEC", "bec", "born_charge", "born_effective_charges"),
)
CHARGES = Quantity(
    "charges",
    "[N]",
    "e",
    "charge that couples to a field, charge_unit sqrt(epsilon_inf) sum_c sign_c q_c",
    ("charges",),
)

LABELS = (ENERGY, FORCES, STRESS, BORN_EFFECTIVE_CHARGES)
"""Quantities for which data files carry reference values."""

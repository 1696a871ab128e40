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

    @property
    def names(self) -> tuple[str, ...]:
        """All names under which data files may carry it, in the order of search."""
        return (*self.aliases, *(f"REF_{alias}" for alias in self.aliases))


ENERGY = Quantity(
    "energy", "[]", "eV", "potential energy of the structure", ("energy", "total_energy")
)
FORCES = Quantity("forces", "[N, 3]", "eV/A", "-dE/dr", ("forces", "force"))
STRESS = Quantity(
    "stress", "[6]", "eV/A^3", "(1/V) dE/d(strain), Voigt order xx yy zz yz xz xy", ("stress",)
)
VIRIAL = Quantity(
    "virial", "[6]", "eV", "-V times the stress, which it stands for", ("virial", "virials")
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
    "charge_unit sum_c sign_c q_c; couples to a field as sqrt(epsilon_inf) times it",
    ("charges",),
)
DIPOLE = Quantity(
    "dipole",
    "[3]",
    "e A",
    "sum_i q_i (r_i - c) of an open system, c its center of mass (matters for ions only)",
    ("dipole",),
)
QUADRUPOLE = Quantity(
    "quadrupole",
    "[3, 3]",
    "e A^2",
    "sum_i q_i (d_i d_i - d_i^2/3) of an open system, d_i = r_i - c, c its center of mass; "
    "the trace of a label is taken off",
    ("quadrupole",),
)
POLARIZABILITY = Quantity(
    "polarizability",
    "[3, 3]",
    "e A^2/V",
    "d(dipole)/d(field) of the electrons at fixed atoms; of a periodic cell (epsilon_inf - 1) "
    "epsilon_0 V, field that of the cell",
    ("polarizability",),
)
DIELECTRIC = Quantity(
    "dielectric",
    "[3, 3]",
    "",
    "epsilon_inf of a periodic cell, which stands for a polarizability of (epsilon_inf - 1) "
    "epsilon_0 V",
    ("epsilon_inf", "dielectric_tensor", "epsilon"),
)
TOTAL_CHARGE = Quantity(
    "total_charge", "[]", "e", "charge of the whole structure", ("total_charge", "charge")
)

LABELS = (
    ENERGY,
    FORCES,
    STRESS,
    BORN_EFFECTIVE_CHARGES,
    DIPOLE,
    QUADRUPOLE,
    TOTAL_CHARGE,
    POLARIZABILITY,
)
"""Quantities for which data files carry reference values."""

FILE_LABELS = (ENERGY, FORCES, STRESS, VIRIAL, *LABELS[3:], DIELECTRIC)
"""Quantities under whose names data files are searched; the virial becomes a stress, the
dielectric tensor a polarizability."""

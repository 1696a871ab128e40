"""Physical constants of the package; every one stands here once.

Inside the package energies are in eV, lengths in Angstrom, charges in e, fields in V/A.
"""

import math

COULOMB = 14.399645
"""1 / (4 pi epsilon_0) in eV A / e^2, with the digits that LAMMPS uses in ``units metal``."""

CACE_CHARGE_UNIT = 1.0 / 9.48933
"""Size in e of the latent charges of a CACE-LR model (Zhong et al., npj Comput. Mater. 2025):
with it, ``NORM_CACE`` and a charge in file units give the Coulomb energy of the charge in e."""

NORM_CACE = 1.0
"""Norm [eV A per file unit squared] of models trained with CACE's own Ewald sum."""

NORM_LES_2025 = 90.0474
"""Norm [eV A / e^2] of models trained with the `les` library before April 2026."""

NORM_COULOMB = 2.0 * math.pi * COULOMB
"""Norm [eV A / e^2] of a charge in e, 90.4756."""

NORM_LES_2026 = 90.4756
"""The same with the digits of the `les` library since April 2026."""

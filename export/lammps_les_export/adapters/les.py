"""What a stored module of the long-range sum says, of CACE or of the library les."""

import math
from typing import Any

from lammps_les.units import CACE_CHARGE_UNIT, NORM_CACE, NORM_COULOMB, NORM_LES_2025
from lammps_les_export.adapters.imported import UnsupportedModelError, agree, expect, flag, number
from lammps_les_export.unpickler import Stub

_CHARGE_UNITS = {NORM_CACE: CACE_CHARGE_UNIT, NORM_LES_2025: 1.0, NORM_COULOMB: 1.0}
_REPEATED = ("sigma", "dl")


def les_settings(
    les: Stub, gives_born_charges: bool
) -> tuple[dict[str, dict[str, Any]], dict[str, Any]]:
    """Sections of the metadata, and what is suggested, by a ``les.les.Les``.

    Args:
        les: the module.
        gives_born_charges: whether the model asks it for Born effective charges.
    """
    ewald, born = les.get("ewald"), les.get("bec")
    for part, name in [(ewald, n) for n in _REPEATED] + [(born, "epsilon_factor")]:
        if name in les.state:
            expect(part, name, number(les, name))
    for part, name in ((ewald, "remove_self_interaction"), (born, "remove_mean")):
        if name in les.state:
            expect(part, name, flag(les, name))
    for name in ("use_fixed_atomic_charges", "use_atomic_alpha", "use_epsilon_r_scaling"):
        expect(les, name, False, default=False)
    expect(ewald, "use_epsilon_r_scaling", False, default=False)
    response = {
        "remove_mean": flag(born, "remove_mean"),
        # the library has the phase form only; a model that does not ask for it was not fitted to it
        "bec_form": "phase" if gives_born_charges else "local",
    }
    epsilon_inf = number(born, "epsilon_factor")
    suggested = {} if agree(epsilon_inf, 1.0) else {"epsilon_inf": epsilon_inf}
    return sum_settings(ewald) | {"response": response}, suggested


def sum_settings(module: Stub) -> dict[str, dict[str, Any]]:
    """Sections ``long_range`` and ``charges`` by an ``EwaldPotential`` or ``Ewald``."""
    sigma, dl, norm = (number(module, name) for name in (*_REPEATED, "norm_factor"))
    expect(module, "sigma_sq_half", sigma**2 / 2.0)
    expect(module, "k_sq_max", (2.0 * math.pi / dl) ** 2)
    long_range = {
        "sigma": sigma,
        "dl": dl,
        "norm": norm,
        "remove_self": flag(module, "remove_self_interaction"),
        "self_factor": 1.0,
        "open_shift": 0.0,
    }
    return {"long_range": long_range, "charges": {"unit": _charge_unit(norm)}}


def _charge_unit(norm: float) -> float:
    for known, unit in _CHARGE_UNITS.items():
        if agree(norm, known):
            return unit
    raise UnsupportedModelError(
        f"checkpoint not supported: the long-range sum has the norm {norm}; the size of its "
        f"charges is known for {sorted(_CHARGE_UNITS)} only"
    )

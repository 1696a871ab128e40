"""What turns outputs of a network into observables."""

from dataclasses import dataclass

from lammps_les.electrostatics import LongRangeParameters
from lammps_les.model_file import Dielectric


@dataclass(frozen=True)
class Physics:
    """What turns outputs of the network into observables; fields as in FORMAT.md.

    Attributes:
        long_range: parameters of the sum.
        charge_unit: e per file unit of charge.
        charge_sign: one for each channel.
        epsilon_inf: high-frequency dielectric constant or tensor.
        susceptibility: chi [3][3] that alpha adds to what epsilon_e screens; None: the mean of a
            batch.
        remove_mean: whether the mean charge is removed in the polarization.
        bec_form: form of the Born effective charges, ``local`` or ``phase``.
        layers: of the network.
        exact_total_charge: shift all charges of a frame alike, so that their sum is its total
            charge; with one channel.
    """

    long_range: LongRangeParameters
    charge_unit: float = 1.0
    charge_sign: tuple[float, ...] = (1.0,)
    epsilon_inf: Dielectric = 1.0
    susceptibility: list[list[float]] | None = None
    remove_mean: bool = True
    bec_form: str = "local"
    layers: int = 1
    exact_total_charge: bool = False

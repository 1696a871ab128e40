"""Long-range energy of latent charges, and what one needs of it at fixed charges."""

from typing import NamedTuple

import torch
from torch import Tensor

from lammps_les.electrostatics.open_boundaries import open_energy, open_response
from lammps_les.electrostatics.parameters import LongRangeParameters
from lammps_les.electrostatics.periodic import periodic_energy, periodic_response
from lammps_les.electrostatics.wave_vectors import wave_vector_triples


class LongRangeResponse(NamedTuple):
    """Long-range part at fixed charges.

    Attributes:
        energies: [N], eV, per-atom shares 1/2 sum_c q_ic phi_ic; their sum is the energy.
        potential: phi = dE/dq, [N, C], eV per file unit of charge.
        forces: -dE/dr at fixed q, [N, 3], eV/A.
        virial: -dE/d(strain) at fixed q and fixed integer wave vectors, [3, 3], eV.
    """

    energies: Tensor
    potential: Tensor
    forces: Tensor
    virial: Tensor


def is_periodic(pbc: Tensor) -> bool:
    """Read boundary flags [3]: all set is periodic, none is open.

    The sign of the cell's determinant says nothing.

    Raises:
        RuntimeError: for a mixture (slab, wire).
    """
    if bool(pbc.all()):
        return True
    if bool(pbc.any()):
        raise RuntimeError(
            "LES: boundaries must be periodic in all three directions or in none, but the "
            "boundary flags are mixed; use a cell with vacuum, periodic in all directions"
        )
    return False


def long_range_energy(
    positions: Tensor,
    charges: Tensor,
    cell: Tensor,
    periodic: bool,
    parameters: LongRangeParameters,
) -> Tensor:
    """Long-range energy [eV], a scalar; differentiable twice in positions, charges and cell.

    Args:
        positions: [N, 3] in A.
        charges: [N, C], file units; C = 0 gives zero.
        cell: [3, 3], rows are lattice vectors [A]; not used in open boundaries.
        periodic: reciprocal sum (``periodic_energy``) or pair sum (``open_energy``).
        parameters: of the model.
    """
    if periodic:
        triples = wave_vector_triples(cell, parameters.dl)
        return periodic_energy(positions, charges, cell, triples, parameters)
    return open_energy(positions, charges, parameters)


def long_range_response(
    positions: Tensor,
    charges: Tensor,
    cell: Tensor,
    periodic: bool,
    parameters: LongRangeParameters,
) -> LongRangeResponse:
    """Per-atom energies, potential, forces and virial; arguments as in ``long_range_energy``."""
    if periodic:
        potential, forces, virial = periodic_response(positions, charges, cell, parameters)
    else:
        potential, forces, virial = open_response(positions, charges, parameters)
    energies = 0.5 * torch.sum(charges * potential, dim=1)
    return LongRangeResponse(energies, potential, forces, virial)

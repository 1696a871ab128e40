"""Long-range energy of latent multipoles with linear response, and its derivatives."""

from typing import NamedTuple

import torch
from torch import Tensor

from lammps_les.electrostatics.latents import Latents, packed_sources
from lammps_les.electrostatics.open_boundaries import open_fields
from lammps_les.electrostatics.parameters import LongRangeParameters
from lammps_les.electrostatics.periodic import periodic_fields
from lammps_les.electrostatics.wave_vectors import wave_vector_triples


class LongRangeResponse(NamedTuple):
    """Long-range energy, and what the atoms feel and answer; C channels, file units.

    Attributes:
        energies: [N], eV, per-atom shares 1/2 [(q + dq) phi - (u + du).E + Q:dE/dQ]; their sum is
            the energy.
        potential: phi [N, C], eV/unit, of the permanent sources.
        field: E [N, C, 3], eV/(unit A), of the permanent sources; None for charges alone.
        charge_induced: dq = -kappa phi [N, C], unit; None without kappa.
        dipole_induced: du = alpha E [N, C, 3], unit A; None without alpha.
    """

    energies: Tensor
    potential: Tensor
    field: Tensor | None
    charge_induced: Tensor | None
    dipole_induced: Tensor | None


class LongRangeDerivatives(NamedTuple):
    """Derivatives of the long-range energy.

    Attributes:
        latents: dE/d(latent) of those that the model has, eV per unit of the latent.
        forces: -dE/dr at fixed latents (Cartesian components), [N, 3], eV/A.
        virial: -dE/d(strain_ab), r'_a = r_a + strain_ab r_b, at fixed latents and fixed integer
            wave vectors, [3, 3], eV. With more than charges it is not symmetric by itself, only
            together with what the network adds.
    """

    latents: Latents
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


def long_range_response(
    positions: Tensor,
    latents: Latents,
    cell: Tensor,
    periodic: bool,
    parameters: LongRangeParameters,
) -> LongRangeResponse:
    """Energy, potential, field and induced sources, by formula (FORMAT.md).

    With K the sum of smeared sources s = (q, u, Q) (``periodic_fields``, ``open_fields``) and
    K s = (phi, -E, dE/dQ), what is induced does not act on itself:

    d = (dq, du) = (-kappa phi, alpha E),   E_lr = 1/2 <s + d, K s>

    Everything can be differentiated twice in positions, latents and cell.

    Args:
        positions: [N, 3] in A.
        latents: of N atoms; none, C = 0, give zero.
        cell: [3, 3], rows are lattice vectors [A]; not used in open boundaries.
        periodic: reciprocal sum or pair sum.
        parameters: of the model.
    """
    sources = packed_sources(latents)
    if periodic:
        triples = wave_vector_triples(cell, parameters.dl)
        fields = periodic_fields(positions, sources, cell, triples, parameters)
    else:
        fields = open_fields(positions, sources, parameters)
    energies = 0.5 * (sources * fields).sum(dim=[1, 2])
    potential = fields[:, :, 0]
    field: Tensor | None = None
    if fields.size(2) > 1:
        field = -fields[:, :, 1:4]
    charge_induced: Tensor | None = None
    dipole_induced: Tensor | None = None
    kappa, alpha = latents.kappa, latents.alpha
    if kappa is not None:
        charge_induced = -kappa * potential
        energies = energies + 0.5 * (charge_induced * potential).sum(dim=1)
    if alpha is not None and field is not None:
        dipole_induced = torch.einsum("icab,icb->ica", alpha, field)
        energies = energies - 0.5 * (dipole_induced * field).sum(dim=[1, 2])
    return LongRangeResponse(energies, potential, field, charge_induced, dipole_induced)


def long_range_energy(
    positions: Tensor,
    latents: Latents,
    cell: Tensor,
    periodic: bool,
    parameters: LongRangeParameters,
) -> Tensor:
    """Long-range energy [eV], a scalar; see ``long_range_response``."""
    return long_range_response(positions, latents, cell, periodic, parameters).energies.sum()


def long_range_derivatives(
    positions: Tensor,
    latents: Latents,
    cell: Tensor,
    periodic: bool,
    parameters: LongRangeParameters,
    create_graph: bool = False,
) -> LongRangeDerivatives:
    """Derivatives of ``long_range_energy`` by automatic differentiation.

    Arguments are those of ``long_range_response``; with ``create_graph`` the result can be
    differentiated in the latents.
    """
    identity = torch.eye(3, dtype=cell.dtype, device=cell.device)
    with torch.enable_grad():
        r = positions.detach().requires_grad_()
        strain = torch.zeros_like(identity).requires_grad_()
        deformation = identity + strain.T
        given = {
            name: _variable(x, create_graph)
            for name, x in latents._asdict().items()
            if x is not None
        }
        lattice = cell.detach() @ deformation
        strained = r @ deformation
        energy = long_range_energy(strained, Latents(**given), lattice, periodic, parameters)
        variables = [r, strain, *given.values()]
        by_r, by_strain, *rest = torch.autograd.grad(
            energy, variables, create_graph=create_graph, materialize_grads=True
        )
    by_latents = Latents(**dict(zip(given, rest, strict=True)))
    return LongRangeDerivatives(by_latents, -by_r, -by_strain)


def _variable(tensor: Tensor, with_graph: bool) -> Tensor:
    """The tensor as one to differentiate by, with what it depends on or without."""
    return tensor if with_graph and tensor.requires_grad else tensor.detach().requires_grad_()

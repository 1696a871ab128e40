"""Energy, forces, stress and Born effective charges of a whole system.

All by automatic differentiation: the plain statement of FORMAT.md, which every other program must
give. It scripts, because model files carry it; the network is evaluated between the steps.
"""

from typing import NamedTuple

import torch
from torch import Tensor

from lammps_les.electrostatics.born_effective_charges import (
    born_effective_charges,
    derivative,
    is_phase_form,
)
from lammps_les.electrostatics.latents import Latents
from lammps_les.electrostatics.long_range import long_range_response
from lammps_les.electrostatics.parameters import LongRangeParameters
from lammps_les.electrostatics.polarization import (
    coupling_charges,
    polarizability,
    with_dielectric,
    with_total_charge,
)
from lammps_les.electrostatics.unfolding import UnfoldedGraph


class Coupling(NamedTuple):
    """How the latents of a model count in a field; fields as in FORMAT.md.

    Attributes:
        unit: e per file unit.
        sign: [C], physical sign of each channel.
        total: e, to which the charges are shifted, or None.
        root: [3, 3], square root of epsilon_inf, or of epsilon_e with alpha (``dielectric_root``).
        remove_mean: whether the mean charge is removed in the polarization.
    """

    unit: float
    sign: Tensor
    total: float | None
    root: Tensor
    remove_mean: bool


class System(NamedTuple):
    """Atoms that can be moved and strained.

    Attributes:
        positions: [N, 3] in A.
        strain: [3, 3], zero.
        strained: [N, 3], positions under the strain.
        lattice: [3, 3], cell under the strain.
        edge_vectors: [E, 3] in A, which the network takes; with a graph to the rest.
    """

    positions: Tensor
    strain: Tensor
    strained: Tensor
    lattice: Tensor
    edge_vectors: Tensor


def strainable_system(
    positions: Tensor, cell: Tensor, edge_index: Tensor, edge_shifts: Tensor
) -> System:
    """Arguments as in ``forward`` of FORMAT.md."""
    leaf = positions.detach().clone().requires_grad_(True)
    strain = torch.zeros_like(cell).requires_grad_(True)
    identity = torch.eye(3, dtype=cell.dtype, device=cell.device)
    deformation = identity + 0.5 * (strain + strain.T)
    strained = leaf @ deformation
    lattice = cell.detach() @ deformation
    vectors = strained[edge_index[1]] - strained[edge_index[0]] + edge_shifts @ lattice
    return System(leaf, strain, strained, lattice, vectors)


def energy_forces_stress(
    system: System,
    short_range: Tensor,
    latents: Latents,
    periodic: bool,
    parameters: LongRangeParameters,
    coupling: Coupling,
) -> dict[str, Tensor]:
    """Results of ``forward`` of FORMAT.md, the energy without ``atomic_energies``.

    Args:
        system: of N atoms.
        short_range: [N] in eV, of the network at ``system.edge_vectors``.
        latents: of N atoms, likewise.
        periodic: boundaries.
        parameters: of the long-range sum.
        coupling: gives the total charge.
    """
    latents = _shifted(latents, coupling)
    response = long_range_response(system.strained, latents, system.lattice, periodic, parameters)
    energy = short_range.sum() + response.energies.sum()
    stress = torch.zeros_like(system.strain)
    if periodic:
        volume = torch.abs(torch.linalg.det(system.lattice.detach()))
        stress = derivative(energy, system.strain, False) / volume
    result = {
        "energy": energy.detach(),
        "forces": -derivative(energy, system.positions, False),
        "stress": stress,
        "charge": latents.charge.detach(),
    }
    alpha = latents.alpha
    if alpha is not None:
        result["polarizability"] = polarizability(alpha.detach(), coupling.unit, coupling.root)
    others = {
        "dipole": latents.dipole,
        "quadrupole": latents.quadrupole,
        "kappa": latents.kappa,
        "alpha": alpha,
        "charge_induced": response.charge_induced,
        "dipole_induced": response.dipole_induced,
    }
    for name, value in others.items():
        if value is not None:
            result[name] = value.detach()
    return result


def _shifted(latents: Latents, coupling: Coupling) -> Latents:
    """The latents with charges that have the total charge of the model."""
    total = coupling.total
    if total is None:
        return latents
    charge = with_total_charge(latents.charge, total, coupling.unit, coupling.sign)
    return Latents(charge, latents.dipole, latents.quadrupole, latents.kappa, latents.alpha)


def node_positions(graph: UnfoldedGraph, positions: Tensor, cell: Tensor) -> Tensor:
    """Positions [M, 3] of the nodes of an unfolded graph, by which one can differentiate."""
    nodes = positions.detach()[graph.owner] + graph.shifts.to(cell.dtype) @ cell.detach()
    return nodes.requires_grad_(True)


def system_born_charges(
    latents: Latents,
    nodes: Tensor,
    owner: Tensor,
    cell: Tensor,
    periodic: bool,
    parameters: LongRangeParameters,
    coupling: Coupling,
    form: str,
) -> Tensor:
    """Born effective charges [N, 3, 3] in e.

    Args:
        latents: of N atoms, of the network on the unfolded graph.
        nodes: [M, 3], of ``node_positions``, from which they were computed.
        owner: [M], of the graph.
        cell: [3, 3], rows are lattice vectors [A].
        periodic: boundaries.
        parameters: of the long-range sum.
        coupling: of the latents.
        form: ``local`` or ``phase``. The local form differentiates the charges of the network, not
            their shift to a total charge, and -kappa phi at constant phi.
    """
    shifted = _shifted(latents, coupling)
    charge, dipole, kappa = shifted.charge, shifted.dipole, shifted.kappa
    local = not is_phase_form(form)
    if local:
        charge = latents.charge + (charge - latents.charge).detach()
    if kappa is not None or latents.alpha is not None:
        atoms = nodes[: charge.size(0)]
        response = long_range_response(atoms, shifted, cell.detach(), periodic, parameters)
        if kappa is not None:
            potential = response.potential
            charge = charge - kappa * (potential.detach() if local else potential)
        induced = response.dipole_induced
        if induced is not None:
            dipole = induced if dipole is None else dipole + induced
    charges = coupling_charges(charge, coupling.unit, coupling.sign)
    dipoles: Tensor | None = None
    if dipole is not None:
        dipoles = coupling_charges(dipole, coupling.unit, coupling.sign)
    tensor = born_effective_charges(
        charges, nodes, owner, cell, periodic, coupling.remove_mean, form, False, dipoles
    )
    return with_dielectric(tensor, coupling.root)

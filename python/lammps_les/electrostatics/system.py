"""Energy, forces, stress and Born effective charges of a whole system.

All by automatic differentiation: the plain statement of FORMAT.md, which every other program must
give. It scripts, because model files carry it; the network is evaluated between the steps.
"""

from typing import NamedTuple

import torch
from torch import Tensor

from lammps_les.electrostatics.born_effective_charges import born_effective_charges, derivative
from lammps_les.electrostatics.latents import Latents
from lammps_les.electrostatics.long_range import long_range_energy
from lammps_les.electrostatics.parameters import LongRangeParameters
from lammps_les.electrostatics.polarization import (
    coupling_charges,
    with_dielectric,
    with_total_charge,
)
from lammps_les.electrostatics.unfolding import UnfoldedGraph


class Coupling(NamedTuple):
    """How the charges of a model count; fields as in FORMAT.md.

    Attributes:
        unit: e per file unit.
        sign: [C], physical sign of each channel.
        total: e, to which the charges are shifted, or None.
        root: [3, 3], square root of epsilon_inf (``dielectric_root``).
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
    latent_charges: Tensor,
    periodic: bool,
    parameters: LongRangeParameters,
    coupling: Coupling,
) -> dict[str, Tensor]:
    """Results of ``forward`` of FORMAT.md, the energy without ``atomic_energies``.

    Args:
        system: of N atoms.
        short_range: [N] in eV, of the network at ``system.edge_vectors``.
        latent_charges: [N, C] in file units, likewise.
        periodic: boundaries.
        parameters: of the long-range sum.
        coupling: gives the total charge.
    """
    charges, total = latent_charges, coupling.total
    if total is not None:
        charges = with_total_charge(latent_charges, total, coupling.unit, coupling.sign)
    energy = short_range.sum() + long_range_energy(
        system.strained, Latents(charges), system.lattice, periodic, parameters
    )
    stress = torch.zeros_like(system.strain)
    if periodic:
        volume = torch.abs(torch.linalg.det(system.lattice.detach()))
        stress = derivative(energy, system.strain, False) / volume
    return {
        "energy": energy.detach(),
        "forces": -derivative(energy, system.positions, False),
        "stress": stress,
        "charge": charges.detach(),
    }


def node_positions(graph: UnfoldedGraph, positions: Tensor, cell: Tensor) -> Tensor:
    """Positions [M, 3] of the nodes of an unfolded graph, by which one can differentiate."""
    nodes = positions.detach()[graph.owner] + graph.shifts.to(cell.dtype) @ cell.detach()
    return nodes.requires_grad_(True)


def system_born_charges(
    latent_charges: Tensor,
    nodes: Tensor,
    owner: Tensor,
    cell: Tensor,
    periodic: bool,
    coupling: Coupling,
    form: str,
) -> Tensor:
    """Born effective charges [N, 3, 3] in e.

    Args:
        latent_charges: [N, C] in file units, of the network on the unfolded graph.
        nodes: [M, 3], of ``node_positions``, from which they were computed.
        owner: [M], of the graph.
        cell: [3, 3], rows are lattice vectors [A].
        periodic: boundaries.
        coupling: of the charges.
        form: ``local`` or ``phase``.
    """
    # a shift of all charges cancels where the mean is removed
    remove_mean = coupling.remove_mean or coupling.total is not None
    charges = coupling_charges(latent_charges, coupling.unit, coupling.sign)
    tensor = born_effective_charges(charges, nodes, owner, cell, periodic, remove_mean, form)
    total = coupling.total
    if total is not None and not coupling.remove_mean:
        share = total / max(1, charges.size(0))
        tensor = tensor + share * torch.eye(3, dtype=tensor.dtype, device=tensor.device)
    return with_dielectric(tensor, coupling.root)

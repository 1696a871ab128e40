"""One evaluation of a model file on a whole system in one process."""

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from lammps_les.data.neighbors import neighbor_list
from lammps_les.electrostatics import (
    LongRangeParameters,
    LongRangeResponse,
    born_effective_charges,
    born_effective_charges_one_layer,
    coupling_charges,
    long_range_response,
    unfold,
)
from lammps_les.electrostatics.born_effective_charges import derivative
from lammps_les_export.contract import Metadata


class Evaluation(NamedTuple):
    """Results for N atoms, float64.

    Attributes:
        energies: [N], eV, atomic energies, short-range energies and long-range shares
            1/2 q phi; their sum is the potential energy.
        forces: [N, 3], eV/A.
        virial: [3, 3], eV, -dE/d(strain); zero in an open system.
        charges: [N], e, charges that couple to a field; their mean is not removed.
        born: [N, 3, 3], e, indices [atom, P component, r component]; None where not asked for.
    """

    energies: Tensor
    forces: Tensor
    virial: Tensor
    charges: Tensor
    born: Tensor | None


def solve_long_range(
    positions: Tensor, charges: Tensor, cell: Tensor, periodic: bool, metadata: Metadata
) -> LongRangeResponse:
    """Long-range part at fixed charges; the only place where the calculators call a solver."""
    parameters = LongRangeParameters(
        metadata.sigma,
        metadata.dl,
        metadata.norm,
        metadata.remove_self,
        metadata.self_factor,
        metadata.open_shift,
    )
    return long_range_response(positions, charges, cell, periodic, parameters)


def evaluate_system(
    model: torch.jit.ScriptModule,
    metadata: Metadata,
    positions: np.ndarray,
    species: np.ndarray,
    cell: np.ndarray,
    periodic: bool,
    born: str | None = None,
    device: str | torch.device = "cpu",
) -> Evaluation:
    """Evaluate ``latents`` and the long-range sum as one MD step does.

    The long-range part at fixed charges gives the potential phi_i = dE_lr/dq_i; one pull-back of
    sum_i (e_i + phi_i q_i) to the edge vectors then gives the rest of forces and virial.

    Args:
        model: module of a model file.
        metadata: of that file.
        positions: [N, 3] in A.
        species: [N], indices into ``metadata.species``.
        cell: [3, 3], rows are lattice vectors [A].
        periodic: in all three directions, or in none.
        born: ``local`` or ``phase`` form of the Born effective charges, or None for none.
        device: of the model.
    """
    edge_index, shifts = neighbor_list(positions, cell, periodic, metadata.cutoff)
    edge_index, shifts = edge_index.to(device), shifts.to(device)
    r = torch.as_tensor(positions, dtype=torch.float64, device=device)
    lattice = torch.as_tensor(cell, dtype=torch.float64, device=device)
    kinds = torch.as_tensor(species, dtype=torch.int64, device=device)
    n = len(r)
    center, neighbor = edge_index[0], edge_index[1]

    edges = (r[neighbor] - r[center] + shifts @ lattice).requires_grad_()
    latent = model.latents(edges.to(metadata.torch_dtype), edge_index, kinds, n)
    energy, charge = latent["energy"].double(), latent["charge"].double()
    long_range = solve_long_range(r, charge.detach(), lattice, periodic, metadata)
    g = derivative(energy.sum() + (long_range.potential * charge).sum(), edges, False)

    atomic = [metadata.atomic_energies[symbol] for symbol in metadata.species]
    atomic_energies = torch.tensor(atomic, dtype=torch.float64, device=device)[kinds]
    forces = long_range.forces.index_add(0, center, g).index_add(0, neighbor, -g)
    virial = long_range.virial - edges.detach().T @ g
    sign = torch.tensor(metadata.charge_sign, dtype=torch.float64, device=device)

    def in_e(charges: Tensor) -> Tensor:
        return coupling_charges(charges, metadata.charge_unit, sign, metadata.epsilon_inf)

    tensor = None
    if born is not None and metadata.layers == 1:
        tensor = born_effective_charges_one_layer(
            in_e(charge), edges, edge_index, r, lattice, periodic, metadata.remove_mean, born
        )
    elif born is not None:
        graph = unfold(edge_index, shifts, n, metadata.layers)
        nodes = (r[graph.owner] + graph.shifts.double() @ lattice).requires_grad_()
        vectors = nodes[graph.edge_index[1]] - nodes[graph.edge_index[0]]
        unfolded = model.latents(
            vectors.to(metadata.torch_dtype), graph.edge_index, kinds[graph.owner], n
        )["charge"]
        tensor = born_effective_charges(
            in_e(unfolded.double()),
            nodes,
            graph.owner,
            lattice,
            periodic,
            metadata.remove_mean,
            born,
        )
    return Evaluation(
        energies=energy.detach() + long_range.energies + atomic_energies,
        forces=forces,
        virial=virial if periodic else torch.zeros_like(virial),
        charges=in_e(charge).detach(),
        born=tensor,
    )

"""One evaluation of a model file on a whole system in one process."""

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from lammps_les import _core  # needs torch loaded before it
from lammps_les.data.neighbors import neighbor_list
from lammps_les.electrostatics import coupling_charges, with_total_charge
from lammps_les.model_file import Metadata


class Evaluation(NamedTuple):
    """Results for N atoms, float64.

    Attributes:
        energies: [N], eV, atomic energies, short-range energies and long-range shares
            1/2 q phi; their sum is the potential energy.
        forces: [N, 3], eV/A.
        virial: [3, 3], eV, -dE/d(strain); zero in an open system.
        charges: [N], e, sum over channels of charge_unit charge_sign q; without sqrt(epsilon_inf),
            mean not removed.
        born: [N, 3, 3], e, indices [atom, P component, r component]; None where not asked for.
    """

    energies: Tensor
    forces: Tensor
    virial: Tensor
    charges: Tensor
    born: Tensor | None


def evaluate_system(
    model: torch.jit.ScriptModule,
    metadata: Metadata,
    positions: np.ndarray,
    species: np.ndarray,
    cell: np.ndarray,
    periodic: bool,
    born: str | None = None,
    device: str | torch.device = "cpu",
    reference_cell: np.ndarray | None = None,
) -> Evaluation:
    """Evaluate ``latents`` and differentiate it; long-range sum and response in C++, as in MD.

    The long-range part at fixed charges gives the potential phi_i = dE_lr/dq_i; one pull-back of
    sum_i (e_i + phi_i q_i) to the edge vectors then gives the rest of forces and virial.

    Args:
        model: module of a model file.
        metadata: of that file.
        positions: [N, 3] in A.
        species: [N], indices into ``metadata.network.species``.
        cell: [3, 3], rows are lattice vectors [A].
        periodic: in all three directions, or in none.
        born: ``local`` or ``phase`` form of the Born effective charges, or None for none.
        device: of the model.
        reference_cell: [3, 3], from which wave vectors are chosen; default: ``cell``.
    """
    edge_index, shifts = neighbor_list(positions, cell, periodic, metadata.network.cutoff)
    edge_index, shifts = edge_index.to(device), shifts.to(device)
    r = torch.as_tensor(positions, dtype=torch.float64, device=device)
    lattice = torch.as_tensor(cell, dtype=torch.float64, device=device)
    kinds = torch.as_tensor(species, dtype=torch.int64, device=device)
    n = len(r)
    center, neighbor = edge_index[0], edge_index[1]

    edges = r[neighbor] - r[center] + shifts @ lattice
    leaf = edges.detach().requires_grad_()
    typed = leaf.to(metadata.network.torch_dtype)
    # compiled anew for each number of edges, memory would grow and calls would stall
    with torch.jit.optimized_execution(False):
        latent = model.latents(typed, edge_index, kinds, n)
    energy, latent_charge = latent["energy"].double(), latent["charge"].double()
    sign = torch.tensor(metadata.charges.sign, dtype=torch.float64, device=device)
    charge = latent_charge
    if metadata.charges.total is not None:
        charge = with_total_charge(charge, metadata.charges.total, metadata.charges.unit, sign)
    long_range = _core.long_range(
        r,
        charge.detach(),
        lattice if periodic else None,
        sigma=metadata.long_range.sigma,
        dl=metadata.long_range.dl,
        norm=metadata.long_range.norm,
        remove_self=metadata.long_range.remove_self,
        self_factor=metadata.long_range.self_factor,
        open_shift=metadata.long_range.open_shift,
        setup_cell=None if reference_cell is None else torch.from_numpy(reference_cell),
    )
    weighted = energy.sum() + (long_range["potential"] * charge).sum()
    g = _gradient(weighted, leaf)

    atomic = [metadata.atomic_energies[symbol] for symbol in metadata.network.species]
    atomic_energies = torch.tensor(atomic, dtype=torch.float64, device=device)[kinds]
    forces = long_range["forces"].index_add(0, center, g).index_add(0, neighbor, -g)
    virial = long_range["virial"].to(device) - edges.T @ g

    charges = coupling_charges(charge, metadata.charges.unit, sign).detach()
    tensor = None
    if born is not None:
        with torch.jit.optimized_execution(False):
            pbc = torch.full((3,), periodic)
            tensor = model(r, kinds, lattice, pbc, edge_index, shifts, True, born)["bec"]
    return Evaluation(
        energies=energy.detach() + long_range["energy"] + atomic_energies,
        forces=forces,
        virial=virial if periodic else torch.zeros_like(virial),
        charges=charges,
        born=tensor,
    )


def _gradient(output: Tensor, leaf: Tensor) -> Tensor:
    """Derivative of a scalar with respect to a leaf, zero where it does not depend on it."""
    if not output.requires_grad:
        return torch.zeros_like(leaf)
    (gradient,) = torch.autograd.grad([output], [leaf], retain_graph=True, allow_unused=True)
    return torch.zeros_like(leaf) if gradient is None else gradient

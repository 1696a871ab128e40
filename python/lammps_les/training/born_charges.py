"""Born effective charges of a batch, differentiable in the parameters of the network."""

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor

from lammps_les.electrostatics import (
    Evaluated,
    Latents,
    born_effective_charges,
    born_effective_charges_by_layer,
    coupling_charges,
    edge_response,
    gradients,
    unfold,
)
from lammps_les.electrostatics.born_effective_charges import is_phase_form
from lammps_les.models import Chain
from lammps_les.training.evaluation import evaluate, given, joined, latents_of
from lammps_les.training.frames import Batch
from lammps_les.training.long_range import LongRange
from lammps_les.training.physics import Physics


def born_charges(
    network: Chain,
    charges: Tensor,
    edges: Tensor,
    found: Sequence[Evaluated],
    batch: Batch,
    physics: Physics,
    signs: Tensor,
    create_graph: bool,
) -> Tensor:
    """Born effective charges [N, 3, 3] in e of latent charges, without the dielectric root.

    The shift to an exact total charge cancels where the mean is removed (FORMAT.md).

    Args:
        network: of the model.
        charges: [N, C] in file units, not shifted yet.
        edges: [E, 3], that they were computed from.
        found: all pieces of the network.
        batch: the frames.
        physics: of the model.
        signs: [C] of the charges.
        create_graph: keep the result differentiable, for training on it.
    """
    shares = None
    if physics.exact_total_charge and not physics.remove_mean:
        physics = replace(physics, remove_mean=True)
        per_frame = batch.total_charges / batch.atoms_per_frame
        shares = per_frame[batch.frame_of_atom]  # [N]
    coupling = coupling_charges(charges, physics.charge_unit, signs)
    if physics.layers == 1:
        tensor = _born_one_layer(coupling, edges, batch, physics, create_graph)
    elif not is_phase_form(physics.bec_form):
        response = edge_response(coupling, found, batch.edge_index, create_graph)
        tensor = _diagonal(coupling, batch, physics) + born_effective_charges_by_layer(
            response, batch.edge_vectors, batch.edge_index, len(coupling)
        )
    else:
        tensor = _born_general(network, batch, physics, signs, create_graph)
    if shares is not None:
        identity = torch.eye(3, dtype=charges.dtype, device=charges.device)
        tensor = tensor + shares[:, None, None] * identity
    return tensor


def born_of_dipoles(
    latents: Latents,
    parts: Sequence[LongRange],
    edges: Tensor,
    batch: Batch,
    create_graph: bool,
) -> Tensor:
    """What dipoles, induced ones included, add to that: d(sum of dipoles)_a/dr_ib, [N, 3, 3] in e.

    Args:
        latents: of the atoms, with shifted charges.
        parts: long-range part of each frame, with ``dipole_response`` in e.
        edges: [E, 3], that the latents were computed from.
        batch: the frames.
        create_graph: keep the result differentiable, for training on it.
    """
    responses = [far.dipole_response for far in parts if far.dipole_response is not None]
    cotangents = joined([response.by_latents for response in responses], 1)
    center, neighbor = batch.edge_index
    rows = []
    for a in range(3):
        weights = [x[a] for x in given(cotangents)]
        (by_edges,) = gradients(given(latents), weights, [edges], create_graph)
        row = torch.cat([response.forces[a] for response in responses])
        row = row.index_add(0, neighbor, by_edges)
        rows.append(row.index_add(0, center, -by_edges))
    return torch.stack(rows, 1)


def without_mean(values: Tensor, batch: Batch) -> Tensor:
    """Values [N] less the mean of their frame."""
    return values - (batch.per_frame(values) / batch.atoms_per_frame)[batch.frame_of_atom]


def _diagonal(coupling: Tensor, batch: Batch, physics: Physics) -> Tensor:
    """q~_i delta_ab, [N, 3, 3]."""
    charges = without_mean(coupling, batch) if physics.remove_mean else coupling
    identity = torch.eye(3, dtype=coupling.dtype, device=coupling.device)
    return charges[:, None, None] * identity


def _born_one_layer(
    coupling: Tensor, edges: Tensor, batch: Batch, physics: Physics, create_graph: bool
) -> Tensor:
    """Born effective charges of all frames by one backward pass; both forms of FORMAT.md."""
    center, neighbor = batch.edge_index
    (h,) = gradients([coupling], [torch.ones_like(coupling)], [edges], create_graph)
    weight = -batch.edge_vectors
    phase = is_phase_form(physics.bec_form)
    if phase:
        weight = _sine_displacements(weight, batch.frame_of_atom[center], batch)
    tensor = _diagonal(coupling, batch, physics)
    tensor = tensor.index_add(0, neighbor, weight[:, :, None] * h[:, None, :])
    if phase and physics.remove_mean:
        # the mean responds too: dq~_j = dQ_j - d(sum Q)/N for every j
        total = torch.zeros_like(batch.positions)
        total = total.index_add(0, neighbor, h).index_add(0, center, -h)
        reach = []
        for n, r in enumerate(batch.positions.split(batch.sizes)):
            displacements = (r[None] - r[:, None]).flatten(0, 1)  # [i j, a]
            frame = torch.full((len(displacements),), n, device=r.device)
            weights = _sine_displacements(displacements, frame, batch)
            reach.append(weights.view(len(r), len(r), 3).mean(1))
        tensor = tensor - torch.cat(reach)[:, :, None] * total[:, None, :]
    return tensor


def _sine_displacements(displacements: Tensor, frame: Tensor, batch: Batch) -> Tensor:
    """w_a(d) of the phase form for displacements [M, 3] in frames [M]; d itself in open ones."""
    periodic = torch.tensor(batch.periodic, device=displacements.device)
    identity = torch.eye(3, dtype=displacements.dtype, device=displacements.device)
    cells = torch.where(periodic[:, None, None], batch.cells, identity)
    fractional = torch.einsum("ea,eam->em", displacements, torch.linalg.inv(cells)[frame])
    sines = torch.sin(2.0 * torch.pi * fractional) / (2.0 * torch.pi)
    weights = torch.einsum("em,ema->ea", sines, cells[frame])
    return torch.where(periodic[frame][:, None], weights, displacements)


def _born_general(
    network: Chain, batch: Batch, physics: Physics, signs: Tensor, create_graph: bool
) -> Tensor:
    """Phase form frame by frame, on unfolded graphs; for any number of layers."""
    tensors = []
    edge_start = atom_start = 0
    for n, (size, n_edges) in enumerate(zip(batch.sizes, batch.n_edges, strict=True)):
        edges = slice(edge_start, edge_start + n_edges)
        atoms = slice(atom_start, atom_start + size)
        graph = unfold(
            batch.edge_index[:, edges] - atom_start, batch.edge_shifts[edges], size, physics.layers
        )
        cell = batch.cells[n]
        nodes = batch.positions[atoms][graph.owner] + graph.shifts.to(cell.dtype) @ cell
        nodes = nodes.detach().requires_grad_(True)
        vectors = nodes[graph.edge_index[1]] - nodes[graph.edge_index[0]]
        species = batch.species[atoms][graph.owner]
        total = batch.total_charges[n].expand(len(species))
        found = evaluate(network, vectors, graph.edge_index, species, total)
        charges = latents_of(network, found)[1].charge[:size]
        coupling = coupling_charges(charges, physics.charge_unit, signs)
        tensors.append(
            born_effective_charges(
                coupling,
                nodes,
                graph.owner,
                cell,
                batch.periodic[n],
                physics.remove_mean,
                physics.bec_form,
                create_graph,
            )
        )
        edge_start, atom_start = edges.stop, atoms.stop
    return torch.cat(tensors)

"""What a model predicts for a batch, differentiable in the parameters of the network.

The network is differentiated with respect to edge vectors only. The long-range part enters by
formula: with e_i and q_i the outputs of the network, phi = dE_lr/dq and F_lr = -dE_lr/dr at fixed
charges,

    E = sum_i e_i + 1/2 sum_i q_i phi_i
    g_cj = d(sum_i e_i)/dr_cj + sum_i phi_i dq_i/dr_cj
    F_i = F_lr,i + sum_j g_ij - sum_c g_ci

so that one backward pass through the network gives the forces, and the loss needs one more
derivative, in which the tables of cos k.r and sin k.r are constants.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from functools import partial

import torch
from torch import Tensor

from lammps_les.electrostatics import (
    Evaluated,
    LongRangeParameters,
    born_effective_charges,
    born_effective_charges_by_layer,
    dielectric_root,
    edge_response,
    evaluate_pieces,
    gradients,
    unfold,
    with_dielectric,
)
from lammps_les.electrostatics.born_effective_charges import is_phase_form
from lammps_les.electrostatics.polarization import coupling_charges
from lammps_les.keys import BORN_EFFECTIVE_CHARGES, DIPOLE, ENERGY, FORCES, STRESS, TOTAL_CHARGE
from lammps_les.model_file import Dielectric
from lammps_les.models import Chain
from lammps_les.training.frames import Batch
from lammps_les.training.long_range import LongRange, long_range


@dataclass(frozen=True)
class Physics:
    """What turns outputs of the network into observables; fields as in FORMAT.md.

    Attributes:
        long_range: parameters of the sum.
        charge_unit: e per file unit of charge.
        charge_sign: one for each channel.
        epsilon_inf: high-frequency dielectric constant or tensor.
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
    remove_mean: bool = True
    bec_form: str = "local"
    layers: int = 1
    exact_total_charge: bool = False


def predict(
    network: Chain,
    batch: Batch,
    physics: Physics,
    wanted: Collection[str],
    create_graph: bool = False,
) -> dict[str, Tensor]:
    """Quantities of ``lammps_les.keys`` by name, for all frames of a batch.

    Args:
        network: of the model.
        batch: of B frames; those without a total charge count as neutral.
        physics: of the model.
        wanted: names of quantities; others may be left out.
        create_graph: keep everything differentiable in the parameters of the network.

    Returns:
        energy [B] in eV without energies of atoms, forces [N, 3] in eV/A, stress [B, 6] in eV/A^3
        (zero for open frames), born_effective_charges [N, 3, 3] in e, dipole [B, 3] in e A (of the
        charges themselves, epsilon_inf not applied, about the mean position; open frames),
        total_charge [B] in e, and always ``latent_charges`` [N, C] in file units.
    """
    want_gradient = FORCES.name in wanted or STRESS.name in wanted
    want_born = BORN_EFFECTIVE_CHARGES.name in wanted and physics.charge_sign != ()
    edges = batch.edge_vectors.detach().requires_grad_(want_gradient or want_born)
    charge_of_atom = batch.total_charges[batch.frame_of_atom]  # of its frame
    found = _evaluate(network, edges, batch.edge_index, batch.species, charge_of_atom)
    energies, latent_charges = _latents(found)
    charges = latent_charges
    if physics.exact_total_charge:
        charges = _with_total_charge(charges, batch, physics)
    result = {"latent_charges": charges}
    far = _long_range_of_frames(charges, batch, physics.long_range, STRESS.name in wanted)
    shares = energies + 0.5 * (charges * far.potential).sum(1)
    result[ENERGY.name] = batch.per_frame(shares)
    if want_gradient:
        weights = [torch.ones_like(energies), far.potential]
        (by_edges,) = gradients([energies, charges], weights, [edges], create_graph)
        center, neighbor = batch.edge_index
        result[FORCES.name] = far.forces.index_add(0, center, by_edges).index_add(
            0, neighbor, -by_edges
        )
        if STRESS.name in wanted:
            result[STRESS.name] = _stress(by_edges, far.virial, batch)
    signs = torch.tensor(physics.charge_sign, dtype=charges.dtype, device=charges.device)
    bare = coupling_charges(charges, physics.charge_unit, signs)  # [N]
    if TOTAL_CHARGE.name in wanted:
        result[TOTAL_CHARGE.name] = batch.per_frame(bare)
    if DIPOLE.name in wanted:
        neutral = _without_mean(bare, batch)  # so the origin does not matter
        result[DIPOLE.name] = batch.per_frame(neutral[:, None] * batch.positions)
    if want_born:
        result[BORN_EFFECTIVE_CHARGES.name] = _born_effective_charges(
            network, latent_charges, edges, found, batch, physics, create_graph
        )
    return result


def _evaluate(
    network: Chain,
    edges: Tensor,
    edge_index: Tensor,
    species: Tensor,
    total_charges: Tensor,
) -> list[Evaluated]:
    """All pieces; total charges [N] in e of the systems that atoms are part of."""
    piece = partial(network.layer, row_length=0, total_charge=total_charges)
    return evaluate_pieces(piece, network.layers, edges, edge_index, species)


def _latents(found: Sequence[Evaluated]) -> tuple[Tensor, Tensor]:
    """Energies [N] and charges [N, C]; C = 0 where the network has none."""
    outputs = found[-1].outputs
    return outputs[0], outputs[1] if len(outputs) > 1 else outputs[0].new_zeros(len(outputs[0]), 0)


def _born_effective_charges(
    network: Chain,
    charges: Tensor,
    edges: Tensor,
    found: Sequence[Evaluated],
    batch: Batch,
    physics: Physics,
    create_graph: bool,
) -> Tensor:
    """Born effective charges [N, 3, 3] of latent charges that are not shifted yet.

    The shift to an exact total charge cancels where the mean is removed (FORMAT.md).
    """
    shares = None
    if physics.exact_total_charge and not physics.remove_mean:
        physics = replace(physics, remove_mean=True)
        per_frame = batch.total_charges / batch.atoms_per_frame
        shares = per_frame[batch.frame_of_atom]  # [N]
    signs = torch.tensor(physics.charge_sign, dtype=charges.dtype, device=charges.device)
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
    return with_dielectric(tensor, dielectric_root(physics.epsilon_inf))


def _with_total_charge(charges: Tensor, batch: Batch, physics: Physics) -> Tensor:
    """Charges [N, 1] shifted alike in each frame, so that their sum is its total charge."""
    target = batch.total_charges * (physics.charge_sign[0] / physics.charge_unit)
    shift = (target[:, None] - batch.per_frame(charges)) / batch.atoms_per_frame[:, None]
    return charges + shift[batch.frame_of_atom]


def _without_mean(values: Tensor, batch: Batch) -> Tensor:
    return values - (batch.per_frame(values) / batch.atoms_per_frame)[batch.frame_of_atom]


def _long_range_of_frames(
    charges: Tensor, batch: Batch, parameters: LongRangeParameters, virial: bool
) -> LongRange:
    parts = [
        long_range(r, q, cell, triples, periodic, parameters, virial)
        for r, q, cell, triples, periodic in zip(
            batch.positions.split(batch.sizes),
            charges.split(batch.sizes),
            batch.cells,
            batch.triples,
            batch.periodic,
            strict=True,
        )
    ]
    return LongRange(
        torch.cat([part.potential for part in parts]),
        torch.cat([part.forces for part in parts]),
        torch.stack([part.virial for part in parts]),
    )


def _stress(by_edges: Tensor, virial: Tensor, batch: Batch) -> Tensor:
    """(1/V) dE/d(strain) [B, 6], Voigt order; strains edges, positions and cell together."""
    per_edge = batch.edge_vectors[:, :, None] * by_edges[:, None, :]
    frame = batch.frame_of_atom[batch.edge_index[0]]
    gradient = (-virial).index_add(0, frame, per_edge)  # [B, 3, 3]
    periodic = torch.tensor(batch.periodic, device=virial.device)
    identity = torch.eye(3, dtype=virial.dtype, device=virial.device)
    cells = torch.where(periodic[:, None, None], batch.cells, identity)
    volume = torch.abs(torch.linalg.det(cells))
    stress = 0.5 * (gradient + gradient.transpose(1, 2)) / volume[:, None, None]
    stress = torch.where(periodic[:, None, None], stress, torch.zeros_like(stress))
    return stress.flatten(1)[:, [0, 4, 8, 5, 2, 1]]


def _diagonal(coupling: Tensor, batch: Batch, physics: Physics) -> Tensor:
    """q~_i delta_ab, [N, 3, 3]."""
    charges = _without_mean(coupling, batch) if physics.remove_mean else coupling
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
        found = _evaluate(network, vectors, graph.edge_index, species, total)
        charges = _latents(found)[1][:size]
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

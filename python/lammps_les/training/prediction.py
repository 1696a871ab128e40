"""What a model predicts for a batch, differentiable in the parameters of the network.

The network is differentiated with respect to edge vectors only. The long-range part enters by
formula: with e_i and s_i the outputs of the network, energies and latents, and F_lr = -dE_lr/dr at
fixed latents,

    E = sum_i e_i + E_lr
    g_cj = d(sum_i e_i)/dr_cj + sum_i dE_lr/ds_i ds_i/dr_cj
    F_i = F_lr,i + sum_j g_ij - sum_c g_ci

so that one backward pass through the network gives the forces, and the loss needs one more
derivative, in which the tables of cos k.r and sin k.r are constants.
"""

from collections.abc import Collection, Sequence

import torch
from torch import Tensor

from lammps_les.electrostatics import (
    Latents,
    coupling_charges,
    dielectric_root,
    gradients,
    with_dielectric,
)
from lammps_les.keys import (
    BORN_EFFECTIVE_CHARGES,
    DIPOLE,
    ENERGY,
    FORCES,
    POLARIZABILITY,
    STRESS,
    TOTAL_CHARGE,
)
from lammps_les.models import Chain
from lammps_les.training.born_charges import born_charges, born_of_dipoles, without_mean
from lammps_les.training.evaluation import evaluate, given, joined, latents_of
from lammps_les.training.frames import Batch
from lammps_les.training.long_range import LongRange, long_range
from lammps_les.training.physics import Physics
from lammps_les.training.screening import polarizabilities, screening, volumes
from lammps_les.training.stability import SOFTNESS, SUSCEPTIBILITY


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
        (zero for open frames), born_effective_charges [N, 3, 3] in e (not with kappa), dipole
        [B, 3] in e A (of the latents themselves, epsilon_inf not applied, about the mean position;
        open frames), total_charge [B] in e, polarizability [B, 3, 3] in e A^2/V (of periodic
        frames with what epsilon_e adds to that of alpha), and always ``latent_charges`` [N, C] in
        file units, with alpha ``susceptibility`` [B, 3, 3], with kappa ``softness`` [B] in
        unit^2/(eV A^3) (both zero for open frames).
    """
    want_gradient = FORCES.name in wanted or STRESS.name in wanted
    signs = batch.positions.new_tensor(physics.charge_sign)
    want_born = BORN_EFFECTIVE_CHARGES.name in wanted and len(signs) > 0
    edges = batch.edge_vectors.detach().requires_grad_(want_gradient or want_born)
    charge_of_atom = batch.total_charges[batch.frame_of_atom]  # of its frame
    found = evaluate(network, edges, batch.edge_index, batch.species, charge_of_atom)
    energies, bare = latents_of(network, found)
    latents = bare
    if physics.exact_total_charge:
        latents = bare._replace(charge=_with_total_charge(bare.charge, batch, physics))
    want_born = want_born and latents.kappa is None
    weights = physics.charge_unit * signs if want_born else None
    result = {"latent_charges": latents.charge}
    parts = _long_range_of_frames(latents, batch, physics, STRESS.name in wanted, weights)
    result[ENERGY.name] = batch.per_frame(energies + torch.cat([far.energies for far in parts]))
    if want_gradient:
        cotangents = joined([far.by_latents for far in parts])
        (by_edges,) = gradients(
            [energies, *given(latents)],
            [torch.ones_like(energies), *given(cotangents)],
            [edges],
            create_graph,
        )
        center, neighbor = batch.edge_index
        forces = torch.cat([far.forces for far in parts])
        forces = forces.index_add(0, center, by_edges)
        result[FORCES.name] = forces.index_add(0, neighbor, -by_edges)
        if STRESS.name in wanted:
            virial = torch.stack([far.virial for far in parts])
            result[STRESS.name] = _stress(by_edges, virial, batch)
    if TOTAL_CHARGE.name in wanted:
        charges = coupling_charges(latents.charge, physics.charge_unit, signs)
        result[TOTAL_CHARGE.name] = batch.per_frame(charges)
    if DIPOLE.name in wanted:
        result[DIPOLE.name] = _dipole(latents, parts, batch, physics, signs)
    if latents.alpha is not None:
        result[SUSCEPTIBILITY], root = screening(latents.alpha, batch, physics)
        if POLARIZABILITY.name in wanted:
            result[POLARIZABILITY.name] = polarizabilities(latents.alpha, batch, physics, root)
    if latents.kappa is not None:
        result[SOFTNESS] = batch.per_frame(latents.kappa.sum(1)) / volumes(batch)
    if want_born:
        tensor = born_charges(
            network, bare.charge, edges, found, batch, physics, signs, create_graph
        )
        if len(given(latents)) > 1:
            tensor = tensor + born_of_dipoles(latents, parts, edges, batch, create_graph)
        if latents.alpha is None:
            root = dielectric_root(physics.epsilon_inf)
        result[BORN_EFFECTIVE_CHARGES.name] = with_dielectric(tensor, root)
    return result


def _with_total_charge(charges: Tensor, batch: Batch, physics: Physics) -> Tensor:
    """Charges [N, 1] shifted alike in each frame, so that their sum is its total charge."""
    target = batch.total_charges * (physics.charge_sign[0] / physics.charge_unit)
    shift = (target[:, None] - batch.per_frame(charges)) / batch.atoms_per_frame[:, None]
    return charges + shift[batch.frame_of_atom]


def _long_range_of_frames(
    latents: Latents, batch: Batch, physics: Physics, virial: bool, dipole_weights: Tensor | None
) -> list[LongRange]:
    parts = zip(*(x.split(batch.sizes) for x in given(latents)), strict=True)
    names = [name for name, x in latents._asdict().items() if x is not None]
    return [
        long_range(
            r,
            Latents(**dict(zip(names, mine, strict=True))),
            cell,
            triples,
            periodic,
            physics.long_range,
            virial,
            dipole_weights,
        )
        for r, mine, cell, triples, periodic in zip(
            batch.positions.split(batch.sizes),
            parts,
            batch.cells,
            batch.triples,
            batch.periodic,
            strict=True,
        )
    ]


def _dipole(
    latents: Latents, parts: Sequence[LongRange], batch: Batch, physics: Physics, signs: Tensor
) -> Tensor:
    """Dipole [B, 3] of charges and dipoles, those that are induced included."""
    charge, dipole = latents.charge, latents.dipole
    if latents.kappa is not None:
        charge = charge + torch.cat([far.charge_induced for far in parts])  # type: ignore[misc]
    neutral = without_mean(coupling_charges(charge, physics.charge_unit, signs), batch)
    of_atoms = neutral[:, None] * batch.positions  # so the origin does not matter
    if latents.alpha is not None:
        induced = torch.cat([far.dipole_induced for far in parts])  # type: ignore[misc]
        dipole = induced if dipole is None else dipole + induced
    if dipole is not None:
        of_atoms = of_atoms + coupling_charges(dipole, physics.charge_unit, signs)
    return batch.per_frame(of_atoms)


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

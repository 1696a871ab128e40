"""What structures tell of alpha and kappa of an imported network: their size, and their sign."""

from collections.abc import Sequence
from typing import Any

import torch
from ase import Atoms

from lammps_les.data.neighbors import neighbor_list
from lammps_les.electrostatics import coupling_dielectric, latents_of
from lammps_les.electrostatics.polarization import susceptibility
from lammps_les.model_file import Dielectric
from lammps_les.models import Chain
from lammps_les_export.adapters.imported import WARNING
from lammps_les_export.charge_sign import water_box
from lammps_les_export.sign_evidence import a_few, species_index


def response_of(
    network: Chain,
    structures: Sequence[Atoms] | None,
    norm: float,
    epsilon_inf: Dielectric,
    notes: list[str],
) -> dict[str, Any]:
    """Fields of ``response`` in the metadata: susceptibility, softness, epsilon_e, where known.

    Programs may leave alpha and kappa without a sign that is right by construction. They are taken
    as they are, and what is negative in the structures is said.

    Args:
        network: in float64; without alpha and kappa there is nothing to say.
        structures: typical ones; without them, for H and O, a box of liquid water.
        norm: N of the long-range sum [eV A per file unit squared].
        epsilon_inf: of the model file.
        notes: gets a sentence for what was found.
    """
    names = [name for name in ("alpha", "kappa") if name in network.latent_names]
    if not names:
        return {}
    chosen = a_few(structures or water_box(network))
    what = " and ".join(names)
    if not chosen:
        notes.append(
            f"{WARNING}sign and size of {what} are not known; --structures would show them, and "
            "set epsilon_e, which takes the place of epsilon_inf in fields"
        )
        return {}
    place = f"{len(chosen)} structure(s)" if structures else "a box of liquid water"
    found: dict[str, list[float]] = {"susceptibility": [], "softness": []}
    lowest: dict[str, tuple[float, str]] = {}
    for atoms in chosen:
        cell, periodic = torch.from_numpy(atoms.cell.array.copy()), bool(atoms.pbc.all())
        edges, shifts = neighbor_list(atoms.positions, atoms.cell.array, periodic, network.cutoff)
        r = torch.from_numpy(atoms.positions.copy())
        vectors = r[edges[1]] - r[edges[0]] + shifts.to(r.dtype) @ cell
        index = torch.from_numpy(species_index(network, atoms))
        with torch.no_grad():
            latents = latents_of(network(vectors, edges, index, len(atoms)))
        volume = abs(float(torch.linalg.det(cell)))
        if latents.alpha is not None:
            values = torch.linalg.eigvalsh(latents.alpha).amin((1, 2))
            _keep_lowest(lowest, "alpha", values, atoms)
            if periodic:
                chi = susceptibility(latents.alpha, norm, volume)
                found["susceptibility"].append(float(torch.trace(chi)) / 3.0)
        if latents.kappa is not None:
            _keep_lowest(lowest, "kappa", latents.kappa.amin(1), atoms)
            if periodic:
                found["softness"].append(float(latents.kappa.sum()) / volume)
    notes += [
        f"{WARNING}{name} is negative, {value:.3g} file units at {symbol} in {place}, and the "
        "model does not make it positive: the response may be unstable"
        for name, (value, symbol) in lowest.items()
        if value < 0.0
    ]
    fields = {name: sum(values) / len(values) for name, values in found.items() if values}
    if fields.get("softness", 0.0) < 0.0:
        del fields["softness"]
    if "susceptibility" not in fields:
        return fields
    chi_mean = fields["susceptibility"]
    if not 0.0 <= chi_mean < 1.0:
        notes.append(
            f"{WARNING}susceptibility chi = {chi_mean:.3f} in {place}, it must lie between 0 and "
            "1: the response is unstable"
        )
        del fields["susceptibility"]
        return fields
    notes.append(
        f"susceptibility chi = {chi_mean:.3f} in {place}: fields couple with "
        "epsilon_inf / (1 + chi)"
    )
    epsilon_e = coupling_dielectric(epsilon_inf, chi_mean * torch.eye(3, dtype=torch.float64))
    return {**fields, "epsilon_e": epsilon_e}


def _keep_lowest(
    lowest: dict[str, tuple[float, str]], name: str, values: torch.Tensor, atoms: Atoms
) -> None:
    at = int(values.argmin())
    one = (float(values[at]), atoms.get_chemical_symbols()[at])
    lowest[name] = min(one, lowest.get(name, one))

"""The module inside a model file (FORMAT.md, "Methods of the module")."""

import math

import torch
from torch import Tensor, nn

from lammps_les.electrostatics.born_effective_charges import (
    born_effective_charges,
    born_effective_charges_one_layer,
    derivative,
    is_phase_form,
)
from lammps_les.electrostatics.layers import Cut
from lammps_les.electrostatics.long_range import is_periodic, long_range_energy
from lammps_les.electrostatics.parameters import LongRangeParameters
from lammps_les.electrostatics.polarization import coupling_charges, with_total_charge
from lammps_les.electrostatics.unfolding import unfold
from lammps_les.model_file import Metadata


class ExportedModel(nn.Module):
    """A network together with the long-range sum that its metadata describe.

    Args:
        network: scriptable; forward(edge_vectors, edge_index, species, n_centers) returns
            ``energy`` [n_centers] in eV and ``charge`` [n_centers, channels] in file units.
        metadata: of the model file; ``dtype`` must be the type of the network's parameters.
    """

    atomic_energies: Tensor
    charge_sign: Tensor

    def __init__(self, network: nn.Module, metadata: Metadata) -> None:
        super().__init__()
        self.network = network
        self.dtype = metadata.torch_dtype
        self.layers = metadata.layers
        self.sigma = float(metadata.sigma)
        self.dl = float(metadata.dl)
        self.norm = float(metadata.norm)
        self.remove_self = metadata.remove_self
        self.self_factor = float(metadata.self_factor)
        self.open_shift = float(metadata.open_shift)
        self.charge_unit = float(metadata.charge_unit)
        self.epsilon_inf = float(metadata.epsilon_inf)
        self.total_charge = metadata.total_charge
        self.remove_mean = metadata.remove_mean
        self.bec_form = str(metadata.bec_form)
        energies = [metadata.atomic_energies[symbol] for symbol in metadata.species]
        self.register_buffer("atomic_energies", torch.tensor(energies, dtype=torch.float64))
        signs = torch.tensor(metadata.charge_sign, dtype=torch.float64)
        self.register_buffer("charge_sign", signs)

    @torch.jit.export
    def latents(
        self, edge_vectors: Tensor, edge_index: Tensor, species: Tensor, n_centers: int
    ) -> dict[str, Tensor]:
        """Short-range energies [n_centers] in eV and charges [n_centers, C] in file units."""
        return self.network(edge_vectors, edge_index, species, n_centers)

    def forward(
        self,
        positions: Tensor,
        species: Tensor,
        cell: Tensor,
        pbc: Tensor,
        edge_index: Tensor,
        edge_shifts: Tensor,
        compute_bec: bool = False,
        born: str | None = None,
    ) -> dict[str, Tensor]:
        """Energy, forces, stress, charges and Born effective charges of a whole system.

        Arguments, shapes and units are those of FORMAT.md. Forces and stress are derivatives of the
        energy by automatic differentiation, so they judge codes that write them out by formula;
        do not call this under ``torch.no_grad``.
        """
        periodic = is_periodic(pbc)
        form = self.bec_form if born is None else born
        is_phase_form(form)  # refuses other names, also where no tensor is asked for
        parameters = LongRangeParameters(
            self.sigma, self.dl, self.norm, self.remove_self, self.self_factor, self.open_shift
        )
        n = positions.size(0)
        leaf = positions.detach().clone().requires_grad_(True)
        strain = torch.zeros_like(cell).requires_grad_(True)
        identity = torch.eye(3, dtype=cell.dtype, device=cell.device)
        deformation = identity + 0.5 * (strain + strain.T)
        deformed = leaf @ deformation
        lattice = cell.detach() @ deformation
        center, neighbor = edge_index[0], edge_index[1]
        edge_vectors = deformed[neighbor] - deformed[center] + edge_shifts @ lattice
        latent = self.latents(edge_vectors.to(self.dtype), edge_index, species, n)
        latent_charges = latent["charge"].to(positions.dtype)
        charges = latent_charges
        total_charge = self.total_charge
        if total_charge is not None:
            charges = with_total_charge(
                latent_charges, total_charge, self.charge_unit, self.charge_sign
            )
        short_range = latent["energy"].to(positions.dtype).sum()
        long_range = long_range_energy(deformed, charges, lattice, periodic, parameters)
        energy = short_range + long_range
        result = {
            "energy": (energy + self.atomic_energies[species].sum()).detach(),
            "forces": -derivative(energy, leaf, False),
            "stress": torch.zeros_like(cell),
            "charge": charges.detach(),
        }
        if periodic:
            volume = torch.abs(torch.linalg.det(cell))
            result["stress"] = derivative(energy, strain, False) / volume
        if compute_bec:
            # a shift of all charges cancels where the mean is removed
            remove_mean = self.remove_mean or total_charge is not None
            if self.layers == 1:
                result["bec"] = born_effective_charges_one_layer(
                    self._coupling_charges(latent_charges),
                    edge_vectors,
                    edge_index,
                    positions,
                    cell,
                    periodic,
                    remove_mean,
                    form,
                )
            else:
                result["bec"] = self._unfolded_bec(
                    positions, species, cell, periodic, edge_index, edge_shifts, remove_mean, form
                )
            if total_charge is not None and not self.remove_mean:
                share = math.sqrt(self.epsilon_inf) * total_charge / max(1, n)
                result["bec"] = result["bec"] + share * identity
        return result

    def _coupling_charges(self, charges: Tensor) -> Tensor:
        return coupling_charges(charges, self.charge_unit, self.charge_sign, self.epsilon_inf)

    def _unfolded_bec(
        self,
        positions: Tensor,
        species: Tensor,
        cell: Tensor,
        periodic: bool,
        edge_index: Tensor,
        edge_shifts: Tensor,
        remove_mean: bool,
        born: str,
    ) -> Tensor:
        n = positions.size(0)
        graph = unfold(edge_index, edge_shifts, n, self.layers)
        images = positions.detach()[graph.owner] + graph.shifts.to(cell.dtype) @ cell.detach()
        images = images.requires_grad_(True)
        edge_vectors = images[graph.edge_index[1]] - images[graph.edge_index[0]]
        latent = self.latents(
            edge_vectors.to(self.dtype), graph.edge_index, species[graph.owner], n
        )
        charges = self._coupling_charges(latent["charge"].to(positions.dtype))
        return born_effective_charges(
            charges, images, graph.owner, cell, periodic, remove_mean, born
        )


class ExportedOneLayer(ExportedModel):
    """The same for a network of one layer that has its derivatives written out."""

    @torch.jit.export
    def latents_keeping(
        self, edge_vectors: Tensor, edge_index: Tensor, species: Tensor, n_centers: int
    ) -> tuple[dict[str, Tensor], list[Tensor]]:
        """The same as ``latents``, without a graph, and what ``pull_back`` needs."""
        # any network with the methods, which nn.Module does not know
        return self.network.keeping(  # type: ignore[operator]
            edge_vectors, edge_index, species, n_centers
        )

    @torch.jit.export
    def pull_back(self, kept: list[Tensor], charge_weights: Tensor, with_energy: bool) -> Tensor:
        """Gradients [k, E, 3] of sums of charges, the first with the energies, by the edges."""
        return self.network.pull_back(  # type: ignore[operator]
            kept, charge_weights, with_energy
        )


class ExportedRows(ExportedOneLayer):
    """The same for a network that takes edges in rows too, as a GPU has them."""

    @torch.jit.export
    def latents_in_rows(
        self, vectors: Tensor, neighbor_species: Tensor, species: Tensor
    ) -> tuple[dict[str, Tensor], list[Tensor]]:
        """The same as ``latents_keeping``, of edges in rows."""
        # any network with the methods, which nn.Module does not know
        return self.network.keeping_in_rows(  # type: ignore[operator]
            vectors, neighbor_species, species
        )

    @torch.jit.export
    def pull_back_in_rows(
        self, kept: list[Tensor], charge_weights: Tensor, with_energy: bool
    ) -> Tensor:
        """The same as ``pull_back``, [k, n, width, 3] by the vectors in rows."""
        return self.network.pull_back_in_rows(  # type: ignore[operator]
            kept, charge_weights, with_energy
        )


class ExportedLayers(ExportedModel):
    """The same for a network of several layers, which can be differentiated one by one."""

    @torch.jit.export
    def latents_by_layer(
        self, edge_vectors: Tensor, edge_index: Tensor, species: Tensor, n_centers: int
    ) -> tuple[dict[str, Tensor], list[Cut], list[list[Tensor]]]:
        """The same; what passes between the layers of the charges, and what enters each."""
        # any network with the method, which nn.Module does not know
        return self.network.by_layer(  # type: ignore[operator]
            edge_vectors, edge_index, species, n_centers
        )

"""The module inside a model file (FORMAT.md)."""

import inspect
import zlib

import torch
from torch import Tensor, nn

from lammps_les.electrostatics.born_effective_charges import is_phase_form
from lammps_les.electrostatics.latents import latents_of
from lammps_les.electrostatics.long_range import is_periodic
from lammps_les.electrostatics.parameters import LongRangeParameters
from lammps_les.electrostatics.polarization import dielectric_root
from lammps_les.electrostatics.system import (
    Coupling,
    energy_forces_stress,
    node_positions,
    strainable_system,
    system_born_charges,
)
from lammps_les.electrostatics.unfolding import unfold
from lammps_les.model_file import Metadata, metadata_text


class ExportedModel(nn.Module):
    """A network together with the long-range sum that its metadata describe.

    Args:
        network: scriptable; with ``piece``, and forward(edge_vectors, edge_index, species,
            n_centers) that is the method ``latents`` of FORMAT.md.
        metadata: of the model file; ``dtype`` must be the type of the network's parameters.

    Attributes:
        metadata, checksums: what a reader holds against the file ("What the module may carry").
    """

    checksums: dict[str, int]

    atomic_energies: Tensor
    charge_sign: Tensor
    dielectric_root: Tensor

    def __init__(self, network: nn.Module, metadata: Metadata) -> None:
        super().__init__()
        self.network = network
        self.metadata = metadata_text(metadata)
        self.dtype = metadata.network.torch_dtype
        self.layers = metadata.network.layers
        far = metadata.long_range
        self.sigma, self.dl, self.norm = float(far.sigma), float(far.dl), float(far.norm)
        self.remove_self = far.remove_self
        self.self_factor, self.open_shift = float(far.self_factor), float(far.open_shift)
        self.charge_unit = float(metadata.charges.unit)
        self.total_charge = metadata.charges.total
        self.remove_mean = metadata.response.remove_mean
        self.bec_form = str(metadata.response.bec_form)
        energies = [metadata.atomic_energies[symbol] for symbol in metadata.network.species]
        signs = metadata.charges.sign
        self.register_buffer("atomic_energies", torch.tensor(energies, dtype=torch.float64))
        self.register_buffer("charge_sign", torch.tensor(signs, dtype=torch.float64))
        self.register_buffer("dielectric_root", dielectric_root(metadata.coupling_epsilon))
        tensors = (*self.named_parameters(), *self.named_buffers())
        self.checksums = {name: checksum(tensor) for name, tensor in tensors}

    @torch.jit.export
    def latents(
        self, edge_vectors: Tensor, edge_index: Tensor, species: Tensor, n_centers: int
    ) -> dict[str, Tensor]:
        """Short-range energies [n_centers] in eV, and latents in file units (FORMAT.md)."""
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
        bec: str | None = None,
    ) -> dict[str, Tensor]:
        """Energy, forces, stress, latents and Born effective charges of a whole system.

        Arguments, shapes and units are those of FORMAT.md. Everything is a derivative by automatic
        differentiation, so this is the reference of codes that write it out by formula; do not
        call it under ``torch.no_grad``.
        """
        periodic = is_periodic(pbc)
        form = self.bec_form if bec is None else bec
        is_phase_form(form)  # refuses other names, also where no tensor is asked for
        parameters = LongRangeParameters(
            self.sigma, self.dl, self.norm, self.remove_self, self.self_factor, self.open_shift
        )
        coupling = Coupling(
            self.charge_unit,
            self.charge_sign,
            self.total_charge,
            self.dielectric_root,
            self.remove_mean,
        )
        n = positions.size(0)
        system = strainable_system(positions, cell, edge_index, edge_shifts)
        latent = self.latents(system.edge_vectors.to(self.dtype), edge_index, species, n)
        result = energy_forces_stress(
            system, latent["energy"].double(), latents_of(latent), periodic, parameters, coupling
        )
        result["energy"] = result["energy"] + self.atomic_energies[species].sum()
        if compute_bec:
            graph = unfold(edge_index, edge_shifts, n, self.layers)
            nodes = node_positions(graph, positions, cell)
            vectors = nodes[graph.edge_index[1]] - nodes[graph.edge_index[0]]
            latent = self.latents(vectors.to(self.dtype), graph.edge_index, species[graph.owner], n)
            result["bec"] = system_born_charges(
                latents_of(latent),
                nodes,
                graph.owner,
                cell,
                periodic,
                parameters,
                coupling,
                form,
            )
        return result


def checksum(tensor: Tensor) -> int:
    """CRC-32 of type, shape and elements, as FORMAT.md has it."""
    about = f"{str(tensor.dtype).removeprefix('torch.')} {list(tensor.shape)}\n"
    elements = tensor.detach().cpu().contiguous().flatten().view(torch.uint8)
    return zlib.crc32(elements.numpy().tobytes(), zlib.crc32(about.encode()))


# A method of a scripted module is that of its class, so there is a class for each kind of network.
# Types: the network is any one with the methods, which nn.Module does not know.


class WithoutRows(ExportedModel):
    """A network that takes edges as they come, none longer than the cutoff."""

    @torch.jit.export
    def piece(
        self,
        t: int,
        kept: Tensor,
        sent: Tensor,
        source: Tensor,
        edge_vectors: Tensor,
        edge_index: Tensor,
        species: Tensor,
        n: int,
    ) -> list[Tensor]:
        """A piece of the network."""
        return self.network.piece(  # type: ignore[operator]
            t, kept, sent, source, edge_vectors, edge_index, species, n
        )


class WithoutRowsStoring(WithoutRows):
    """The same with derivatives written out."""

    @torch.jit.export
    def piece_store(
        self,
        t: int,
        kept: Tensor,
        sent: Tensor,
        source: Tensor,
        edge_vectors: Tensor,
        edge_index: Tensor,
        species: Tensor,
        n: int,
    ) -> tuple[list[Tensor], list[Tensor]]:
        """The same without a graph, and what ``piece_backward`` needs."""
        return self.network.piece_store(  # type: ignore[operator]
            t, kept, sent, source, edge_vectors, edge_index, species, n
        )

    @torch.jit.export
    def piece_backward(
        self, t: int, stored: list[Tensor], cotangents: list[Tensor]
    ) -> list[Tensor]:
        """Gradients by what the piece took."""
        return self.network.piece_backward(t, stored, cotangents)  # type: ignore[operator]


class WithRows(ExportedModel):
    """A network that takes edges in rows too, as a GPU has them."""

    @torch.jit.export
    def piece(
        self,
        t: int,
        kept: Tensor,
        sent: Tensor,
        source: Tensor,
        edge_vectors: Tensor,
        edge_index: Tensor,
        species: Tensor,
        n: int,
        row_length: int = 0,
    ) -> list[Tensor]:
        """A piece of the network."""
        return self.network.piece(  # type: ignore[operator]
            t, kept, sent, source, edge_vectors, edge_index, species, n, row_length
        )


class WithRowsStoring(WithRows):
    """The same with derivatives written out."""

    @torch.jit.export
    def piece_store(
        self,
        t: int,
        kept: Tensor,
        sent: Tensor,
        source: Tensor,
        edge_vectors: Tensor,
        edge_index: Tensor,
        species: Tensor,
        n: int,
        row_length: int = 0,
    ) -> tuple[list[Tensor], list[Tensor]]:
        """The same without a graph, and what ``piece_backward`` needs."""
        return self.network.piece_store(  # type: ignore[operator]
            t, kept, sent, source, edge_vectors, edge_index, species, n, row_length
        )

    @torch.jit.export
    def piece_backward(
        self, t: int, stored: list[Tensor], cotangents: list[Tensor]
    ) -> list[Tensor]:
        """Gradients by what the piece took."""
        return self.network.piece_backward(t, stored, cotangents)  # type: ignore[operator]


def exported(network: nn.Module, metadata: Metadata) -> ExportedModel:
    """The module of a model file for what a network offers."""
    rows = "row_length" in inspect.signature(network.piece).parameters  # type: ignore[arg-type]
    storing = hasattr(network, "piece_store")
    kinds = {
        (False, False): WithoutRows,
        (False, True): WithoutRowsStoring,
        (True, False): WithRows,
        (True, True): WithRowsStoring,
    }
    return kinds[rows, storing](network, metadata)

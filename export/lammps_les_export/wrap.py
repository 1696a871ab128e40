"""Anybody's network as one that can be written as a model file."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from lammps_les.model_file import ModelFileError


class WrappedNetwork(nn.Module):
    """A network in one piece around a module of somebody else; see :func:`wrap`."""

    def __init__(
        self, module: nn.Module, species: list[str], cutoff: float, layers: int, channels: int
    ) -> None:
        super().__init__()
        self.module = module
        self.species = species
        self.cutoff = cutoff
        self.layers = layers
        self.channels = channels
        self.kept: list[int] = []
        self.sent: list[int] = []
        self.kind = "wrapped"

    def forward(
        self, edge_vectors: Tensor, edge_index: Tensor, species: Tensor, n_centers: int
    ) -> dict[str, Tensor]:
        """Energies and charges of the first atoms; what the module says of the others is left."""
        charge = edge_vectors.new_zeros([n_centers, self.channels])
        if species.size(0) == 0:  # need not be anything that it knows
            return {"energy": edge_vectors.new_zeros([0]), "charge": charge}
        outputs = self.module(edge_vectors, edge_index, species)
        if self.channels > 0:
            charge = outputs["charge"][:n_centers]
        return {"energy": outputs["energy"][:n_centers], "charge": charge}

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
        """All of it."""
        outputs = self.forward(edge_vectors, edge_index, species, n)
        if self.channels > 0:
            return [outputs["energy"], outputs["charge"]]
        return [outputs["energy"]]


def wrap(
    module: nn.Module, *, species: Sequence[str], cutoff: float, layers: int, channels: int
) -> WrappedNetwork:
    """Make a network for :func:`lammps_les_export.write_model` of a module that knows no pieces.

    It is not cut: who evaluates it takes ghosts ``layers`` cutoffs deep, which is exact for
    anything, and slow for deep networks on many small ranks.

    Args:
        module: scriptable; module(edge_vectors [E, 3], edge_index [2, E], species [n_all]) gives
            "energy" [n_all] in eV and, with channels, "charge" [n_all, channels] in file units.
            Edge vectors are r_cj = x_j - x_c in A; row 0 of ``edge_index`` is the center c, sorted,
            row 1 the neighbor j; ``species`` are indices into ``species`` below.
        species: element symbols.
        cutoff: A, of one layer.
        layers: how many edges away an atom may be that its results depend on.
        channels: latent charges per atom; 0 = energy only.

    Raises:
        ModelFileError: the module gives other outputs, or other shapes.
    """
    network = WrappedNetwork(module, list(species), float(cutoff), layers, channels)
    _try(module, len(network.species), channels)
    return network


def _try(module: nn.Module, n_species: int, channels: int) -> None:
    """See what the module gives for atoms without neighbors."""
    tensors = [*module.parameters(), *module.buffers()]
    dtype = next((t.dtype for t in tensors if t.is_floating_point()), torch.get_default_dtype())
    none = torch.zeros((2, 0), dtype=torch.int64)
    with torch.no_grad():
        found = module(torch.zeros((0, 3), dtype=dtype), none, torch.arange(n_species))
    expected = {"energy": (n_species,)} | ({"charge": (n_species, channels)} if channels else {})
    for name, shape in expected.items():
        if not isinstance(found, dict) or name not in found:
            names = ", ".join(found) if isinstance(found, dict) else type(found).__name__
            raise ModelFileError(
                f"wrap: expected '{name}' among what the module gives, got {names}"
            )
        if tuple(found[name].shape) != shape:
            raise ModelFileError(
                f"wrap: '{name}' of {n_species} atoms should be of shape {list(shape)}, got "
                f"{list(found[name].shape)}"
            )

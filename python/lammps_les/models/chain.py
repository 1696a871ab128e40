"""A network as a chain of pieces, one for each layer."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from lammps_les.models.limits import in_order


class Chain(nn.Module):
    """What a network of a model file has (FORMAT.md) besides ``piece``, which subclasses add.

    It takes edges in rows too: its last argument is ``row_length``.

    Args:
        species: element symbols; the place in the list is the species index.
        cutoff: radius [A] of one layer.
        layers: an atom's results depend on atoms up to ``layers * cutoff`` away.
        channels: latent charges per atom, and others likewise.
        latents: what an atom has beside its energy.

    Attributes:
        latent_names: what the last piece gives after the energy; none without channels.
        kept, sent: between any two pieces, how many numbers an atom keeps for itself and how many
            its neighbors get; see ``cut``. A network that is not cut has one piece.
        kind: name of the kind of network, "" for one that no reader need know.
        config: sizes, from which ``build_network`` makes an equal one; None where it cannot.
        needs_total_charge: whether the network asks for the total charge of the system;
            ``at_total_charge`` gives a network that does not.
    """

    latent_names: list[str]

    def __init_subclass__(cls, **kwargs: Any) -> None:
        """Repeat the type above: TorchScript reads those of the last class alone."""
        super().__init_subclass__(**kwargs)
        cls.__annotations__ = {"latent_names": list[str], **cls.__dict__.get("__annotations__", {})}

    def __init__(
        self,
        species: list[str],
        cutoff: float,
        layers: int,
        channels: int,
        latents: Sequence[str] = ("charge",),
    ) -> None:
        super().__init__()
        self.species = species
        self.cutoff = cutoff
        self.layers = layers
        self.channels = channels
        self.latent_names = list(in_order(latents)) if channels > 0 else []
        self.kind = ""
        self.config: Any = None
        self.needs_total_charge = False
        self.cut([], [])

    def cut(self, kept: list[int], sent: list[int]) -> None:
        """Say what passes between the pieces."""
        self.kept, self.sent = kept, sent
        self.pieces = len(sent) + 1

    def layer(
        self,
        t: int,
        kept: Tensor,
        sent: Tensor,
        source: Tensor,
        edge_vectors: Tensor,
        edge_index: Tensor,
        species: Tensor,
        n: int,
        row_length: int,
        total_charge: Tensor | None,
    ) -> list[Tensor]:
        """A piece for training, where a network may need the total charge of a system.

        ``total_charge`` is that of the system that each atom is part of, [n_all] in e; it is read
        only where the network ``needs_total_charge``.
        """
        return self.piece(  # type: ignore[operator]
            t, kept, sent, source, edge_vectors, edge_index, species, n, row_length
        )

    def at_total_charge(self, total_charge: float) -> "Chain":
        """A network that is this one for systems of one total charge [e], and needs none.

        One that needs none anyway is that itself.
        """
        return self

    def forward(
        self, edge_vectors: Tensor, edge_index: Tensor, species: Tensor, n_centers: int
    ) -> dict[str, Tensor]:
        """Short-range energies and latents of atoms 0 ... n_centers-1, by all pieces.

        Args:
            edge_vectors: [E, 3] r_cj = x_j - x_c [A], shorter than ``cutoff``.
            edge_index: [2, E] int64, row 0 the center c, row 1 the neighbor j; sorted by center.
            species: [n_all] int64, species index of every atom that an edge names.
            n_centers: number of atoms asked for. Edges must be given for these and for all atoms
                reached from them by fewer than ``layers`` edges.

        Returns:
            "energy" [n_centers] in eV, "charge" [n_centers, channels] in file units, and what else
            stands in ``latent_names``: "dipole" [n_centers, channels, 3], "quadrupole" [n_centers,
            channels, 3, 3] symmetric and traceless, "kappa" [n_centers, channels], "alpha"
            [n_centers, channels, 3, 3] symmetric.
        """
        n_all = species.size(0)
        kept, sent = edge_vectors.new_zeros([n_all, 0]), edge_vectors.new_zeros([0, 0])
        source = edge_index[1, :0]
        for t in range(self.pieces - 1):
            kept, sent = self.piece(  # type: ignore[operator]
                t, kept, sent, source, edge_vectors, edge_index, species, n_all, 0
            )
            source = edge_index[1]
        if self.pieces == self.layers:  # edges of further atoms have no part in the last one
            n_edges = int(torch.searchsorted(edge_index[0], n_centers))
            edge_vectors, edge_index = edge_vectors[:n_edges], edge_index[:, :n_edges]
            source = source[:n_edges]
        t, kept = self.pieces - 1, kept[:n_centers]
        outputs = self.piece(  # type: ignore[operator]
            t, kept, sent, source, edge_vectors, edge_index, species, n_centers, 0
        )
        found = {"energy": outputs[0], "charge": edge_vectors.new_zeros([n_centers, 0])}
        for index, name in enumerate(self.latent_names):
            found[name] = outputs[index + 1]
        return found

"""The short-range network: energies and latent charges of atoms from edge vectors."""

import copy
from dataclasses import replace

import torch
from torch import Tensor, nn

from lammps_les.electrostatics.layers import Cut
from lammps_les.models.config import NetworkConfig, ReadoutConfig, RepresentationConfig
from lammps_les.models.environments import Environments, pad_edges, pad_vectors
from lammps_les.models.readout import Readout
from lammps_les.models.representation import CaceRepresentation


def _readout(config: ReadoutConfig, n_features: int, n_out: int) -> Readout:
    return Readout(n_features, n_out, config.hidden, config.bias, config.linear, config.scale)


class LesNetwork(nn.Module):
    """Energy and latent charges of atoms; the ``latents`` method of the model file.

    Works with ``torch.jit.script``, in float32 and float64, and is differentiable any number of
    times in ``edge_vectors`` and in its parameters.

    Args:
        config: sizes.

    Attributes:
        config: the same, on a module that is not scripted.
        species: element symbols; the place in the list is the species index.
        cutoff: radius [A] of one layer.
        layers: an atom's results depend on atoms up to ``layers * cutoff`` away.
        channels: latent charges per atom.
        needs_total_charge: whether an embedding asks for the total charge of the system;
            ``at_total_charge`` gives a network that does not.

    Raises:
        ValueError: the two representations differ in cutoff or layers.
    """

    species: list[str]
    cutoff: float
    layers: int
    channels: int
    needs_total_charge: bool

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__()
        self.config = config
        self.species = list(config.species)
        self.cutoff = float(config.representation.cutoff)
        self.layers = config.representation.layers
        self.channels = config.channels
        self.needs_total_charge = any(
            part is not None and part.embed_total_charge
            for part in (config.representation, config.charge_representation)
        )
        self.representation = self._represent(config.representation)
        self.charge_representation = None
        n_charge_features = self.representation.n_features
        separate = config.charge_representation
        if separate is not None and config.channels > 0:
            for name in ("cutoff", "layers"):
                ours, theirs = getattr(config.representation, name), getattr(separate, name)
                if ours != theirs:
                    raise ValueError(
                        f"the representations of energy and charges have {name} {ours} and {theirs}"
                    )
            self.charge_representation = self._represent(separate)
            n_charge_features = self.charge_representation.n_features
        self.energy_readout = _readout(config.energy, self.representation.n_features, 1)
        self.charge_readout = None
        if config.channels > 0:
            self.charge_readout = _readout(config.charge, n_charge_features, config.channels)

    def _represent(self, config: RepresentationConfig) -> CaceRepresentation:
        return CaceRepresentation(config, len(self.species))

    def at_total_charge(self, total_charge: float) -> "LesNetwork":
        """A network that is this one for systems of one total charge [e], and needs none."""
        fixed = copy.deepcopy(self)
        parts = {}
        for name in ("representation", "charge_representation"):
            part, config = getattr(fixed, name), getattr(self.config, name)
            if part is not None:
                part.at_total_charge(total_charge)
                parts[name] = replace(config, embed_total_charge=False)
        fixed.config = replace(self.config, **parts)
        fixed.needs_total_charge = False
        return fixed

    def forward(
        self,
        edge_vectors: Tensor,
        edge_index: Tensor,
        species: Tensor,
        n_centers: int,
        total_charge: Tensor | None = None,
    ) -> dict[str, Tensor]:
        """Short-range energies and latent charges of atoms 0 ... n_centers-1.

        Args:
            edge_vectors: [E, 3] r_cj = x_j - x_c [A], shorter than ``cutoff``.
            edge_index: [2, E] int64, row 0 the center c, row 1 the neighbor j; sorted by center.
            species: [n_all] int64, species index of every atom that an edge names.
            n_centers: number of atoms asked for. Edges must be given for these and for all atoms
                reached from them by fewer than ``layers`` edges.
            total_charge: [n_all] in e, of the system that each atom is part of; where the network
                ``needs_total_charge``.

        Returns:
            "energy" [n_centers] in eV and "charge" [n_centers, channels] in file units.
        """
        return self.by_layer(edge_vectors, edge_index, species, n_centers, total_charge)[0]

    @torch.jit.export
    def by_layer(
        self,
        edge_vectors: Tensor,
        edge_index: Tensor,
        species: Tensor,
        n_centers: int,
        total_charge: Tensor | None = None,
    ) -> tuple[dict[str, Tensor], list[Cut], list[list[Tensor]]]:
        """The same, so that the layers of the charges can be differentiated one by one.

        Arguments as above.

        Returns:
            as above; what passes between the layers, in their order; and for each layer the tensors
            through which it, and no other one, depends on the edge vectors.
        """
        features, cuts, taken = self.representation(
            edge_vectors, edge_index, species, n_centers, total_charge
        )
        energy = self.energy_readout(features)[:, 0]
        charge = torch.zeros([n_centers, 0], dtype=energy.dtype, device=energy.device)
        if self.charge_readout is not None:
            if self.charge_representation is not None:
                features, cuts, taken = self.charge_representation(
                    edge_vectors, edge_index, species, n_centers, total_charge
                )
            charge = self.charge_readout(features)
        return {"energy": energy, "charge": charge}, cuts, taken

    @torch.jit.export
    def keeping(
        self, edge_vectors: Tensor, edge_index: Tensor, species: Tensor, n_centers: int
    ) -> tuple[dict[str, Tensor], list[Tensor]]:
        """The same for one layer, without a graph; and what ``pull_back`` needs.

        Arguments as above. Raises a RuntimeError for several layers.
        """
        if self.layers > 1:
            raise RuntimeError("LES: derivatives are written out for one layer, differentiate this")
        with torch.no_grad():
            env = pad_edges(edge_index, species, n_centers, 1)
            out, kept = self._keeping(env, pad_vectors(env, edge_vectors, self.cutoff))
            return out, [edge_vectors, env.place] + kept

    @torch.jit.export
    def keeping_in_rows(
        self, vectors: Tensor, neighbor_species: Tensor, species: Tensor
    ) -> tuple[dict[str, Tensor], list[Tensor]]:
        """The same for edges that are in rows already; and what ``pull_back_in_rows`` needs.

        Args:
            vectors: [n, m, 3] edge vectors of each atom [A]; longer than ``cutoff`` where there is
                no edge.
            neighbor_species: [n, m]; any species where there is no edge.
            species: [n].

        Returns:
            as above.
        """
        if self.layers > 1:
            raise RuntimeError("LES: derivatives are written out for one layer, differentiate this")
        with torch.no_grad():
            none = neighbor_species[:0]
            env = Environments(none, neighbor_species, none, species)
            return self._keeping(env, vectors.permute(2, 0, 1).contiguous())

    def _keeping(
        self, env: Environments, vectors: Tensor
    ) -> tuple[dict[str, Tensor], list[Tensor]]:
        features, kept = self.representation.keeping(env, vectors)
        energy, hidden = self.energy_readout.keeping(features)
        kept += hidden
        charge = torch.zeros([energy.size(0), 0], dtype=energy.dtype, device=energy.device)
        if self.charge_readout is not None:
            if self.charge_representation is not None:
                features, more = self.charge_representation.keeping(env, vectors)
                kept += more
            charge, hidden = self.charge_readout.keeping(features)
            kept += hidden
        return {"energy": energy[:, 0], "charge": charge}, kept

    @torch.jit.export
    def pull_back(self, kept: list[Tensor], charge_weights: Tensor, with_energy: bool) -> Tensor:
        """Gradients of weighed sums of charges by the edge vectors, several at once.

        Written out instead of left to automatic differentiation, because several of them then cost
        little more than one.

        Args:
            kept: of ``keeping``.
            charge_weights: [k, n_centers, channels].
            with_energy: add the sum of the energies to the first of them.

        Returns:
            [k, E, 3].
        """
        with torch.no_grad():
            edge_vectors, place = kept[0], kept[1]
            rows = self.pull_back_in_rows(kept[2:], charge_weights, with_energy)
            out = rows.new_zeros([rows.size(0), edge_vectors.size(0), 3])
            for index, gradient in enumerate(torch.unbind(rows)):
                out[index, : place.size(0)] = gradient.view(-1, 3).index_select(0, place)
            return out

    @torch.jit.export
    def pull_back_in_rows(
        self, kept: list[Tensor], charge_weights: Tensor, with_energy: bool
    ) -> Tensor:
        """The same by the vectors of ``keeping_in_rows``, of which ``kept`` is; [k, n, m, 3]."""
        with torch.no_grad():
            part, own = self.representation, self.charge_representation
            hidden = kept[part.n_kept : part.n_kept + self.energy_readout.n_kept]
            rest = kept[part.n_kept + self.energy_readout.n_kept :]
            k, n = charge_weights.size(0), charge_weights.size(1)
            width = kept[0].size(2)
            if n * width == 0:
                return charge_weights.new_zeros([k, n, width, 3])
            by_features: list[Tensor] = []  # [n_features, n] of each
            if self.charge_readout is None:
                by_features += [charge_weights.new_zeros([part.n_features, n])] * k
            else:
                of_charges = rest if own is None else rest[own.n_kept :]
                for weights in torch.unbind(charge_weights):
                    by_features.append(self.charge_readout.pull_back(of_charges, weights))
            ones = charge_weights.new_ones([n, 1])
            if own is None:
                if with_energy:
                    by_features[0] = by_features[0] + self.energy_readout.pull_back(hidden, ones)
                return part.pull_back(kept, torch.stack(by_features))
            out = own.pull_back(rest, torch.stack(by_features))
            if with_energy:
                of_energy = self.energy_readout.pull_back(hidden, ones)
                out[:1] += part.pull_back(kept, of_energy[None])
            return out

"""The short-range network: energies and latent charges of atoms from edge vectors."""

import copy
from dataclasses import replace

import torch
from torch import Tensor

from lammps_les.models.chain import Chain
from lammps_les.models.config import NetworkConfig, ReadoutConfig, RepresentationConfig
from lammps_les.models.environments import pad_edges, pad_rows, pad_vectors
from lammps_les.models.readout import Readout
from lammps_les.models.representation import CaceRepresentation


def _readout(config: ReadoutConfig, n_features: int, n_out: int) -> Readout:
    return Readout(n_features, n_out, config.hidden, config.bias, config.linear, config.scale)


class LesNetwork(Chain):
    """Energy and latent charges of atoms, a piece for each layer (FORMAT.md).

    Works with ``torch.jit.script``, in float32 and float64, and is differentiable any number of
    times in ``edge_vectors`` and in its parameters. Derivatives are written out for one layer.

    Args:
        config: sizes.

    Attributes:
        config: the same, on a module that is not scripted.
        needs_total_charge: whether an embedding asks for the total charge of the system;
            ``at_total_charge`` gives a network that does not.

    Raises:
        ValueError: the two representations differ in cutoff or layers.
    """

    def __init__(self, config: NetworkConfig) -> None:
        part = config.representation
        super().__init__(list(config.species), float(part.cutoff), part.layers, config.channels)
        self.kind = "cace"
        self.config = config
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
        parts = [p for p in (self.representation, self.charge_representation) if p is not None]
        self.cut(  # columns of both, one after the other
            [sum(widths) for widths in zip(*(part.kept for part in parts), strict=True)],
            [sum(widths) for widths in zip(*(part.sent for part in parts), strict=True)],
        )
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
        """One layer of n atoms; arguments and results are those of FORMAT.md."""
        return self.layer(
            t, kept, sent, source, edge_vectors, edge_index, species, n, row_length, None
        )

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
        """The same for training, where a network may need the total charge of a system.

        ``total_charge`` is that of the system that each atom is part of, [n_all] in e; it is read
        only where the network ``needs_total_charge``.
        """
        env = pad_edges(edge_index[0], n, row_length)
        vectors = pad_vectors(env, edge_vectors, self.cutoff)
        row = pad_rows(env, edge_index[1] if t == 0 else source)
        separate = self.charge_representation
        if separate is None:
            made = self.representation(t, kept, sent, row, vectors, species, total_charge)
            if t < self.layers - 1:
                return made
            of_charges = made[0]
        else:
            rest = kept, sent
            if t > 0:
                widths = [self.representation.kept[t - 1], separate.kept[t - 1]]
                kept, kept_of_charges = torch.split(kept, widths, 1)
                widths = [self.representation.sent[t - 1], separate.sent[t - 1]]
                sent, sent_of_charges = torch.split(sent, widths, 1)
                rest = kept_of_charges, sent_of_charges
            made = self.representation(t, kept, sent, row, vectors, species, total_charge)
            more = separate(t, rest[0], rest[1], row, vectors, species, total_charge)
            if t < self.layers - 1:
                return [torch.cat([made[0], more[0]], 1), torch.cat([made[1], more[1]], 1)]
            of_charges = more[0]
        outputs = [self.energy_readout(made[0])[:, 0]]
        if self.charge_readout is not None:
            outputs.append(self.charge_readout(of_charges))
        return outputs

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
        """The same for a network of one layer, without a graph; and what ``piece_backward`` needs.

        Raises a RuntimeError for several layers.
        """
        if self.layers > 1:
            raise RuntimeError("LES: derivatives are written out for one layer, differentiate this")
        with torch.no_grad():
            env = pad_edges(edge_index[0], n, row_length)
            vectors = pad_vectors(env, edge_vectors, self.cutoff)
            row = pad_rows(env, edge_index[1])
            features, more = self.representation.store(row, vectors, species)
            stored = [env.place] + more
            energy, more = self.energy_readout.store(features)
            stored += more
            outputs = [energy[:, 0]]
            if self.charge_readout is not None:
                if self.charge_representation is not None:
                    features, more = self.charge_representation.store(row, vectors, species)
                    stored += more
                charge, more = self.charge_readout.store(features)
                stored += more
                outputs.append(charge)
            return outputs, stored

    @torch.jit.export
    def piece_backward(
        self, t: int, stored: list[Tensor], cotangents: list[Tensor]
    ) -> list[Tensor]:
        """Gradients of weighed sums of the outputs, several at once (FORMAT.md).

        Written out instead of left to automatic differentiation, because several of them then cost
        little more than one.
        """
        with torch.no_grad():
            place = stored[0]
            k, n, width = cotangents[-1].size(0), stored[1].size(1), stored[1].size(2)
            none = [cotangents[0].new_zeros([k, n, 0]), cotangents[0].new_zeros([k, 0, 0])]
            if n * width == 0:
                return none + [cotangents[0].new_zeros([k, 0, 3])]
            by_edges = self._backward(stored[1:], cotangents).flatten(1, 2)
            if place.size(0) > 0:
                by_edges = by_edges.index_select(1, place)
            return none + [by_edges]

    def _backward(self, stored: list[Tensor], cotangents: list[Tensor]) -> Tensor:
        """Gradients by the places of edges, [k, n, m, 3]."""
        part, own = self.representation, self.charge_representation
        hidden = stored[part.n_stored : part.n_stored + self.energy_readout.n_stored]
        rest = stored[part.n_stored + self.energy_readout.n_stored :]
        by_energy: list[Tensor] = []  # by features, [n_features, n] of each
        for weights in torch.unbind(cotangents[0]):
            by_energy.append(self.energy_readout.backward(hidden, weights.unsqueeze(1)))
        if self.charge_readout is None:
            return part.backward(stored, torch.stack(by_energy))
        of_charges = rest if own is None else rest[own.n_stored :]
        by_charge: list[Tensor] = []
        for weights in torch.unbind(cotangents[1]):
            by_charge.append(self.charge_readout.backward(of_charges, weights))
        if own is None:
            for index, gradient in enumerate(by_energy):
                by_charge[index] = by_charge[index] + gradient
            return part.backward(stored, torch.stack(by_charge))
        out = own.backward(rest, torch.stack(by_charge))
        if len(by_energy) > 0:
            out[: len(by_energy)] += part.backward(stored, torch.stack(by_energy))
        return out

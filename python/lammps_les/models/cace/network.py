"""The short-range network: energies and latents of atoms from edge vectors."""

import copy
from dataclasses import replace

import torch
from torch import Tensor

from lammps_les.models.cace.config import CaceConfig, ReadoutConfig, RepresentationConfig
from lammps_les.models.cace.multipoles import MultipoleReadout
from lammps_les.models.cace.readout import Readout
from lammps_les.models.cace.representation import CaceRepresentation
from lammps_les.models.chain import Chain
from lammps_les.models.environments import pad_edges, pad_rows, pad_sent, pad_vectors, sum_rows


def _readout(config: ReadoutConfig, n_features: int, n_out: int) -> Readout:
    return Readout(n_features, n_out, config.hidden, config.bias, config.linear, config.scale)


class CaceNetwork(Chain):
    """Energy and latent charges of atoms, a piece for each layer (FORMAT.md).

    Works with ``torch.jit.script``, in float32 and float64, and is differentiable any number of
    times in ``edge_vectors`` and in its parameters. Derivatives are written out too: several at
    once then cost little more than one.

    Args:
        config: sizes.

    Attributes:
        config: the same, on a module that is not scripted.
        needs_total_charge: whether an embedding asks for the total charge of the system;
            ``at_total_charge`` gives a network that does not.

    Raises:
        ValueError: the two representations differ in cutoff or layers.
    """

    def __init__(self, config: CaceConfig) -> None:
        part = config.representation
        super().__init__(
            list(config.species), float(part.cutoff), part.layers, config.channels, config.latents
        )
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
        self.multipole_readout = None
        if len(self.latent_names) > 1:
            part = separate or config.representation
            self.multipole_readout = MultipoleReadout(
                config.multipole,
                config.latents,
                config.channels,
                n_charge_features,
                part.embedding_size**2 * part.n_radial,
                part.max_l,
            )

    def _represent(self, config: RepresentationConfig) -> CaceRepresentation:
        return CaceRepresentation(config, len(self.species))

    def at_total_charge(self, total_charge: float) -> "CaceNetwork":
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
        """The piece for training; total charges [n_all] in e."""
        return self._evaluate(
            t, kept, sent, source, edge_vectors, edge_index, species, n, row_length, total_charge
        )[0]

    def _evaluate(
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
    ) -> tuple[list[Tensor], list[Tensor]]:
        """Outputs, and what ``piece_backward`` needs."""
        env = pad_edges(edge_index[0], n, row_length)
        vectors = pad_vectors(env, edge_vectors, self.cutoff)
        stored = [env.place, source, sent.new_empty([sent.size(0), 0])]
        row = source
        if t == 0:
            row = pad_rows(env, edge_index[1])
        else:
            sent = pad_sent(env, source, sent)
        separate = self.charge_representation
        kept_of_charges, sent_of_charges = kept, sent
        if separate is not None and t > 0:
            kept, kept_of_charges = torch.split(kept, self._widths(t, True), 1)
            sent, sent_of_charges = torch.split(sent, self._widths(t, False), 2)
        made, more = self.representation(t, kept, sent, row, vectors, species, total_charge)
        stored += more
        a, of_charges = more[2], made
        if separate is not None:
            of_charges, more = separate(
                t, kept_of_charges, sent_of_charges, row, vectors, species, total_charge
            )
            stored += more
            a = more[2]
        if t < self.layers - 1:
            if separate is None:
                return made, stored
            both = [torch.cat([made[0], of_charges[0]], 1), torch.cat([made[1], of_charges[1]], 1)]
            return both, stored
        energy, more = self.energy_readout.store(made[0])
        stored += more
        outputs = [energy[:, 0]]
        if self.charge_readout is not None:
            charge, more = self.charge_readout.store(of_charges[0])
            stored += more
            outputs.append(charge)
        if self.multipole_readout is not None:
            multipoles, more = self.multipole_readout(of_charges[0], a)
            stored += more
            outputs += multipoles
        return outputs, stored

    def _widths(self, t: int, kept: bool) -> list[int]:
        """Columns of the two representations in what piece t takes."""
        out: list[int] = []
        separate = self.charge_representation
        if separate is not None and t > 0:
            if kept:
                out = [self.representation.kept[t - 1], separate.kept[t - 1]]
            else:
                out = [self.representation.sent[t - 1], separate.sent[t - 1]]
        return out

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
        """The same without a graph, and what ``piece_backward`` needs (FORMAT.md)."""
        with torch.no_grad():
            return self._evaluate(
                t, kept, sent, source, edge_vectors, edge_index, species, n, row_length, None
            )

    @torch.jit.export
    def piece_backward(
        self, t: int, stored: list[Tensor], cotangents: list[Tensor]
    ) -> list[Tensor]:
        """Gradients of weighed sums of the outputs, several at once (FORMAT.md)."""
        with torch.no_grad():
            place, source, rows = stored[0], stored[1], stored[2].size(0)
            k = cotangents[-1].size(0)
            by_kept, by_sent, by_places = self._backward(t, stored[3:], cotangents)
            by_sent, by_edges = by_sent.flatten(1, 2), by_places.flatten(1, 2)
            if place.size(0) > 0:
                by_edges = by_edges.index_select(1, place)
            if t == 0:
                return [by_kept, by_edges.new_empty([k, 0, 0]), by_edges]
            if place.size(0) > 0:
                by_sent = by_sent.index_select(1, place)
            return [by_kept, sum_rows(source, by_sent, rows), by_edges]

    def _backward(self, t: int, stored: list[Tensor], cotangents: list[Tensor]) -> list[Tensor]:
        """Gradients by ``kept``, by ``sent`` in the places of edges, and by these."""
        part, separate = self.representation, self.charge_representation
        of_charges = stored[part.n_stored[t] :]
        of_readouts = of_charges
        if separate is not None:
            of_readouts = of_charges[separate.n_stored[t] :]
        by_left, by_sent = cotangents[0], cotangents[-1]
        left_of_charges, sent_of_charges = by_left, by_sent
        if t < self.layers - 1:
            by_left = by_left.transpose(1, 2)
            if separate is not None:
                by_left, left_of_charges = torch.split(by_left, self._widths(t + 1, True), 1)
                by_sent, sent_of_charges = torch.split(by_sent, self._widths(t + 1, False), 2)
        else:
            hidden = of_readouts[: self.energy_readout.n_stored]
            by_left = self.energy_readout.backward(hidden, cotangents[0].unsqueeze(2))
            if self.charge_readout is not None:
                hidden = of_readouts[self.energy_readout.n_stored :]
                end = self.charge_readout.n_stored
                left_of_charges = self.charge_readout.backward(hidden[:end], cotangents[1])
                if self.multipole_readout is not None:
                    a = of_charges[2] if separate is not None else stored[2]
                    by_features, by_a = self.multipole_readout.backward(
                        hidden[end:], a, cotangents[2:]
                    )
                    left_of_charges = torch.cat([left_of_charges + by_features, by_a], 1)
                if separate is None:
                    left_of_charges[: by_left.size(0), : by_left.size(1)] += by_left
                    by_left = left_of_charges
        out = part.backward(t, stored, by_left, by_sent)
        if separate is None:
            return out
        both = separate.backward(t, of_charges, left_of_charges, sent_of_charges)
        k_e, k = by_left.size(0), left_of_charges.size(0)
        for index in range(2):  # columns of energies are none in sums without them
            rest = out[index].new_zeros([k - k_e] + list(out[index].shape[1:]))
            both[index] = torch.cat([torch.cat([out[index], rest]), both[index]], -1)
        both[2][:k_e] += out[2]
        return both

"""Which tensors a layer has, and by which paths they arise."""

from typing import NamedTuple

from lammps_les.models.multipoles import Multipoles
from lammps_les.models.nequip.config import NequipConfig, Parity
from lammps_les.models.o3.irreps import Irrep


class Path(NamedTuple):
    """A tensor of the sender times a harmonic gives a tensor of the message.

    Attributes:
        sender: which of ``LayerIrreps.before``.
        order: of the harmonic.
        message: which of ``LayerIrreps.messages``.
    """

    sender: int
    order: int
    message: int


class LayerIrreps(NamedTuple):
    """Tensors of one layer.

    Attributes:
        before: of atoms, as they enter.
        messages: what becomes of sums over neighbors: scalars, gates among them, and tensors,
            sorted by order and parity.
        after: of atoms, after the gates; scalars first.
        paths: in the order of the radial functions.
    """

    before: list[Irrep]
    messages: list[Irrep]
    after: list[Irrep]
    paths: list[Path]


def edge_parity(parity: Parity, order: int) -> int:
    """Parity of a harmonic."""
    return 1 if parity == "none" else (-1) ** order


def hidden_irreps(multiplicities: tuple[int, ...], parity: Parity) -> list[Irrep]:
    """The tensors that atoms may have, of the orders for which there are multiplicities."""
    return [
        Irrep(n, l, sign)
        for l, n in enumerate(multiplicities)
        for sign in ((1, -1) if parity == "full" else (edge_parity(parity, l),))
    ]


def read_out(config: NequipConfig) -> list[tuple[int, int]]:
    """Order and parity of what energy and latents are read out of at the end, scalars first.

    Published heads take vectors and tensors as they enter the last layer.
    """
    max_l = 0 if config.heads else Multipoles(config.latents, config.channels).max_l
    orders = range(max_l + 1)
    return [(l, edge_parity(config.parity, l)) for l in orders]


def layer_irreps(config: NequipConfig) -> list[LayerIrreps]:
    """The tensors of all layers; none that no path leads to, and at the end those read out."""
    hidden = hidden_irreps(config.multiplicities, config.parity)
    last = [irrep for irrep in hidden if irrep[1:] in read_out(config)]
    layers: list[LayerIrreps] = []
    before = [Irrep(config.n_embedded, 0, 1)]
    for t in range(config.layers):
        wanted = last if t == config.layers - 1 else hidden
        after = [irrep for irrep in wanted if _reached(config, before, irrep)]
        gates = sum(irrep.multiplicity for irrep in after if irrep.l > 0)
        messages = sorted(
            (
                irrep._replace(multiplicity=irrep.multiplicity + gates * (irrep[1:] == (0, 1)))
                for irrep in after
            ),
            key=lambda irrep: irrep[1:],
        )
        kinds = [irrep[1:] for irrep in messages]
        paths = [
            Path(sender, order, kinds.index((l, parity)))
            for sender, irrep in enumerate(before)
            for order in range(config.max_l + 1)
            for l in range(abs(irrep.l - order), irrep.l + order + 1)
            if (l, parity := irrep.parity * edge_parity(config.parity, order)) in kinds
        ]
        layers.append(LayerIrreps(before, messages, after, paths))
        before = after
    return layers


def _reached(config: NequipConfig, before: list[Irrep], wanted: Irrep) -> bool:
    return any(
        abs(irrep.l - order) <= wanted.l <= irrep.l + order
        and irrep.parity * edge_parity(config.parity, order) == wanted.parity
        for irrep in before
        for order in range(config.max_l + 1)
    )

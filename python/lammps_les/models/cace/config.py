"""What a CACE network is made of: plain values from which it builds its modules.

The limits on the values are checked where they are read from a file, as ``network.*`` of a training
or as the configuration of a trained network.
"""

from dataclasses import dataclass
from typing import Annotated, Literal

from lammps_les.models.cace.angular import invariant_labels
from lammps_les.models.limits import Channels, Elements, Latents, Widths, within
from lammps_les.models.multipoles import check_latents

_MOST_FEATURES, _MOST_COMPONENTS = 20_000, 100_000
"""Invariants, and numbers of the A basis, of an atom and a layer; some thousand are usual."""


@dataclass(frozen=True)
class MessageConfig:
    """How features of neighbors enter the A basis of the next layer.

    Attributes:
        memory: keep a share of the atom's own A basis.
        attenuated: "Ar", the neighbors' A basis times p exp(-r/r0) f_cut(r).
        invariant: "Bchi", the edge basis times a function h of the neighbor's invariants B.
        invariant_hidden: widths of the hidden layers of h; empty = linear.
        per_l: h differs between angular orders l.
        per_channel: h differs between the embedding_size**2 element channels.
    """

    memory: bool = True
    attenuated: bool = False
    invariant: bool = True
    invariant_hidden: Widths = ()
    per_l: bool = False
    per_channel: bool = False


@dataclass(frozen=True)
class RepresentationConfig:
    """Atomic cluster expansion in Cartesian coordinates (CACE).

    Attributes:
        cutoff: radius [A] of one layer.
        embedding_size: K, length of the vector that stands for an element; neighbor x center give
            K**2 channels.
        n_bessel: radial functions before mixing.
        n_radial: radial functions after mixing.
        max_l: highest angular order.
        max_nu: highest body order of the invariants, 1 to 4.
        cutoff_power: p of the polynomial cutoff.
        mixing_per_channel: radial mixing differs between the K**2 channels.
        average_neighbors: sums over neighbors are divided by its square root, in messages always,
            in the first layer through the initial weights.
        layers: 1 = no message passing.
        messages: one entry for each layer after the first; a single entry serves all.
        embed_total_charge: the vectors that stand for an element depend on the total charge of the
            system.
    """

    cutoff: Annotated[float, within(0.5, 50.0)] = 4.5
    embedding_size: Annotated[int, within(1, 16)] = 2
    n_bessel: Annotated[int, within(1, 100)] = 6
    n_radial: Annotated[int, within(1, 100)] = 12
    max_l: Annotated[int, within(0, 10)] = 3
    max_nu: Annotated[int, within(1, 4)] = 3
    cutoff_power: Annotated[int, within(1, 100)] = 6
    mixing_per_channel: bool = True
    average_neighbors: Annotated[float, within(1e-3, 1e4)] = 10.0
    layers: Annotated[int, within(1, 10)] = 1
    messages: tuple[MessageConfig, ...] = (MessageConfig(),)
    embed_total_charge: bool = False

    def __post_init__(self) -> None:
        each, high = self.n_radial * self.embedding_size**2, self.max_l
        features = len(invariant_labels(high, self.max_nu)) * each
        components = (high + 1) * (high + 2) * (high + 3) // 6 * each
        for n, most, what in (
            (features, _MOST_FEATURES, "invariants"),
            (components, _MOST_COMPONENTS, "components of the A basis"),
        ):
            if n > most:
                raise ValueError(
                    f"embedding_size {self.embedding_size}, n_radial {self.n_radial}, max_l {high} "
                    f"and max_nu {self.max_nu} make {n} {what} of an atom, at most {most} can be; "
                    "lower one of them"
                )


@dataclass(frozen=True)
class ReadoutConfig:
    """Perceptron on the invariants of an atom, plus a linear term.

    Attributes:
        hidden: widths of the hidden layers; empty = linear only.
        bias: whether the layers have constants. Without them an isolated atom gives 0.
        linear: whether the linear term is added.
        scale: factor on the result.
    """

    hidden: Widths = (32, 16)
    bias: bool = True
    linear: bool = True
    scale: Annotated[float, within(-1e6, 1e6, zero=False)] = 1.0


@dataclass(frozen=True)
class MultipoleConfig:
    """Mixtures of vectors and tensors of an atom, gated by a perceptron on its invariants.

    Attributes:
        hidden: widths of its hidden layers.
        mixtures: for each dipole, quadrupole and alpha.
    """

    hidden: Widths = (32,)
    mixtures: Annotated[int, within(1, 256)] = 8


@dataclass(frozen=True)
class CaceConfig:
    """A whole network.

    Attributes:
        species: element symbols; their order is the species index. Without any, a training takes
            those of its data.
        channels: latent charges per atom; 0 = energy only.
        latents: what an atom has in each channel: charge, dipole, quadrupole, kappa, alpha.
        representation: the atomic environments, for the energy and, unless given separately, for
            the charges.
        energy: readout of the energy [eV].
        charge: readout of the charges [file units].
        multipole: readout of all latents but the charges.
        charge_representation: separate environments for the charges and all latents; same cutoff
            and layers.
    """

    species: Elements = ()
    channels: Channels = 1
    latents: Latents = ("charge",)
    representation: RepresentationConfig = RepresentationConfig()
    energy: ReadoutConfig = ReadoutConfig()
    charge: ReadoutConfig = ReadoutConfig(hidden=(24, 12), scale=0.1)
    multipole: MultipoleConfig = MultipoleConfig()
    charge_representation: RepresentationConfig | None = None
    kind: Literal["cace"] = "cace"

    def __post_init__(self) -> None:
        part = self.charge_representation or self.representation
        check_latents(self.latents, self.channels, part.max_l, "the representation's max_l")

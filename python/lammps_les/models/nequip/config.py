"""What a NequIP network is made of."""

from dataclasses import dataclass
from typing import Annotated, Literal

from lammps_les.models.heads import Heads
from lammps_les.models.limits import Channels, Elements, Latents, Widths, within
from lammps_les.models.multipoles import check_latents

Multiplicity = Annotated[int, within(1, 1024)]
Neighbors = Annotated[float, within(1e-3, 1e4)]
Scale = Annotated[float, within(-1e6, 1e6, zero=False)]
Parity = Literal["natural", "full", "none"]
"""Which tensors there are: of order l those of parity (-1)^l, or of both parities; or parity is not
told apart, so that a molecule and its mirror image may differ."""

_MOST_WEIGHTS = 20_000
"""Radial functions of a layer; some hundreds are usual."""


@dataclass(frozen=True)
class NequipConfig:
    """A network of E(3)-equivariant convolutions (Batzner et al., Nat. Commun. 13, 2453 (2022)).

    Attributes:
        species: element symbols; their order is the species index. Without any, a training takes
            those of its data.
        channels: latent charges per atom; 0 = energy only.
        latents: what an atom has in each channel: charge, dipole, quadrupole, kappa, alpha.
        cutoff: radius [A] of one layer.
        layers: convolutions.
        features: tensors of each kind, one number for all or one for each order l = 0 ... max_l.
        embedding: numbers that stand for an element; None = as many as there are scalars.
        max_l: highest order of tensors and harmonics.
        parity: which tensors there are.
        n_bessel: radial functions before the perceptron.
        cutoff_power: p of the polynomial cutoff.
        radial_hidden: widths of the hidden layers of the radial perceptron.
        average_neighbors: messages are divided by its square root; one number, or one for each
            species that sends.
        readout_hidden: widths of the hidden layers of the energy readout; empty = linear. Charges
            are read out linearly.
        scale: eV, unit of the energy readout; one number, or one for each species.
        pair_repulsion: add the repulsion of screened nuclei (ZBL).
        repulsion_power: p of the polynomial cutoff of the repulsion.
        heads: of latents beyond charges, of a network that came from a program with other ones.
    """

    species: Elements = ()
    channels: Channels = 1
    latents: Latents = ("charge",)
    cutoff: Annotated[float, within(0.5, 50.0)] = 4.5
    layers: Annotated[int, within(1, 10)] = 3
    features: Multiplicity | tuple[Multiplicity, ...] = 32
    embedding: Multiplicity | None = None
    max_l: Annotated[int, within(0, 6)] = 1
    parity: Parity = "natural"
    n_bessel: Annotated[int, within(1, 100)] = 8
    cutoff_power: Annotated[int, within(2, 100)] = 6
    radial_hidden: Widths = (64, 64)
    average_neighbors: Neighbors | tuple[Neighbors, ...] = 40.0
    readout_hidden: Widths = ()
    scale: Scale | tuple[Scale, ...] = 1.0
    pair_repulsion: bool = False
    repulsion_power: Annotated[int, within(2, 100)] = 6
    heads: Heads | None = None
    kind: Literal["nequip"] = "nequip"

    def __post_init__(self) -> None:
        check_latents(self.latents, self.channels, self.max_l, "max_l", self.heads is not None)
        check_lengths(self.species, average_neighbors=self.average_neighbors, scale=self.scale)
        if isinstance(self.features, tuple) and len(self.features) != self.max_l + 1:
            raise ValueError(
                f"expected features of the orders 0 to {self.max_l}, got {len(self.features)}"
            )
        both = 2 if self.parity != "natural" else 1
        n = both * (self.max_l + 1) ** 3 * max(self.multiplicities)  # at most
        if n > _MOST_WEIGHTS * both:
            raise ValueError(
                f"features {self.features} and max_l {self.max_l} make too many radial functions; "
                "lower one of them"
            )

    @property
    def multiplicities(self) -> tuple[int, ...]:
        """Of the orders 0 ... max_l."""
        if isinstance(self.features, tuple):
            return self.features
        return (self.features,) * (self.max_l + 1)

    @property
    def n_embedded(self) -> int:
        """Numbers that stand for an element."""
        return self.multiplicities[0] if self.embedding is None else self.embedding


def check_lengths(species: tuple[str, ...], **values: float | tuple[float, ...]) -> None:
    """Refuse lists without species, whose order they follow, or of another length."""
    for name, value in values.items():
        if isinstance(value, tuple) and not species:
            raise ValueError(
                f"expected species with {name} of several numbers, which follow their order"
            )
        if isinstance(value, tuple) and len(value) != len(species):
            raise ValueError(
                f"expected {name} of {len(species)} species or one number, got {len(value)}"
            )


def by_species(species: tuple[str, ...], value: float | tuple[float, ...]) -> list[float]:
    """A value of each species, where one number stands for all."""
    return list(value) if isinstance(value, tuple) else [value] * len(species)

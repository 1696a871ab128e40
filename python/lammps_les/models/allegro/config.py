"""What an Allegro network is made of."""

from dataclasses import dataclass
from typing import Annotated, Literal

from lammps_les.models.heads import Heads
from lammps_les.models.limits import Channels, Elements, Latents, Widths, within
from lammps_les.models.multipoles import check_latents
from lammps_les.models.nequip.config import Multiplicity, Neighbors, Scale, check_lengths


@dataclass(frozen=True)
class AllegroConfig:
    """A strictly local network of edges (Musaelian et al., Nat. Commun. 14, 579 (2023)).

    Attributes:
        species: element symbols; their order is the species index. Without any, a training takes
            those of its data.
        channels: latent charges per atom; 0 = energy only.
        latents: what an atom has in each channel: charge, dipole, quadrupole, kappa, alpha.
        cutoff: radius [A]; an atom's results depend on no atoms beyond, whatever ``layers`` is.
        layers: products of tensors with the sums over neighbors.
        features: tensors of each kind on an edge.
        scalars: numbers that each layer adds to an edge.
        max_l: highest order of tensors and harmonics.
        parity: whether tensors of order l have the parity (-1)^l, or both parities.
        couple_channels: each of the ``features`` weighs the paths of a product in its own way.
        embedding: numbers that stand for the elements of an edge and its length, an even number.
        n_bessel: radial functions.
        cutoff_power: p of the polynomial cutoff.
        radial_hidden: widths of the hidden layers of the perceptron on elements and length.
        latent_hidden: likewise in each layer, on all scalars so far.
        readout_hidden: likewise of the readouts of energy and charges.
        average_neighbors: sums over neighbors are divided by its square root; one number, or one
            for each species of the center.
        scale: eV, unit of the energy readout; one number, or one for each species.
        pair_repulsion: add the repulsion of screened nuclei (ZBL).
        repulsion_power: p of the polynomial cutoff of the repulsion.
        heads: of latents beyond charges, of a network that came from a program with other ones.
    """

    species: Elements = ()
    channels: Channels = 1
    latents: Latents = ("charge",)
    cutoff: Annotated[float, within(0.5, 50.0)] = 6.0
    layers: Annotated[int, within(1, 6)] = 2
    features: Multiplicity = 16
    scalars: Multiplicity = 64
    max_l: Annotated[int, within(0, 4)] = 2
    parity: Literal["natural", "full"] = "full"
    couple_channels: bool = True
    embedding: Multiplicity = 64
    n_bessel: Annotated[int, within(1, 100)] = 8
    cutoff_power: Annotated[int, within(2, 100)] = 6
    radial_hidden: Widths = (64,)
    latent_hidden: Widths = (64,)
    readout_hidden: Widths = (32,)
    average_neighbors: Neighbors | tuple[Neighbors, ...] = 90.0
    scale: Scale | tuple[Scale, ...] = 1.0
    pair_repulsion: bool = False
    repulsion_power: Annotated[int, within(2, 100)] = 6
    heads: Heads | None = None
    kind: Literal["allegro"] = "allegro"

    def __post_init__(self) -> None:
        check_latents(self.latents, self.channels, self.max_l, "max_l", self.heads is not None)
        check_lengths(self.species, average_neighbors=self.average_neighbors, scale=self.scale)
        if self.embedding % 2:
            raise ValueError(f"expected an even number as embedding, got {self.embedding}")

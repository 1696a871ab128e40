"""What a MACE network is made of: plain values from which it builds its modules."""

from dataclasses import dataclass
from typing import Annotated, Literal

from lammps_les.models.limits import Channels, Elements, Latents, Widths, within
from lammps_les.models.multipoles import check_latents


@dataclass(frozen=True)
class MaceConfig:
    """Higher-order equivariant message passing, Batatia et al., NeurIPS 2022.

    The defaults are those of a network of liquid water.

    Attributes:
        species: element symbols; their order is the species index. Without any, a training takes
            those of its data.
        channels: latent charges per atom; 0 = energy only.
        latents: what an atom has in each channel: charge, dipole, quadrupole, kappa, alpha.
        cutoff: radius [A] of one layer.
        layers: 1 = no message passing.
        features: multiplicity of each irrep of the features of an atom.
        hidden_max_l: highest l of what passes from one layer to the next.
        max_l: highest l of the spherical harmonics.
        correlation: factors of the products of atomic environments; 3 = four-body terms.
        couplings: whether products have a weight for each of the ``paths`` by which factors couple,
            as in the original, or for each ``independent`` polynomial.
        n_bessel: radial functions.
        radial: their kind.
        distance_transform: of distances before radial functions, by the sum of covalent radii.
        cutoff_power: p of the polynomial cutoff.
        radial_hidden: widths of the hidden layers between radial functions and weights of messages.
        average_neighbors: sums over neighbors are divided by it; not where ``density`` holds.
        density: they are divided by one plus a density of neighbors that is learned instead.
        residual_first: in the first layer, the element of an atom adds to its features by itself;
            else it weighs what comes from the neighbors, and an isolated atom has no energy.
        residual: likewise in the others, the features of an atom.
        readout_hidden: width of the hidden layer of the readouts of the last layer; 0 = linear, as
            those of the others are.
        last_readout_only: no readouts of the others.
        pair_repulsion: add the repulsion of screened nuclei (ZBL) within covalent radii.
        scale, shift: of the energy of an atom [eV], repulsion included.
        charge_scale: of the charges [file units].
    """

    species: Elements = ()
    channels: Channels = 1
    latents: Latents = ("charge",)
    cutoff: Annotated[float, within(0.5, 50.0)] = 4.5
    layers: Annotated[int, within(1, 10)] = 2
    features: Annotated[int, within(1, 1024)] = 64
    hidden_max_l: Annotated[int, within(0, 2)] = 0
    max_l: Annotated[int, within(0, 4)] = 3
    correlation: Annotated[int, within(1, 3)] = 3
    couplings: Literal["paths", "independent"] = "independent"
    n_bessel: Annotated[int, within(1, 200)] = 8
    radial: Literal["bessel", "gaussian"] = "bessel"
    distance_transform: Literal["none", "agnesi", "soft"] = "none"
    cutoff_power: Annotated[int, within(2, 100)] = 5
    radial_hidden: Widths = (64, 64, 64)
    average_neighbors: Annotated[float, within(1e-3, 1e4)] = 40.0
    density: bool = False
    residual_first: bool = True
    residual: bool = True
    readout_hidden: Annotated[int, within(0, 1024)] = 16
    last_readout_only: bool = False
    pair_repulsion: bool = False
    scale: Annotated[float, within(-1e6, 1e6, zero=False)] = 1.0
    shift: Annotated[float, within(-1e6, 1e6)] = 0.0
    charge_scale: Annotated[float, within(-1e6, 1e6, zero=False)] = 0.1
    kind: Literal["mace"] = "mace"

    def __post_init__(self) -> None:
        check_latents(self.latents, self.channels, self.max_l, "max_l")
        if self.hidden_max_l > self.max_l:
            raise ValueError(
                f"hidden_max_l is {self.hidden_max_l}, at most max_l = {self.max_l} can be"
            )

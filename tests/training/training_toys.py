"""Small structures and networks for tests of the training."""

import torch
from ase import Atoms
from ase.build import molecule

from lammps_les.data.structures import Labelled
from lammps_les.electrostatics import LongRangeParameters
from lammps_les.models import LesNetwork, NetworkConfig, ReadoutConfig, RepresentationConfig
from lammps_les.training.prediction import Physics

LONG_RANGE = LongRangeParameters(0.9, 1.5, 90.0, True, 1.0)
CELLS = {
    "triclinic": [[6.1, 0, 0], [0.5, 5.0, 0], [0.2, 0.4, 6.0]],
    "left-handed": [[0, 6.1, 0], [5.0, 0.3, 0], [0.2, 0.4, 6.0]],
    "open": None,
}


def waters(kind: str, n: int, seed: int) -> Atoms:
    """Shaken molecules; in a periodic cell the first one reaches over the boundary."""
    cell = CELLS[kind]
    atoms = Atoms(cell=cell, pbc=cell is not None)
    for i in range(n):
        water = molecule("H2O")
        water.rotate(50.0 * i, (1, 2, 3))
        water.translate([3.0 * i, -0.2, 0.4 * i])
        atoms += water
    atoms.rattle(0.05, seed=seed)
    return atoms


def network_of(channels: int = 1, layers: int = 1, embed_total_charge: bool = False) -> LesNetwork:
    """A random network; with an embedding whose response to the total charge is not zero."""
    torch.manual_seed(3)
    config = NetworkConfig(
        species=("H", "O"),
        channels=channels,
        representation=RepresentationConfig(
            cutoff=3.2,
            n_bessel=3,
            n_radial=3,
            max_l=2,
            layers=layers,
            embed_total_charge=embed_total_charge,
        ),
        energy=ReadoutConfig(hidden=(6,)),
        charge=ReadoutConfig(hidden=(6,), scale=0.3),
    )
    network = LesNetwork(config).double()
    for name, parameter in network.named_parameters():
        if name.endswith("_slope"):
            torch.nn.init.normal_(parameter, std=0.3)
    return network


def physics_of(network: LesNetwork, born: str = "local") -> Physics:
    return Physics(
        long_range=LONG_RANGE,
        charge_unit=0.8,
        charge_sign=(-1.0, 1.0)[: network.channels],
        epsilon_inf=1.7,
        born=born,
        layers=network.layers,
    )


def unlabelled(atoms: Atoms) -> Labelled:
    return Labelled(atoms, {}, 1.0, "test")

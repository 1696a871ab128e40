"""Plain sums of the long-range part, differentiable twice: the reference of the fast ones."""

from lammps_les.electrostatics.born_effective_charges import (
    born_effective_charges,
    born_effective_charges_one_layer,
)
from lammps_les.electrostatics.latents import Latents, latents_of
from lammps_les.electrostatics.layers import (
    EdgeResponse,
    Evaluated,
    born_effective_charges_by_layer,
    edge_response,
    evaluate_pieces,
    gradients,
)
from lammps_les.electrostatics.long_range import (
    LongRangeDerivatives,
    LongRangeResponse,
    is_periodic,
    long_range_derivatives,
    long_range_energy,
    long_range_response,
)
from lammps_les.electrostatics.parameters import LongRangeParameters
from lammps_les.electrostatics.polarization import (
    coupling_charges,
    coupling_dielectric,
    dielectric_root,
    polarizability,
    polarization,
    susceptibility,
    with_dielectric,
    with_total_charge,
    without_mean,
)
from lammps_les.electrostatics.unfolding import UnfoldedGraph, unfold
from lammps_les.electrostatics.wave_vectors import wave_vector_triples, wave_vectors

__all__ = [
    "EdgeResponse",
    "Evaluated",
    "Latents",
    "LongRangeDerivatives",
    "LongRangeParameters",
    "LongRangeResponse",
    "UnfoldedGraph",
    "born_effective_charges",
    "born_effective_charges_by_layer",
    "born_effective_charges_one_layer",
    "coupling_charges",
    "coupling_dielectric",
    "dielectric_root",
    "edge_response",
    "evaluate_pieces",
    "gradients",
    "is_periodic",
    "latents_of",
    "long_range_derivatives",
    "long_range_energy",
    "long_range_response",
    "polarizability",
    "polarization",
    "susceptibility",
    "unfold",
    "wave_vector_triples",
    "wave_vectors",
    "with_dielectric",
    "with_total_charge",
    "without_mean",
]

"""The repulsion of screened nuclei at short distances."""

import torch
from ase.data import atomic_numbers
from torch import Tensor, nn

from lammps_les.models.cace.radial import polynomial_cutoff


class PairRepulsion(nn.Module):
    """Ziegler, Biersack and Littmark's universal potential, as in LAMMPS's pair_style zbl.

    Half of 14.399645 eV A Z_i Z_j / r psi(r (Z_i^0.23 + Z_j^0.23) / 0.4685 A), times the polynomial
    cutoff, belongs to each of two atoms.

    Args:
        species: element symbols.
        cutoff: A.
        power: p of the polynomial cutoff.
    """

    charges: Tensor
    lengths: Tensor

    def __init__(self, species: list[str], cutoff: float, power: int) -> None:
        super().__init__()
        self.cutoff, self.power = cutoff, power
        z = torch.tensor([atomic_numbers[symbol] for symbol in species], dtype=torch.float64)
        self.register_buffer("charges", z, persistent=False)
        self.register_buffer("lengths", z**0.23 / 0.4685, persistent=False)

    def forward(self, r: Tensor, centers: Tensor, neighbors: Tensor) -> Tensor:
        """Energies [n] in eV.

        Args:
            r: distances [n, width] in A.
            centers: species index, [n].
            neighbors: likewise, [n, width].
        """
        charges, lengths = self.charges.to(r.dtype), self.lengths.to(r.dtype)
        x = r * (lengths[centers].unsqueeze(1) + lengths[neighbors])
        screening = (
            0.18175 * torch.exp(-3.1998 * x)
            + 0.50986 * torch.exp(-0.94229 * x)
            + 0.28022 * torch.exp(-0.4029 * x)
            + 0.02817 * torch.exp(-0.20162 * x)
        )
        energy = charges[neighbors] * screening / r * polynomial_cutoff(r / self.cutoff, self.power)
        return (0.5 * 14.399645) * charges[centers] * energy.sum(1)

"""Functions of distances and of the elements at their ends."""

import math

import torch
from ase.data import atomic_numbers, covalent_radii
from torch import Tensor, nn
from torch.nn.functional import silu

from lammps_les.models.cace.radial import polynomial_cutoff
from lammps_les.models.mace.config import MaceConfig
from lammps_les.models.o3.activation import SILU_FACTOR

COULOMB = 14.3996
"""e^2 / (4 pi epsilon_0) [eV A], as the original has it in its pair repulsion."""


class Perceptron(nn.Module):
    """Linear maps with silu in between, without constants.

    Weights are of order 1: the factors that keep the variance are part of the map.

    Args:
        sizes: width of the input, of each hidden layer and of the output.
    """

    def __init__(self, sizes: list[int]) -> None:
        super().__init__()
        pairs = list(zip(sizes[:-1], sizes[1:], strict=True))
        self.factors = [SILU_FACTOR / math.sqrt(size) for size in sizes[:-1]]
        self.factors[0] = 1.0 / math.sqrt(sizes[0])
        self.hidden = nn.ParameterList(nn.Parameter(torch.randn(pair)) for pair in pairs[:-1])
        self.last = nn.Parameter(torch.randn(pairs[-1]))

    def forward(self, x: Tensor) -> Tensor:
        """[..., sizes[0]] to [..., sizes[-1]]."""
        return torch.matmul(self.before_last(x), self.last_map())

    def before_last(self, x: Tensor) -> Tensor:
        """What the last map is applied to, [..., sizes[-2]]."""
        for index, weight in enumerate(self.hidden):
            x = silu(torch.matmul(x, weight * self.factors[index]))
        return x

    def last_map(self) -> Tensor:
        """[sizes[-2], sizes[-1]]."""
        return self.last * self.factors[-1]


class BesselBasis(nn.Module):
    """(2/r_cut)^(1/2) sin(k_b r) / r, Gasteiger et al., ICLR 2020, equation 7."""

    frequencies: Tensor

    def __init__(self, cutoff: float, size: int) -> None:
        super().__init__()
        self.prefactor = math.sqrt(2.0 / cutoff)
        self.register_buffer("frequencies", torch.arange(1, size + 1).double() * (math.pi / cutoff))

    def forward(self, x: Tensor) -> Tensor:
        """At distances x [E], [E, size]."""
        x = x.unsqueeze(-1)
        return torch.sin(self.frequencies * x) * (self.prefactor / x)


class GaussianBasis(nn.Module):
    """Gaussians of equal distance from 0 to the cutoff, as wide as that distance."""

    centers: Tensor
    exponent: Tensor

    def __init__(self, cutoff: float, size: int) -> None:
        super().__init__()
        self.register_buffer("centers", torch.linspace(0.0, cutoff, size, dtype=torch.float64))
        self.register_buffer("exponent", _constants(-0.5 * (max(size - 1, 1) / cutoff) ** 2))

    def forward(self, x: Tensor) -> Tensor:
        """At distances x [E], [E, size]."""
        return torch.exp(self.exponent * torch.square(x.unsqueeze(-1) - self.centers))


def _radii(species: tuple[str, ...]) -> Tensor:
    return _constants(*(covalent_radii[atomic_numbers[s]] for s in species))


def _constants(*numbers: float) -> Tensor:
    return torch.tensor(numbers, dtype=torch.float64)


class NoTransform(nn.Module):
    """Distances as they are."""

    def forward(self, x: Tensor, own: Tensor, neighbor: Tensor) -> Tensor:
        """[E]."""
        return x


class AgnesiTransform(nn.Module):
    """1 / (1 + a y^q / (1 + y^(q-p))), y = 2 r / (R_i + R_j), Witt et al., JCP 159, 164101 (2023).

    ``shape`` is a, q, p.
    """

    radii: Tensor
    shape: Tensor

    def __init__(self, species: tuple[str, ...]) -> None:
        super().__init__()
        self.register_buffer("radii", _radii(species))
        self.register_buffer("shape", _constants(1.0805, 0.9183, 4.5791))

    def forward(self, x: Tensor, own: Tensor, neighbor: Tensor) -> Tensor:
        """Distances x [E] between species ``own`` and ``neighbor`` [E]."""
        a, q, p = self.shape.unbind()
        y = 2.0 * x / (self.radii[own] + self.radii[neighbor])
        return 1.0 / (1.0 + a * torch.pow(y, q) / (1.0 + torch.pow(y, q - p)))


class SoftTransform(nn.Module):
    """Distances r > R = R_i + R_j as they are, smaller ones drawn to 3/4 R.

    ``shape`` is the steepness of the step in between.
    """

    radii: Tensor
    shape: Tensor

    def __init__(self, species: tuple[str, ...]) -> None:
        super().__init__()
        self.register_buffer("radii", _radii(species))
        self.register_buffer("shape", _constants(4.0))

    def forward(self, x: Tensor, own: Tensor, neighbor: Tensor) -> Tensor:
        """Distances x [E] between species ``own`` and ``neighbor`` [E]."""
        sum_of_radii = self.radii[own] + self.radii[neighbor]
        low, high = sum_of_radii * 0.75, sum_of_radii * (4.0 / 3.0)
        step = torch.tanh(self.shape / (high - low) * (x - 0.5 * (low + high)))
        return low + (x - low) * (0.5 * (1.0 + step))


_BASES = {"bessel": BesselBasis, "gaussian": GaussianBasis}
_TRANSFORMS = {"none": NoTransform, "agnesi": AgnesiTransform, "soft": SoftTransform}


class RadialEmbedding(nn.Module):
    """Radial functions of the transformed distance, times a cutoff of the distance itself."""

    def __init__(self, config: MaceConfig) -> None:
        super().__init__()
        self.cutoff, self.power = float(config.cutoff), config.cutoff_power
        transform = _TRANSFORMS[config.distance_transform]
        self.transform = (
            transform() if transform is NoTransform else transform(config.species)  # type: ignore
        )
        self.basis = _BASES[config.radial](self.cutoff, config.n_bessel)

    def forward(self, distance: Tensor, own: Tensor, neighbor: Tensor) -> Tensor:
        """[E, n_bessel] for distances [E] between species ``own`` and ``neighbor`` [E]."""
        step = polynomial_cutoff(distance / self.cutoff, self.power)
        return self.basis(self.transform(distance, own, neighbor)) * step.unsqueeze(-1)


class PairRepulsion(nn.Module):
    """Half the repulsion of screened nuclei, cut off at the sum of covalent radii.

    Ziegler, Biersack and Littmark (1985), with screening length
    a = ``screening[0]`` 0.529 A / (Z_i^x + Z_j^x), x = ``screening[1]``.
    """

    numbers: Tensor
    strengths: Tensor
    radii: Tensor
    screening: Tensor
    shares: Tensor

    def __init__(self, species: tuple[str, ...], cutoff: float, power: int) -> None:
        super().__init__()
        self.cutoff, self.power = cutoff, power
        numbers = _constants(*(atomic_numbers[s] for s in species))
        self.register_buffer("numbers", numbers, persistent=False)
        self.register_buffer("strengths", COULOMB * numbers * numbers.unsqueeze(1))
        self.register_buffer("radii", _radii(species))
        self.register_buffer("screening", _constants(0.4543, 0.3))
        self.register_buffer("shares", _constants(0.1818, 0.5099, 0.2802, 0.02817))

    def forward(self, distance: Tensor, own: Tensor, neighbor: Tensor) -> Tensor:
        """[E] in eV for distances [E] between species ``own`` and ``neighbor`` [E]."""
        prefactor, exponent = self.screening.unbind()
        powers = torch.pow(self.numbers, exponent)
        powers = powers[own] + powers[neighbor]
        x = distance * (powers / (prefactor * 0.529))
        first, second, third, fourth = self.shares.unbind()
        screened = (
            first * torch.exp(-3.2 * x)
            + second * torch.exp(-0.9423 * x)
            + third * torch.exp(-0.4028 * x)
            + fourth * torch.exp(-0.2016 * x)
        )
        reach = self.radii[own] + self.radii[neighbor]
        step = polynomial_cutoff(distance / reach, self.power) * (distance < self.cutoff)
        strength = self.strengths.flatten()[own * self.numbers.size(0) + neighbor]
        return 0.5 * strength / distance * screened * step

"""Toy networks whose answers fit on a line.

They obey FORMAT.md like any network: r_cj are the edge vectors, s_i the species index, and every
sum over j runs over the neighbors of the center within the cutoff. Everything that depends on a
distance goes to zero at the cutoff R with two continuous derivatives, through

    w(r) = (1 - r^2 / R^2)^3.
"""

import torch
from torch import Tensor, nn

from lammps_les.models import Chain


class ToyNetwork(Chain):
    """What the toys share: a piece that is the whole, and the smooth cutoff w(r).

    A toy of one layer has a ``forward`` of its own; one of several has a ``piece`` of its own.
    """

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
        """All of a network of one layer."""
        outputs = self.forward(edge_vectors, edge_index, species, n)
        if self.channels == 0:
            return [outputs["energy"]]
        return [outputs["energy"], outputs["charge"]]

    def squared_distance_and_window(self, edge_vectors: Tensor) -> tuple[Tensor, Tensor]:
        """r^2 in A^2 and w(r) of edge vectors [E, 3], each [E]."""
        r2 = (edge_vectors * edge_vectors).sum(dim=1)
        return r2, torch.clamp(1.0 - r2 / (self.cutoff * self.cutoff), min=0.0) ** 3


class ConstantCharges(ToyNetwork):
    """e_i = 0; q_i = charges[s_i]. Outputs do not depend on the edges and carry no gradient."""

    def __init__(self, species: list[str], charges: list[float], cutoff: float = 4.0) -> None:
        super().__init__(species, cutoff, layers=1, channels=1)
        self.register_buffer("charges", torch.tensor(charges, dtype=torch.float64))

    def forward(
        self, edge_vectors: Tensor, edge_index: Tensor, species: Tensor, n_centers: int
    ) -> dict[str, Tensor]:
        """See the class."""
        charge = self.charges[species[:n_centers]].unsqueeze(1)
        return {"energy": torch.zeros_like(charge[:, 0]), "charge": charge}


class LinearCharges(ToyNetwork):
    """e_i = 0; q_ic = base_c[s_i] + slope_c sum_j r_ij w(r_ij), for any number of channels c."""

    def __init__(
        self,
        species: list[str],
        base: list[list[float]],
        slope: list[float],
        cutoff: float = 4.0,
    ) -> None:
        super().__init__(species, cutoff, layers=1, channels=len(slope))
        self.register_buffer("base", torch.tensor(base, dtype=torch.float64).T.contiguous())
        self.register_buffer("slope", torch.tensor(slope, dtype=torch.float64))

    def forward(
        self, edge_vectors: Tensor, edge_index: Tensor, species: Tensor, n_centers: int
    ) -> dict[str, Tensor]:
        """See the class."""
        r2, window = self.squared_distance_and_window(edge_vectors)
        term = torch.sqrt(r2)[:, None] * window[:, None] * self.slope  # [E, C]
        charge = self.base[species[:n_centers]].index_add(0, edge_index[0], term)
        return {"energy": torch.zeros_like(charge[:, 0]), "charge": charge}


class OpposedCharges(ToyNetwork):
    """e_i = 0; q_i = base[s_i] + slope[s_i] sum_j r_ij w(r_ij), a slope for each species.

    A neutral pair at the distance d on the z axis, charge q(d) above and -q(d) below, has the
    dipole q d. The upper atom's Born charge is q along x and y and q + q' d along z, so its mean
    may have another sign than q.
    """

    def __init__(
        self, species: list[str], base: list[float], slope: list[float], cutoff: float = 4.0
    ) -> None:
        super().__init__(species, cutoff, layers=1, channels=1)
        self.register_buffer("base", torch.tensor(base, dtype=torch.float64))
        self.register_buffer("slope", torch.tensor(slope, dtype=torch.float64))

    def forward(
        self, edge_vectors: Tensor, edge_index: Tensor, species: Tensor, n_centers: int
    ) -> dict[str, Tensor]:
        """See the class."""
        r2, window = self.squared_distance_and_window(edge_vectors)
        kind = species[:n_centers]
        term = self.slope[species[edge_index[0]]] * torch.sqrt(r2) * window  # [E]
        charge = self.base[kind].index_add(0, edge_index[0], term)
        return {"energy": torch.zeros_like(charge), "charge": charge.unsqueeze(1)}


class HarmonicBonds(ToyNetwork):
    """e_i = (stiffness / 4) sum_j (r_ij - length)^2 w(r_ij); q_ic = 0 in every channel."""

    def __init__(
        self,
        species: list[str],
        stiffness: float,
        length: float,
        cutoff: float = 3.0,
        channels: int = 0,
    ) -> None:
        super().__init__(species, cutoff, layers=1, channels=channels)
        self.stiffness = stiffness
        self.length = length

    def forward(
        self, edge_vectors: Tensor, edge_index: Tensor, species: Tensor, n_centers: int
    ) -> dict[str, Tensor]:
        """See the class."""
        r2, window = self.squared_distance_and_window(edge_vectors)
        term = 0.25 * self.stiffness * (torch.sqrt(r2) - self.length) ** 2 * window
        zeros = torch.zeros(n_centers, dtype=term.dtype, device=term.device)
        charge = zeros[:, None].expand(n_centers, self.channels)
        return {"energy": zeros.index_add(0, edge_index[0], term), "charge": charge}


class LayeredCharges(ToyNetwork):
    """q_i = base[s_i] + slope h_i, e_i = stiffness h_i, with as many layers as wanted.

    h is made layer by layer, h_i <- sum_j w(r_ij) h_j, from h_i = strength[s_i]: with two layers
    h_i = sum_j w(r_ij) sum_k w(r_jk) strength[s_k], which reaches neighbors of neighbors.
    """

    def __init__(
        self,
        species: list[str],
        base: list[float],
        strength: list[float],
        slope: float,
        stiffness: float,
        cutoff: float = 3.0,
        layers: int = 2,
    ) -> None:
        super().__init__(species, cutoff, layers=layers, channels=1)
        self.register_buffer("base", torch.tensor(base, dtype=torch.float64))
        self.register_buffer("strength", torch.tensor(strength, dtype=torch.float64))
        self.slope = slope
        self.stiffness = stiffness
        self.cut([0] * (layers - 1), [1] * (layers - 1))

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
        """See the class; between layers passes h, all sent and nothing kept."""
        window = self.squared_distance_and_window(edge_vectors)[1]
        h_of_neighbor = self.strength[species[edge_index[1]]] if t == 0 else sent[:, 0][source]
        h = torch.zeros(n, dtype=window.dtype, device=window.device)
        h = h.index_add(0, edge_index[0], window * h_of_neighbor)
        if t < self.layers - 1:
            return [h.unsqueeze(1)[:, :0], h.unsqueeze(1)]
        charge = self.base[species[:n]] + self.slope * h
        return [self.stiffness * h, charge.unsqueeze(1)]


class TwoLayers(nn.Module):
    """``LayeredCharges`` of two layers as somebody writes it who knows no pieces, for ``wrap``."""

    def __init__(
        self,
        base: list[float],
        strength: list[float],
        slope: float,
        stiffness: float,
        cutoff: float = 3.0,
    ) -> None:
        super().__init__()
        self.register_buffer("base", torch.tensor(base, dtype=torch.float64))
        self.register_buffer("strength", torch.tensor(strength, dtype=torch.float64))
        self.slope, self.stiffness, self.cutoff = slope, stiffness, cutoff

    def forward(
        self, edge_vectors: Tensor, edge_index: Tensor, species: Tensor
    ) -> dict[str, Tensor]:
        """See the class."""
        r2 = (edge_vectors * edge_vectors).sum(1)
        window = (1.0 - r2 / (self.cutoff * self.cutoff)) ** 3
        h = self.strength[species]
        for _ in range(2):
            h = torch.zeros_like(h).index_add(0, edge_index[0], window * h[edge_index[1]])
        return {
            "energy": self.stiffness * h,
            "charge": (self.base[species] + self.slope * h).unsqueeze(1),
        }


class Raising(ToyNetwork):
    """Raises "toy network: raised on purpose" where two atoms are closer than ``distance``."""

    def __init__(self, species: list[str], distance: float, cutoff: float = 4.0) -> None:
        super().__init__(species, cutoff, layers=1, channels=1)
        self.distance = distance

    def forward(
        self, edge_vectors: Tensor, edge_index: Tensor, species: Tensor, n_centers: int
    ) -> dict[str, Tensor]:
        """See the class; else e_i = 0 and q_i = 0."""
        r2 = (edge_vectors * edge_vectors).sum(dim=1)
        if bool((r2 < self.distance * self.distance).any()):
            raise RuntimeError("toy network: raised on purpose")
        zeros = torch.zeros(n_centers, dtype=r2.dtype, device=r2.device)
        return {"energy": zeros, "charge": zeros.unsqueeze(1)}


class NonFinite(ToyNetwork):
    """e_i = sum_j NaN r_ij^2, so energy and forces are not finite; q_i = 0."""

    def __init__(self, species: list[str], cutoff: float = 4.0) -> None:
        super().__init__(species, cutoff, layers=1, channels=1)

    def forward(
        self, edge_vectors: Tensor, edge_index: Tensor, species: Tensor, n_centers: int
    ) -> dict[str, Tensor]:
        """See the class."""
        r2 = (edge_vectors * edge_vectors).sum(dim=1)
        zeros = torch.zeros(n_centers, dtype=r2.dtype, device=r2.device)
        energy = zeros.index_add(0, edge_index[0], r2 * float("nan"))
        return {"energy": energy, "charge": zeros.unsqueeze(1)}


class Storing(ToyNetwork):
    """e_i = 0, q_i = 0 with derivatives written out; edges are no more than a list to it."""

    def __init__(self, species: list[str], cutoff: float = 4.0) -> None:
        super().__init__(species, cutoff, layers=1, channels=1)

    def forward(
        self, edge_vectors: Tensor, edge_index: Tensor, species: Tensor, n_centers: int
    ) -> dict[str, Tensor]:
        """See the class."""
        zeros = torch.zeros(n_centers, dtype=edge_vectors.dtype, device=edge_vectors.device)
        return {"energy": zeros, "charge": zeros.unsqueeze(1)}

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
        """The same, and the edges."""
        outputs = self.forward(edge_vectors, edge_index, species, n)
        return [outputs["energy"], outputs["charge"]], [kept, sent, edge_vectors]

    def piece_backward(
        self, t: int, stored: list[Tensor], cotangents: list[Tensor]
    ) -> list[Tensor]:
        """Zeros [k, ...] of each."""
        k = cotangents[-1].size(0)
        return [torch.zeros_like(taken).expand(k, -1, -1) for taken in stored]


class WrongBackward(Storing):
    """`piece_backward` gives one number for each edge, where three are expected."""

    def piece_backward(
        self, t: int, stored: list[Tensor], cotangents: list[Tensor]
    ) -> list[Tensor]:
        """Zeros [k, E] in place of the last."""
        k = cotangents[-1].size(0)
        found = [torch.zeros_like(taken).expand(k, -1, -1) for taken in stored]
        return [found[0], found[1], found[2][:, :, 0]]


class FailsWhenClose(Storing):
    """Fails in one ``part`` of the work where two atoms are too close.

    "charge" gives complex charges, which are refused; "backward" and "bec" raise in the
    backward pass, with the energy or without it.
    """

    def __init__(self, species: list[str], part: str, distance: float, cutoff: float = 4.0) -> None:
        super().__init__(species, cutoff)
        self.part = part
        self.distance = distance

    def fails(self, edge_vectors: Tensor) -> bool:
        """Whether two atoms are closer than the distance."""
        r2 = (edge_vectors * edge_vectors).sum(dim=1)
        return bool((r2 < self.distance * self.distance).any())

    def forward(
        self, edge_vectors: Tensor, edge_index: Tensor, species: Tensor, n_centers: int
    ) -> dict[str, Tensor]:
        """See the class."""
        zeros = torch.zeros(n_centers, dtype=edge_vectors.dtype, device=edge_vectors.device)
        charge = zeros.unsqueeze(1)
        if self.part == "charge" and self.fails(edge_vectors):
            charge = torch.complex(charge, charge)
        return {"energy": zeros, "charge": charge}

    def piece_backward(
        self, t: int, stored: list[Tensor], cotangents: list[Tensor]
    ) -> list[Tensor]:
        """Zeros, or an error."""
        part = "backward" if cotangents[0].size(0) > 0 else "bec"
        if self.part == part and self.fails(stored[2]):
            raise RuntimeError("toy network: raised on purpose")
        k = cotangents[-1].size(0)
        return [torch.zeros_like(taken).expand(k, -1, -1) for taken in stored]

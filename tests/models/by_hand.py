"""A model file by FORMAT.md with torch alone: `python tests/models/by_hand.py FILE [dtype]`.

Two layers; r_cj are the edge vectors, s_i the species, w(r) = (1 - r^2/9)^3 a smooth cutoff at 3 A:

    h_i = sum_j w(r_ij) strength[s_j],    g_i = sum_j w(r_ij) h_j
    energy_i = 0.1 h_i^2 + 0.05 g_i,      charge_i = base[s_i] + 0.03 g_i
"""

import json
import sys

import torch
from torch import Tensor

CUTOFF = 3.0


class ByHand(torch.nn.Module):
    """The first piece leaves 0.1 h^2 to the atom itself, and h to its neighbors."""

    def __init__(self, dtype: torch.dtype) -> None:
        super().__init__()
        self.register_buffer("base", torch.tensor([0.4, -0.8], dtype=dtype))
        self.register_buffer("strength", torch.tensor([0.3, 0.5], dtype=dtype))

    @torch.jit.export
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
    ) -> list[Tensor]:
        """Both layers; edges come as they are, never beyond the cutoff."""
        w = (1.0 - (edge_vectors * edge_vectors).sum(1) / 9.0) ** 3
        of_neighbor = self.strength[species[edge_index[1]]] if t == 0 else sent[source, 0]
        zero = torch.zeros(n, dtype=w.dtype, device=w.device)
        total = zero.index_add(0, edge_index[0], w * of_neighbor)
        if t == 0:
            return [(0.1 * total * total).unsqueeze(1), total.unsqueeze(1)]
        charge = self.base[species[:n]] + 0.03 * total
        return [kept[:, 0] + 0.05 * total, charge.unsqueeze(1)]

    @torch.jit.export
    def latents(
        self, edge_vectors: Tensor, edge_index: Tensor, species: Tensor, n_centers: int
    ) -> dict[str, Tensor]:
        """The chain of the two."""
        n_all = species.size(0)
        none, nothing = edge_vectors.new_zeros([n_all, 0]), edge_vectors.new_zeros([0, 0])
        source = edge_index[1]
        kept, sent = self.piece(
            0, none, nothing, source[:0], edge_vectors, edge_index, species, n_all
        )
        mine = edge_index[0] < n_centers
        energy, charge = self.piece(
            1,
            kept[:n_centers],
            sent,
            source[mine],
            edge_vectors[mine],
            edge_index[:, mine],
            species,
            n_centers,
        )
        return {"energy": energy, "charge": charge}


def metadata(dtype: str) -> dict[str, object]:
    """Fields of the file, those that may be absent left out."""
    return {
        "format_version": 2,
        "network": {
            "species": ["H", "O"],
            "cutoff": CUTOFF,
            "layers": 2,
            "kept": [1],
            "sent": [1],
            "dtype": dtype,
        },
        "latents": ["charge"],
        "long_range": {
            "sigma": 1.0,
            "dl": 2.0,
            "norm": 90.475637892602,
            "remove_self": True,
            "self_factor": 1.0,
        },
        "charges": {"channels": 1, "unit": 1.0, "sign": [1.0]},
        "response": {
            "epsilon_inf": [[1.9, 0.1, 0.0], [0.1, 1.7, 0.0], [0.0, 0.0, 1.6]],
            "remove_mean": True,
        },
        "atomic_energies": {"H": 0.0, "O": 0.0},
        "provenance": {
            "source": "by hand",
            "sha256": "",
            "program": "torch",
            "version": torch.__version__,
            "date": "2025-01-01",
            "citation": "",
        },
    }


def write(path: str, dtype: str = "float64") -> None:
    """Write the file."""
    module = torch.jit.script(ByHand(getattr(torch, dtype)))
    torch.jit.save(module, path, _extra_files={"lammps_les.json": json.dumps(metadata(dtype))})


if __name__ == "__main__":
    write(*sys.argv[1:])

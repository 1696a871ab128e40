from typing import Any

from torch import Tensor

class ModelFileError(ValueError): ...

def check_metadata(text: str) -> None: ...
def read_metadata(path: str) -> str: ...

class Evaluator:
    def __init__(
        self,
        path: str,
        *,
        device: str = "cpu",
        bec: str | None = None,
        epsilon_inf: Tensor | None = None,
        kspace: str = "direct",
        store: float = 1.5,
        network: str = "auto",
    ) -> None: ...
    @property
    def network(self) -> str: ...
    @property
    def metadata(self) -> str: ...
    def evaluate(
        self,
        positions: Tensor,
        n_owned: int,
        species: Tensor,
        edge_vectors: Tensor,
        edge_index: Tensor,
        cell: Tensor | None,
        *,
        reference_cell: Tensor | None = None,
        slab: bool = False,
        bec: bool = False,
        field: Tensor | None = None,
        atom_virial: bool = False,
        centroid_virial: bool = False,
    ) -> dict[str, Any]: ...

class Network:
    def __init__(self, path: str, *, network: str = "auto") -> None: ...
    @property
    def description(self) -> str: ...
    def evaluate(
        self,
        piece: int,
        kept: Tensor,
        sent: Tensor,
        source: Tensor,
        edge_vectors: Tensor,
        edge_index: Tensor,
        species: Tensor,
        n: int,
    ) -> list[Tensor]: ...
    def backward(self, weights: list[Tensor]) -> list[Tensor]: ...

def long_range(
    positions: Tensor,
    charges: Tensor,
    cell: Tensor | None,
    *,
    sigma: float,
    dl: float,
    norm: float,
    remove_self: bool,
    self_factor: float = 1.0,
    open_shift: float = 0.0,
    atom_virial: bool = False,
    mesh_accuracy: float | None = None,
    mesh_spacing: float = 0.0,
    mesh_order: int = 0,
    mesh_loops: bool = True,
    mesh_reference: bool = False,
    setup_cell: Tensor | None = None,
    slab: float = 1.0,
) -> dict[str, Tensor]: ...

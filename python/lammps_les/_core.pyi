from collections.abc import Callable, Sequence

from torch import Tensor

def check_metadata(text: str) -> None: ...
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
    mesh_judge: bool = False,
    setup_cell: Tensor | None = None,
) -> dict[str, Tensor]: ...
def edge_response(
    charges: Tensor,
    cuts: Sequence[tuple[Tensor, ...]],
    taken: Sequence[Sequence[Tensor]],
    edge_vectors: Tensor,
) -> tuple[Tensor, Tensor]: ...
def born_effective_charges(
    positions: Tensor,
    n_owned: int,
    edge_vectors: Tensor,
    edge_index: Tensor,
    coupling_charges: Tensor,
    pull_back: Callable[[Tensor], Tensor],
    cell: Tensor | None,
    *,
    by_layer: Callable[[], tuple[Tensor, Tensor]] | None = None,
    form: str = "local",
    layers: int = 1,
    remove_mean: bool = True,
) -> Tensor: ...

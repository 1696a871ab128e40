"""Wave vectors of the long-range sum."""

import math

import torch
from torch import Tensor


def wave_vector_triples(cell: Tensor, dl: float) -> Tensor:
    r"""List the integer triples n of the wave vectors that belong to a model.

    All k = 2 pi n . inverse(cell) with 0 < \|k\| <= 2 pi / dl; the outermost shell is included with
    a relative tolerance of 1e-6, so that a cell edge that is a multiple of ``dl`` is treated alike
    on every machine. Of k and -k, which give the same term of the sum, only one is listed.

    Args:
        cell: [3, 3], rows are lattice vectors [A]; any shape and handedness.
        dl: real-space resolution [A].

    Returns:
        [K, 3] triples, in the type of ``cell``, without gradient. Keep them fixed while the cell
        changes, and the energy stays differentiable with respect to strain.

    Raises:
        ValueError: the box around the cutoff holds more than 2e7, some GB of memory.
    """
    shell_tolerance = 1e-6
    most = 2e7
    cell = cell.detach()
    k_max = 2.0 * math.pi / dl * (1.0 + shell_tolerance)
    # n_m = k . a_m / (2 pi), so |n_m| <= k_max |a_m| / (2 pi)
    bounds = torch.floor(k_max * torch.linalg.vector_norm(cell, dim=1) / (2.0 * math.pi))
    count = 0.5 * float(torch.prod(2.0 * bounds + 1.0).item())
    if not count <= most:
        raise ValueError(
            f"the sum would need {count} wave vectors with dl = {dl} A, more than {most}; "
            "a smaller cell is needed, or open boundaries"
        )
    n1 = torch.arange(0, int(bounds[0].item()) + 1, dtype=cell.dtype, device=cell.device)
    n2 = torch.arange(
        -int(bounds[1].item()), int(bounds[1].item()) + 1, dtype=cell.dtype, device=cell.device
    )
    n3 = torch.arange(
        -int(bounds[2].item()), int(bounds[2].item()) + 1, dtype=cell.dtype, device=cell.device
    )
    n = torch.cartesian_prod(n1, n2, n3)  # [K, 3]
    one_of_each_pair = (n[:, 0] > 0) | ((n[:, 1] > 0) | ((n[:, 1] == 0) & (n[:, 2] > 0)))
    n = n[one_of_each_pair]
    return n[torch.linalg.vector_norm(wave_vectors(n, cell), dim=1) <= k_max]


def wave_vectors(triples: Tensor, cell: Tensor) -> Tensor:
    """Turn integer triples [K, 3] into wave vectors k [K, 3] in 1/A of the cell [3, 3] in A."""
    return 2.0 * math.pi * triples @ torch.linalg.inv(cell).T

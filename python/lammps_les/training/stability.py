"""What keeps a model with response from instability: chi below 1 (multipoles with alpha).

Fields of long waves induce dipoles that lower the energy by a share chi of what the waves cost.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

SUSCEPTIBILITY, SOFTNESS = "susceptibility", "softness"
"""Names of chi [B, 3, 3] and of sum kappa / V [B] among the predictions."""
_FREE, _STEEPNESS = 0.9, 100.0


def largest_susceptibility(chi: Tensor) -> Tensor:
    """Largest eigenvalue [B] of chi [B, 3, 3]."""
    return torch.linalg.eigvalsh(0.5 * (chi + chi.mT))[:, -1]


def stability_penalty(chi: Tensor) -> Tensor:
    """What the loss gets on top: mean of 100 (chi - 0.9)^2 over frames where chi is beyond 0.9."""
    beyond = torch.relu(largest_susceptibility(chi) - _FREE)
    return _STEEPNESS * (beyond * beyond).mean()


def mean_susceptibility(chi: Tensor, periodic: Sequence[bool]) -> Tensor | None:
    """Mean [3, 3] over the periodic frames; None without any."""
    chosen = chi[torch.tensor(periodic, device=chi.device)]
    return chosen.mean(0) if len(chosen) > 0 else None


def check_susceptibility(chi: Tensor, where: Sequence[str]) -> None:
    """Refuse a model whose chi is not below 1 somewhere.

    Args:
        chi: [B, 3, 3] of the frames.
        where: file and frame of each.

    Raises:
        ValueError: names chi and the frame.
    """
    finite = torch.isfinite(chi).flatten(1).all(1)
    largest = largest_susceptibility(torch.where(finite[:, None, None], chi, torch.zeros_like(chi)))
    largest = torch.where(finite, largest, torch.full_like(largest, torch.inf))
    worst = int(largest.argmax())
    if not float(largest[worst]) < 1.0:
        raise ValueError(
            f"the susceptibility chi of {where[worst]} is {float(largest[worst]):.3g}, and at 1 "
            "the model has no stable state: lower training.learning_rate, or leave alpha out of "
            "network.latents"
        )

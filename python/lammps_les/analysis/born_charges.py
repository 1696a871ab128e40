"""What predicted Born effective charges beside labels say of sign, order of indices and scale."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class BornFit:
    """Predictions Z against labels L over all structures; errors are root mean squares in e.

    Attributes:
        mean: by element, mean of the trace / 3 of predictions and of labels, in e.
        net: mean of |sum_i Z_iab| over structures and components, of predictions and of labels, in
            e; the acoustic sum rule makes it zero.
        rmse: of Z.
        rmse_transposed: of Z with its indices exchanged.
        rmse_negated: of -Z.
        scale: the factor s that makes s Z fit best, <Z L> / <Z Z>; 0 where Z is 0.
        rmse_scaled: of s Z.
        scale_transposed: likewise with the indices of Z exchanged.
        rmse_scaled_transposed: likewise.
    """

    mean: dict[str, tuple[float, float]]
    net: tuple[float, float]
    rmse: float
    rmse_transposed: float
    rmse_negated: float
    scale: float
    rmse_scaled: float
    scale_transposed: float
    rmse_scaled_transposed: float

    def epsilon_inf_factor(self) -> float | None:
        """Factor on the high-frequency dielectric constant, or tensor, of the best scale.

        Predictions grow as its root. None where the sign is wrong.
        """
        return self.scale**2 if self.scale > 0.0 else None

    def better(self) -> str:
        """``transposed``, ``negated`` or both, where labels fit better so at any scale; else ""."""
        turned = self.rmse_scaled_transposed < 0.99 * self.rmse_scaled
        negated = (self.scale_transposed if turned else self.scale) < 0.0
        return " and ".join(["negated"] * negated + ["transposed"] * turned)


def fit_born_charges(
    predicted: Sequence[np.ndarray], labels: Sequence[np.ndarray], symbols: Sequence[Sequence[str]]
) -> BornFit:
    """Compare structure by structure.

    Args:
        predicted: [N, 3, 3] of each structure, in e.
        labels: likewise.
        symbols: [N] of each structure.
    """
    z, reference = np.concatenate(predicted), np.concatenate(labels)
    elements = np.concatenate([np.asarray(of_one) for of_one in symbols])
    traces = [np.trace(tensors, axis1=1, axis2=2) / 3.0 for tensors in (z, reference)]
    net = [
        float(np.mean([np.abs(one.sum(axis=0)).mean() for one in tensors]))
        for tensors in (predicted, labels)
    ]
    norm = float((z * z).sum())
    turned = z.transpose(0, 2, 1)
    scale, scale_turned = (
        float((either * reference).sum()) / norm if norm > 0.0 else 0.0 for either in (z, turned)
    )
    return BornFit(
        mean={
            str(element): (
                float(traces[0][elements == element].mean()),
                float(traces[1][elements == element].mean()),
            )
            for element in sorted(set(elements))
        },
        net=(net[0], net[1]),
        rmse=_rms(z - reference),
        rmse_transposed=_rms(turned - reference),
        rmse_negated=_rms(z + reference),
        scale=scale,
        rmse_scaled=_rms(scale * z - reference),
        scale_transposed=scale_turned,
        rmse_scaled_transposed=_rms(scale_turned * turned - reference),
    )


def _rms(values: np.ndarray) -> float:
    return float(np.sqrt((values**2).mean()))

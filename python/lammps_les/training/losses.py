"""Errors of predictions, and the loss made of them."""

from collections.abc import Mapping
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import huber_loss

from lammps_les.keys import ENERGY, TOTAL_CHARGE
from lammps_les.training.config import LossConfig, Weight
from lammps_les.training.frames import LABEL_SHAPES, Batch

QUANTITIES = tuple(LABEL_SHAPES)
"""Names of the quantities that a loss may hold."""


class Deviation(NamedTuple):
    """Prediction minus label of one quantity, over the frames of a batch that have the label.

    Attributes:
        values: [M, ...]; energy and total charge per atom.
        weights: [M], weight of the frame of each row.
        frames: [M], the frame of each row.
    """

    values: Tensor
    weights: Tensor
    frames: Tensor


def deviations(
    predicted: Mapping[str, Tensor], batch: Batch, neutral_unless_labelled: bool = False
) -> dict[str, Deviation]:
    """Deviations by name of the quantity, for what is predicted and labelled.

    Args:
        predicted: from ``predict``.
        batch: the same batch.
        neutral_unless_labelled: frames without total charge count as neutral.
    """
    found = {}
    for name, (per_atom, _) in LABEL_SHAPES.items():
        if name not in predicted:
            continue
        if name in batch.labels:
            has, label = batch.labelled[name], batch.labels[name]
        elif name == TOTAL_CHARGE.name and neutral_unless_labelled:
            has, label = torch.ones_like(batch.weights).bool(), torch.zeros_like(batch.weights)
        else:
            continue
        if name == TOTAL_CHARGE.name and neutral_unless_labelled:
            has = torch.ones_like(has)
        if not bool(has.any()):
            continue
        difference = predicted[name] - label
        if name in (ENERGY.name, TOTAL_CHARGE.name):
            difference = difference / batch.atoms_per_frame
        frames = torch.arange(len(batch.sizes), device=has.device)
        if per_atom:
            has, frames = has[batch.frame_of_atom], batch.frame_of_atom
        found[name] = Deviation(difference[has], batch.weights[frames[has]], frames[has])
    return found


def not_finite(found: Mapping[str, Deviation], batch: Batch) -> str | None:
    """Quantity, file and frame of the first deviation that is not finite, or None."""
    for name, deviation in found.items():
        rows = ~torch.isfinite(deviation.values).reshape(len(deviation.values), -1).all(1)
        if bool(rows.any()):
            where = batch.where[int(deviation.frames[rows][0])]
            return f"the {name.replace('_', ' ')} of {where} is predicted as a number not finite"
    return None


def weighted_mean(deviation: Deviation, kind: str, huber_delta: float) -> Tensor:
    """Mean over rows, by the weights of their frames, of the mean penalty of the components.

    The penalty is d^2, or with ``huber`` d^2 up to |d| = delta and 2 delta |d| - delta^2 beyond,
    so that both agree for small deviations.
    """
    values, weights, _ = deviation
    rows = values.reshape(len(values), -1)
    if kind == "huber":
        zero = torch.zeros_like(rows)
        penalty = 2.0 * huber_loss(rows, zero, reduction="none", delta=huber_delta)
    else:
        penalty = rows * rows
    return (weights * penalty.mean(1)).sum() / weights.sum()


def loss_of(
    found: Mapping[str, Deviation], weights: Mapping[str, float], kind: str, huber_delta: float
) -> Tensor:
    """Sum over quantities of weight times ``weighted_mean``; a constant 0 without any."""
    terms = [
        weights[name] * weighted_mean(deviation, kind, huber_delta)
        for name, deviation in found.items()
        if weights[name] > 0.0
    ]
    return torch.stack(terms).sum() if terms else torch.zeros(())


def weights_at(config: LossConfig, epoch: float, epochs: int) -> dict[str, float]:
    """Weight of each quantity.

    Args:
        config: with its stages.
        epoch: epochs done, a fraction of the present one included.
        epochs: of the whole training.
    """
    spans: dict[str, tuple[float, Weight]] = {
        name: (0.0, getattr(config.weights, name)) for name in QUANTITIES
    }
    ends = dict.fromkeys(QUANTITIES, float(epochs))
    for stage in config.stages:
        for name in QUANTITIES:
            changed = getattr(stage.weights, name)
            if changed is None:
                continue
            if stage.from_epoch <= epoch:
                spans[name] = (float(stage.from_epoch), changed)
            else:
                ends[name] = min(ends[name], float(stage.from_epoch))
    found = {}
    for name, (begin, weight) in spans.items():
        if isinstance(weight, tuple):
            done = min(1.0, max(0.0, (epoch - begin) / max(ends[name] - begin, 1.0)))
            found[name] = weight[0] * (weight[1] / weight[0]) ** done
        else:
            found[name] = weight
    return found


def used_quantities(config: LossConfig) -> list[str]:
    """Names of the quantities that have a weight at any time."""
    listed = [config.weights, *(stage.weights for stage in config.stages)]
    return [name for name in QUANTITIES if any(getattr(weights, name) for weights in listed)]

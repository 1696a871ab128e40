"""The training loop: energies and forces of the whole model, long range included."""

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.func import functional_call

from lammps_les.electrostatics import LongRangeParameters
from lammps_les.electrostatics.periodic import periodic_energy
from lammps_les.models import LesNetwork
from lammps_les.training.frames import Frame, join

Parameters = Mapping[str, Tensor]


@dataclass(frozen=True)
class Schedule:
    """How long and how hard to train.

    Attributes:
        epochs: passes over the training frames.
        batch_size: frames a step.
        learning_rate: of AdamW, after a linear warm-up; falls as a cosine to ``final_rate`` of
            itself.
        final_rate: see ``learning_rate``.
        warm_up: share of all steps.
        energy_weight: weights of (dE/N)^2 against the mean square force component [1/A^2], at the
            beginning and at the end; in between it moves along an exponential.
        weight_decay: of the linear layers, times the learning rate, a step.
        max_gradient: norm to which a gradient is cut back.
        averaging: decay of the running mean of the parameters; that mean is the result.
        check_every: epochs between looks at the validation frames.
    """

    epochs: int = 600
    batch_size: int = 1
    learning_rate: float = 1e-2
    final_rate: float = 1e-3
    warm_up: float = 0.02
    energy_weight: tuple[float, float] = (10.0, 100.0)
    weight_decay: float = 0.02
    max_gradient: float = 1.0
    averaging: float = 0.998
    check_every: int = 10


@dataclass(frozen=True)
class Errors:
    """Root mean square errors over frames.

    Attributes:
        energy: eV per atom.
        forces: eV/A, per component.
    """

    energy: float
    forces: float

    def __str__(self) -> str:
        """In the units in which such errors are quoted."""
        return f"{1e3 * self.energy:.3f} meV/atom {1e3 * self.forces:.2f} meV/A"


def energies_and_forces(
    network: LesNetwork,
    parameters: Parameters,
    frames: Sequence[Frame],
    long_range: LongRangeParameters,
    create_graph: bool,
) -> tuple[Tensor, Tensor]:
    """Energies [frames] in eV, without those of atoms, and forces [all atoms, 3] in eV/A.

    Args:
        network: its own parameters are not used.
        parameters: by name.
        frames: evaluated as one graph; the long-range sum is one for each frame.
        long_range: of the model.
        create_graph: keep the forces differentiable.
    """
    graph = join(frames)
    positions = graph.positions.requires_grad_(True)
    center, neighbor = graph.edge_index
    edges = positions[neighbor] - positions[center] + graph.edge_offsets
    latent = functional_call(
        network, dict(parameters), (edges, graph.edge_index, graph.species, len(positions))
    )
    short = [part.sum() for part in latent["energy"].split(graph.sizes)]
    long = [
        periodic_energy(r, q, frame.cell, frame.triples, long_range)
        for r, q, frame in zip(
            positions.split(graph.sizes), latent["charge"].split(graph.sizes), frames, strict=True
        )
    ]
    energies = torch.stack(short) + torch.stack(long)
    (gradient,) = torch.autograd.grad([energies.sum()], [positions], create_graph=create_graph)
    return energies if create_graph else energies.detach(), -gradient


def deviations(energies: Tensor, forces: Tensor, frames: Sequence[Frame]) -> tuple[Tensor, Tensor]:
    """Mean square errors of energies per atom [eV^2] and of force components [eV^2/A^2]."""
    sizes = torch.tensor([len(frame.species) for frame in frames])
    reference = torch.stack([frame.energy for frame in frames])
    force_reference = torch.cat([frame.forces for frame in frames])
    return (
        torch.square((energies - reference) / sizes).mean(),
        torch.square(forces - force_reference).mean(),
    )


def errors(
    network: LesNetwork,
    parameters: Parameters,
    frames: Sequence[Frame],
    long_range: LongRangeParameters,
) -> Errors:
    """Errors over frames of equal size."""
    parts = [
        deviations(*energies_and_forces(network, parameters, [frame], long_range, False), [frame])
        for frame in frames
    ]
    energy, force = (torch.stack(column).mean().item() for column in zip(*parts, strict=True))
    return Errors(math.sqrt(energy), math.sqrt(force))


def train(
    network: LesNetwork,
    training: Sequence[Frame],
    validation: Sequence[Frame],
    long_range: LongRangeParameters,
    schedule: Schedule,
    improved: Callable[[dict[str, Tensor], Errors], None],
    report: Callable[[str], None] = print,
) -> None:
    """Minimise the error of energies and forces; random numbers come from torch's generator.

    Args:
        network: gives shapes and initial values; not changed.
        training: frames.
        validation: frames by which the best parameters are chosen.
        long_range: of the model.
        schedule: see there.
        improved: called with the state dict of the network whenever the error of the running mean
            on the validation frames, weighed as at the end of the schedule, is the least so far.
        report: called with a line of text at each look at the validation frames.
    """
    trained = {
        name: parameter.detach().clone().requires_grad_(True)
        for name, parameter in network.named_parameters()
    }
    average = {name: tensor.detach().clone() for name, tensor in trained.items()}
    groups = [
        {"params": [t for n, t in trained.items() if n.endswith(".weight") is decays], **options}
        for decays, options in ((True, {"weight_decay": schedule.weight_decay}), (False, {}))
    ]
    optimizer = torch.optim.AdamW(
        groups, lr=schedule.learning_rate, betas=(0.9, 0.99), weight_decay=0.0
    )

    steps = schedule.epochs * math.ceil(len(training) / schedule.batch_size)
    first, last = schedule.energy_weight
    step, best, begin = 0, math.inf, time.monotonic()
    for epoch in range(1, schedule.epochs + 1):
        order = torch.randperm(len(training)).tolist()
        for start in range(0, len(order), schedule.batch_size):
            done = step / steps
            rate = schedule.final_rate + (1.0 - schedule.final_rate) * 0.5 * (
                1.0 + math.cos(math.pi * done)
            )
            rate *= min(1.0, (done + 1.0 / steps) / schedule.warm_up)
            for group in optimizer.param_groups:
                group["lr"] = schedule.learning_rate * rate
            frames = [training[i] for i in order[start : start + schedule.batch_size]]
            predicted = energies_and_forces(network, trained, frames, long_range, True)
            energy, force = deviations(*predicted, frames)
            optimizer.zero_grad()
            (first * (last / first) ** done * energy + force).backward()
            torch.nn.utils.clip_grad_norm_(trained.values(), schedule.max_gradient)
            optimizer.step()
            step += 1
            decay = min(schedule.averaging, step / (step + 10.0))
            with torch.no_grad():
                for name, mean in average.items():
                    mean.lerp_(trained[name], 1.0 - decay)
        if epoch % schedule.check_every and epoch != schedule.epochs:
            continue
        found = errors(network, average, validation, long_range)
        score = last * found.energy**2 + found.forces**2
        if score < best:
            best = score
            improved({name: tensor.clone() for name, tensor in average.items()}, found)
        report(
            f"epoch {epoch}/{schedule.epochs}, {time.monotonic() - begin:.0f} s: last batch "
            f"{1e3 * energy.item() ** 0.5:.3f} meV/atom {1e3 * force.item() ** 0.5:.2f} meV/A, "
            f"validation {found}{' *' if score == best else ''}"
        )

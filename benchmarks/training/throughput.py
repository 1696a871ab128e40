"""Training throughput against the plain formulation: frames per second.

One optimizer step on liquid water, float32: loss on energies and forces, or on energies, forces and
Born effective charges. Three implementations of the same loss, whose gradients are compared first:

- this package: a batch is one graph, the long-range part enters by formula, Born effective charges
  take one backward pass;
- plain: frame by frame, positions as leaf, automatic differentiation through the plain long-range
  sum, Born effective charges as real and imaginary part of three polarizations: six backward passes
  with a kept graph; the network forms its basis edge by edge and adds it up by atom;
- the same with the network of this package, to see what the network and what the rest gains.

    python benchmarks/training/throughput.py [--threads 2] [--batch 4] [--repeats 5]

The structures are the equilibrated box of lammps_examples/water_field, displaced at random, with
labels at random: throughput does not depend on them.
"""

import argparse
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import ase.io
import numpy as np
import torch
from ase import Atoms
from rich.console import Console
from rich.table import Table
from torch import Tensor

from lammps_les.data.structures import Labelled
from lammps_les.electrostatics import (
    Latents,
    LongRangeParameters,
    coupling_charges,
    long_range_energy,
    polarization,
)
from lammps_les.models import CaceConfig, CaceNetwork, ReadoutConfig
from lammps_les.models.cace.radial import polynomial_cutoff
from lammps_les.training.frames import Batch, Frame, join, make_frame
from lammps_les.training.losses import deviations, loss_of
from lammps_les.training.physics import Physics
from lammps_les.training.prediction import predict
from lammps_les.units import NORM_COULOMB

START = Path(__file__).resolve().parents[2] / "lammps_examples" / "water_field" / "data.water"
ENERGIES = {"H": 0.0, "O": 0.0}
PHYSICS = Physics(
    LongRangeParameters(1.0, 2.0, NORM_COULOMB, True, 1.0), epsilon_inf=1.83, bec_form="phase"
)
WEIGHTS = {"energy": 10.0, "forces": 1.0, "born_effective_charges": 0.1}


def structures(n: int) -> list[Labelled]:
    """Displaced boxes of 192 atoms with random labels."""
    start = ase.io.read(START, format="lammps-data", units="metal", atom_style="atomic")
    symbols = ["H" if mass < 8.0 else "O" for mass in start.get_masses()]
    random, found = np.random.default_rng(0), []
    for seed in range(n):
        atoms = Atoms(symbols, start.positions, cell=start.cell, pbc=True)
        atoms.rattle(0.02, seed=seed)
        shape = (len(atoms), 3)
        labels = {
            "energy": np.array(random.normal()),
            "forces": random.normal(size=shape),
            "born_effective_charges": random.normal(size=(*shape, 3)),
        }
        found.append(Labelled(atoms, labels, 1.0, "random"))
    return found


def network_of(dtype: torch.dtype) -> CaceNetwork:
    """The network of the water model that ships."""
    torch.manual_seed(0)
    charge = ReadoutConfig(hidden=(24, 12), scale=0.1)
    return CaceNetwork(CaceConfig(species=("H", "O"), charge=charge)).to(dtype)


def fast_loss(network: CaceNetwork, batch: Batch, names: list[str]) -> Tensor:
    """Loss of a batch as the training has it."""
    predicted = predict(network, batch, PHYSICS, names, create_graph=True)
    return loss_of(deviations(predicted, batch), WEIGHTS, "mse", 1.0)


PlainNetwork = Callable[[Tensor, Tensor, Tensor, int], dict[str, Tensor]]


def edgewise(network: CaceNetwork) -> PlainNetwork:
    """A network of one layer from its formula: sums over edges by ``index_add``."""
    part = network.representation
    assert network.layers == 1
    assert network.charge_readout is not None
    charge_readout = network.charge_readout

    def latents(edges: Tensor, index: Tensor, species: Tensor, n: int) -> dict[str, Tensor]:
        center, neighbor = index
        distance = torch.linalg.vector_norm(edges, dim=1)
        sines, factor = part.radial(distance[None])
        step = polynomial_cutoff(distance / part.cutoff, part.cutoff_power)
        radial = (sines[0] * (factor[0] * step)).T  # [E, b]
        unit = edges / (distance + part.softening)[:, None]
        angular = part.angular(unit.T[:, None])[0].T  # [E, l]
        pairs = part.sender[species[neighbor]][:, :, None] * part.receiver[species[center]][:, None]
        per_edge = (
            radial[:, :, None, None] * angular[:, None, :, None] * pairs.flatten(1)[:, None, None]
        )  # [E, b, l, c]
        summed = per_edge.new_zeros((n, *per_edge.shape[1:])).index_add(0, center, per_edge)
        mixed = torch.einsum("nblc,lcbm->lcmn", summed, part.mixing_by_component())
        features = part.to_features(mixed)
        return {
            "energy": network.energy_readout(features)[:, 0],
            "charge": charge_readout(features),
        }

    return latents


def plain_frame(network: PlainNetwork, frame: Frame, names: list[str]) -> dict[str, Tensor]:
    """Predictions for one frame by automatic differentiation with respect to positions."""
    r = frame.positions.detach().clone().requires_grad_(True)
    center, neighbor = frame.edge_index
    edges = r[neighbor] - r[center] + frame.edge_shifts @ frame.cell
    latent = network(edges, frame.edge_index, frame.species, len(r))
    charges = latent["charge"]
    far = long_range_energy(r, Latents(charges), frame.cell, True, PHYSICS.long_range)
    energy = latent["energy"].sum() + far
    (gradient,) = torch.autograd.grad(energy, r, create_graph=True, retain_graph=True)
    found = {"energy": energy, "forces": -gradient}
    if "born_effective_charges" in names:
        sign = torch.ones(1, dtype=charges.dtype)
        q = PHYSICS.epsilon_inf**0.5 * coupling_charges(charges, PHYSICS.charge_unit, sign)
        p = polarization(r, q - q.mean(), frame.cell, True)  # [m, re im], lattice components
        phase = 2.0 * torch.pi * frame.positions @ torch.linalg.inv(frame.cell)  # [N, m]
        rows = []
        for m in range(3):
            real, imaginary = (
                torch.autograd.grad(p[m, part], r, create_graph=True, retain_graph=True)[0]
                for part in (0, 1)
            )
            # Re[exp(-i t) dP/dr]
            cos, sin = torch.cos(phase[:, m]), torch.sin(phase[:, m])
            rows.append(cos[:, None] * real + sin[:, None] * imaginary)
        lattice = torch.stack(rows, 1)  # [N, m, b]
        found["born_effective_charges"] = torch.einsum("imb,ma->iab", lattice, frame.cell)
    return found


def plain_loss(network: PlainNetwork, frames: list[Frame], names: list[str]) -> Tensor:
    """The same loss, frame by frame."""
    total = torch.zeros((), dtype=frames[0].positions.dtype)
    for frame in frames:
        found = plain_frame(network, frame, names)
        for name in names:
            d = found[name] - frame.labels[name]
            if name == "energy":
                d = d / len(frame.species)
            total = total + WEIGHTS[name] * (d * d).mean() / len(frames)
    return total


Loss = Callable[[CaceNetwork, list[Frame], list[str]], Tensor]
LOSSES: dict[str, Loss] = {
    "plain": lambda network, frames, names: plain_loss(edgewise(network), frames, names),
    "plain, same network": plain_loss,
    # joining the batch is part of a step
    "lammps-les": lambda network, frames, names: fast_loss(network, join(frames), names),
}


def disagreement(names: list[str]) -> float:
    """Largest relative difference of a parameter gradient between implementations, in float64."""
    frames = [make_frame(s, ENERGIES, 4.5, 2.0, torch.float64) for s in structures(2)]
    gradients = []
    for loss in LOSSES.values():
        network = network_of(torch.float64)
        loss(network, frames, names).backward()
        gradients.append([p.grad for p in network.parameters() if p.grad is not None])
    *others, last = gradients
    return max(
        float((a - b).abs().max() / b.abs().max())
        for other in others
        for a, b in zip(other, last, strict=True)
    )


def seconds(loss: Loss, frames: list[Frame], names: list[str], repeats: int) -> float:
    """Median time of an optimizer step."""
    network = network_of(torch.float32)
    optimizer = torch.optim.AdamW(network.parameters(), lr=1e-4)
    times = []
    for _ in range(repeats + 1):
        start = time.perf_counter()
        optimizer.zero_grad()
        loss(network, frames, names).backward()
        optimizer.step()
        times.append(time.perf_counter() - start)
    return statistics.median(times[1:])


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--batch", type=int, default=4)
    parser.add_argument("--repeats", type=int, default=5)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    frames = [make_frame(s, ENERGIES, 4.5, 2.0) for s in structures(options.batch)]
    table = Table("loss", *(f"{name} [frames/s]" for name in LOSSES), "gain", "gradients agree to")
    for title, names in (
        ("energy + forces", ["energy", "forces"]),
        ("energy + forces + BEC", ["energy", "forces", "born_effective_charges"]),
    ):
        agreement = disagreement(names)
        if agreement > 1e-8:
            raise SystemExit(f"{title}: gradients differ by {agreement:.0e}, no times are compared")
        times = [seconds(loss, frames, names, options.repeats) for loss in LOSSES.values()]
        table.add_row(
            title,
            *(f"{options.batch / t:.1f}" for t in times),
            f"{times[0] / times[-1]:.1f}",
            f"{agreement:.0e}",
        )
    Console().print(f"192 atoms, batch {options.batch}, float32, {options.threads} threads")
    Console().print(table)


if __name__ == "__main__":
    main()

"""Steps of MD by the latents of a model, one rank.

    python benchmarks/latents_steps.py [--atoms 1536] [--rounds 7]

CACE networks of the sizes of the water model that ships, with its weights, and further heads that
are not trained, float32; water, 0.25 fs. Runs of all rows take turns; medians of milliseconds, of
ratios to energies and forces of the model of charges in the same round, and to those of the same
model.
"""

import argparse
import statistics
import tempfile
from dataclasses import replace
from pathlib import Path

import torch
from rich.console import Console
from rich.progress import track
from rich.table import Table

from lammps_les import pretrained
from lammps_les.benchmark.lammps import WHAT, Case, Programs, time_case
from lammps_les.benchmark.start import read_start, replicas
from lammps_les.model_file import network_section
from lammps_les.models import build_network
from lammps_les_export import write_model

MODELS = {
    "q": ("charge",),
    "q u": ("charge", "dipole"),
    "q u Q alpha": ("charge", "dipole", "quadrupole", "alpha"),
}
PARTS = ("network", "long range", "backward", "BEC")


def write(path: Path, latents: tuple[str, ...]) -> None:
    """Model file of the network that ships with further heads."""
    trained, metadata = pretrained.load("water_rpbe-d3")
    torch.manual_seed(1)
    network = build_network(replace(trained.config, latents=latents))
    same = {k: v for k, v in trained.state_dict().items() if k in network.state_dict()}
    network.to(torch.float32).load_state_dict(same, strict=False)
    fields = metadata.model_dump()
    fields |= {"network": network_section(network, "float32"), "latents": list(latents)}
    write_model(path, network.eval(), fields)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--atoms", type=int, default=1536)
    parser.add_argument("--rounds", type=int, default=7)
    arguments = parser.parse_args()
    programs, start = Programs.find(), read_start(None, ["H", "O"])
    cells = replicas(start, arguments.atoms)
    rows = [(name, what) for what in WHAT for name in MODELS]
    times: dict[tuple[str, str], list[float]] = {row: [] for row in rows}
    parts: dict[tuple[str, str], list[dict[str, float]]] = {row: [] for row in rows}
    with tempfile.TemporaryDirectory() as folder:
        files = {name: Path(folder) / f"{n}.pt" for n, name in enumerate(MODELS)}
        for name, latents in MODELS.items():
            write(files[name], latents)
        for _ in track(range(arguments.rounds), console=Console(stderr=True)):
            for name, what in rows:
                case = Case(
                    cells, arguments.atoms, what=what, first=2, steps=10, style="unstable allow"
                )
                timing = time_case(case, files[name], start, programs)
                times[name, what].append(timing.loop)
                parts[name, what].append(timing.parts)
    table = Table("latents", "", "ms", "/ q E+F", "/ own E+F", *PARTS)
    for name, what in rows:
        mine = times[name, what]
        ratios = [
            statistics.median(a / b for a, b in zip(mine, times[base, "E+F"], strict=True))
            for base in ("q", name)
        ]
        shares = [statistics.median(p[part] for p in parts[name, what]) for part in PARTS]
        numbers = [f"{statistics.median(mine):.1f}", *(f"{r:.2f}" for r in ratios)]
        table.add_row(name, what, *numbers, *(f"{s:.1f}" for s in shares))
    Console(width=120).print(table)


if __name__ == "__main__":
    main()

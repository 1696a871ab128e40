"""Water in an electric field: export the model that comes with lammps-les, run LAMMPS, show.

Usage: python run.py [--output demo_output] [--steps 2000] [--field 0.1] [--ranks 2]
"""

import argparse
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from lammps_les import pretrained
from lammps_les_export import write_model

HERE = Path(__file__).parent
PROGRAMS = Path(sys.executable).parent
MOLECULES = 64
N_ATOMS = 3 * MOLECULES
STEP = 5e-4  # ps
FAILED_LINES = 20  # of LAMMPS's output, shown where it ends badly


class Trajectory(NamedTuple):
    """What one run wrote; one value for each two steps.

    Attributes:
        time: ps.
        temperature: K.
        energy: eV, potential energy without the field.
        field_energy: eV, minus the work done by the field.
        conserved: eV.
        polarization: e A, along z, since the start.
        current: e A/ps, along z.
        bec_hydrogen: [3, 3] in e, mean over atoms and time, [P component, r component].
        bec_oxygen: the same.
    """

    time: np.ndarray
    temperature: np.ndarray
    energy: np.ndarray
    field_energy: np.ndarray
    conserved: np.ndarray
    polarization: np.ndarray
    current: np.ndarray
    bec_hydrogen: np.ndarray
    bec_oxygen: np.ndarray


def prepare(folder: Path) -> None:
    """Put input, data and model file into a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in ("in.water", "data.water"):
        shutil.copy(HERE / name, folder / name)
    write_model(folder / "water.pt", *pretrained.load("water_rpbe-d3"))


def simulate(
    folder: Path, field: float, steps: int, ranks: int, progress: Progress | None = None
) -> Trajectory:
    """Run LAMMPS in a folder that ``prepare`` has filled.

    Args:
        folder: where LAMMPS reads and writes.
        field: V/A, along z.
        steps: a multiple of 10.
        ranks: MPI processes.
        progress: shows how far it is.

    Raises:
        RuntimeError: LAMMPS ended badly; with the end of what it printed.
    """
    command = ["mpiexec", "-n", str(ranks), "lmp", "-in", "in.water"]
    command += ["-var", "field", str(field), "-var", "steps", str(steps)]
    environment = {"PATH": f"{PROGRAMS}:{os.environ['PATH']}", "OMP_NUM_THREADS": "1"}
    lines: list[str] = []
    with subprocess.Popen(
        command,
        cwd=folder,
        env=os.environ | environment,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    ) as lammps:
        task = progress.add_task(f"field {field:g} V/A", total=steps) if progress else None
        for line in lammps.stdout or ():
            lines.append(line)
            words = line.split()
            if progress and task is not None and len(words) > 3 and words[0].isdigit():
                progress.update(task, completed=int(words[0]))
    if lammps.returncode != 0:
        last = "".join(lines[-FAILED_LINES:])
        raise RuntimeError(f"{' '.join(command)} in {folder} ended badly:\n{last}")
    series = np.loadtxt(folder / "series.dat").T
    bec = np.loadtxt(folder / "bec.dat", ndmin=2)[-1, 1:].reshape(2, 3, 3)
    return Trajectory(STEP * series[0], *series[1:], *bec)


def show(run: Trajectory, still: Trajectory, field: float, console: Console) -> None:
    """Print averages of the run in the field beside those of the run without."""
    length = f"{run.time[-1]:g} ps"
    table = Table(title=f"{MOLECULES} H2O at 300 K, {length}, in {field:g} V/A along z")
    for name in ("", "no field", "field", "unit"):
        table.add_column(name, justify="right" if "field" in name else "left")

    def row(name: str, unit: str, value: Callable[[Trajectory], float], digits: int) -> None:
        table.add_row(name, *(f"{value(t):.{digits}f}" for t in (still, run)), unit)

    row("temperature, mean", "K", lambda t: t.temperature.mean(), 1)
    row("potential energy, mean", "eV/molecule", lambda t: t.energy.mean() / MOLECULES, 4)
    row("minus work of the field", "eV/molecule", lambda t: t.field_energy[-1] / MOLECULES, 4)
    row("conserved quantity, range", "meV/atom", lambda t: np.ptp(t.conserved) / N_ATOMS * 1e3, 3)
    row("current along z, mean", "e A/ps", lambda t: t.current.mean(), 2)
    row("current along z, std", "e A/ps", lambda t: t.current.std(), 2)
    row("polarization along z, change", "e A", lambda t: t.polarization[-1], 2)
    row("Born charge of O, trace/3", "e", lambda t: np.trace(t.bec_oxygen) / 3, 3)
    row("Born charge of H, trace/3", "e", lambda t: np.trace(t.bec_hydrogen) / 3, 3)
    console.print(table)

    tensors = Table(title="Mean Born effective charges in the field (e)")
    for name in ("", "O:   r_x     r_y     r_z", "H:   r_x     r_y     r_z"):
        tensors.add_column(name, justify="right")
    for a, direction in enumerate("xyz"):
        values = (" ".join(f"{x:7.3f}" for x in z[a]) for z in (run.bec_oxygen, run.bec_hydrogen))
        tensors.add_row(f"P_{direction}", *values)
    console.print(tensors)


def plot(run: Trajectory, still: Trajectory, field: float, path: Path) -> None:
    """Plot the polarization along z against time, with and without field."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(figsize=(6.0, 4.0), layout="constrained")
    axes.axhline(0.0, color="0.85", linewidth=0.8, zorder=0)
    axes.plot(still.time, still.polarization, color="0.55", label="no field")
    axes.plot(run.time, run.polarization, color="C3", label=f"{field:g} V/Å along z")
    axes.set_xlabel("time since the field was switched on [ps]")
    axes.set_ylabel(r"polarization along z, $\int J_z\,\mathrm{d}t$ [e Å]")
    axes.set_xlim(0.0, run.time[-1])
    axes.set_title(f"{MOLECULES} water molecules at 300 K")
    axes.legend(frameon=False, loc="upper left")
    axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(path, dpi=160)
    plt.close(figure)


def main() -> None:
    """Run with and without field, from one start."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--output", type=Path, default=Path("demo_output"))
    parser.add_argument("--steps", type=int, default=2000, help="of 0.5 fs; a multiple of 10")
    parser.add_argument("--field", type=float, default=0.1, help="V/A, along z")
    parser.add_argument("--ranks", type=int, default=2, help="MPI processes")
    options = parser.parse_args()
    console = Console()
    runs = []
    with Progress(console=console) as progress:
        for name, field in (("no_field", 0.0), ("field", options.field)):
            prepare(options.output / name)
            runs.append(
                simulate(options.output / name, field, options.steps, options.ranks, progress)
            )
    still, run = runs
    show(run, still, options.field, console)
    picture = options.output / "polarization.png"
    plot(run, still, options.field, picture)
    console.print(f"files of LAMMPS: {options.output}/field and {options.output}/no_field")
    console.print(f"polarization against time: {picture}", soft_wrap=True)


if __name__ == "__main__":
    main()

"""Time of one MD step in LAMMPS, and memory over a long run: `make bench`.

    python benchmarks/run.py [--model model.pt] [--long] [--repeats 7]

Water at liquid density (the equilibrated box of lammps_examples/water_field, replicated), NVE, one
thread a rank. Each line is the median over several runs of the time per step, after a warm-up.
Timings on shared machines are noisy: compare lines of one table, not of two.
"""

import argparse
import os
import platform
import re
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from rich.console import Console
from rich.progress import track
from rich.table import Table

ROOT = Path(__file__).resolve().parents[1]
BIN = Path(sys.executable).parent
START = ROOT / "lammps_examples" / "water_field" / "data.water"

INPUT = """units metal
atom_style atomic
read_data {start}
replicate {n} {n} {n}
pair_style les
pair_coeff * * {model} H O
velocity all create 300.0 11
timestep 0.00025
fix 1 all nve
{fix}
thermo 1000
run {warm_up}
{runs}
"""


def lmp(script: str, ranks: int) -> str:
    """Run an input; return what LAMMPS printed."""
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "in.lmp").write_text(script)
        command = ["lmp", "-in", "in.lmp", "-log", "none"]
        if ranks > 1:
            command = ["mpiexec", "-n", str(ranks), *command]
        env = os.environ | {"PATH": f"{BIN}:{os.environ['PATH']}", "OMP_NUM_THREADS": "1"}
        return subprocess.run(
            command, cwd=folder, env=env, text=True, check=True, capture_output=True
        ).stdout


def step_times(model: Path, n: int, ranks: int, field: bool, repeats: int) -> list[float]:
    """Milliseconds per step of 192 n^3 atoms, one value for each repeat."""
    steps = max(5, 100 // n**3)
    script = INPUT.format(
        start=START,
        n=n,
        model=model,
        fix="fix f all efield/bec 0.0 0.0 0.1" if field else "",
        warm_up=steps,
        runs="\n".join([f"run {steps}"] * repeats),
    )
    loops = re.findall(r"Loop time of (\S+) on .* for (\d+) steps", lmp(script, ranks))
    return [1e3 * float(t) / int(s) for t, s in loops[1:]]


def memory(model: Path, steps: int) -> list[float]:
    """Largest resident memory [MB] after 500 steps and after each fifth of the rest."""
    part = (steps - 500) // 5
    script = INPUT.format(
        start=START,
        n=1,
        model=model,
        fix="fix f all efield/bec 0.0 0.0 0.1",
        warm_up=500,
        runs="info memory\n" + f"run {part}\ninfo memory\n" * 5,
    ).replace("velocity all create 300.0", "velocity all create 600.0")
    text = lmp(script, 1)
    return [float(m) for m in re.findall(r"Maximum resident set size: (\S+) Mbyte", text)]


def default_model(folder: Path) -> Path:
    """Export the published water_v2 if it is at hand, else the model that ships, in float32."""
    shared = Path(os.environ.get("LES_SHARED", ROOT.parent / "shared"))
    published = shared / "checkpoints" / "cace-lr_water_v2.pth"
    target = folder / "model.pt"
    source = str(published) if published.is_file() else "water_rpbe-d3"
    subprocess.run(
        [BIN / "lammps-les", "export", source, "-o", target, "--epsilon-inf", "1.83"],
        check=True,
        stdout=subprocess.DEVNULL,
    )
    Console().print(f"model: {Path(source).name}, float32")
    return target


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument(
        "--model",
        type=Path,
        help="model file for water; default: cace-lr_water_v2, or the one that ships",
    )
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument(
        "--long", action="store_true", help="10,000 steps for the memory table instead of 2,000"
    )
    arguments = parser.parse_args()

    console = Console()
    cores = os.cpu_count() or 1
    load = os.getloadavg()[0]
    console.print(f"{platform.machine()}, {cores} cores, load before the start {load:.1f}")
    with tempfile.TemporaryDirectory() as folder:
        model = (arguments.model or default_model(Path(folder))).resolve()
        cases = [(n, ranks, field) for n in (1, 2) for ranks in (1, 2) for field in (False, True)]
        results = {
            c: step_times(model, *c, arguments.repeats)
            for c in track(cases, "timing", console=console)
        }

        table = Table(
            "atoms", "ranks", "what", "median ms/step", "min", "max", "speed against 1 rank"
        )
        for (n, ranks, field), times in results.items():
            median = statistics.median(times)
            gain = statistics.median(results[n, 1, field]) / median
            table.add_row(
                f"{192 * n**3:,}",
                str(ranks),
                "E + F + BEC" if field else "E + F",
                f"{median:.2f}",
                f"{min(times):.2f}",
                f"{max(times):.2f}",
                f"{gain:.2f}" if ranks > 1 else "",
            )
        console.print(table)

        steps = 10_000 if arguments.long else 2_000
        sizes = memory(model, steps)
        console.print(
            f"largest resident memory [MB] of 192 atoms with a field, step 500 to {steps:,}: "
            + ", ".join(f"{s:.1f}" for s in sizes)
        )


if __name__ == "__main__":
    main()

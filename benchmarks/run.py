"""Time of MD steps with the models of the project, and memory over a long run: `make bench`.

    python benchmarks/run.py [--large] [--long] [--docs] [--repeats 3]

`lammps-les bench` with the water model that ships, and with a published one of two layers where the
checkpoints are at hand (../shared, or $LES_SHARED). Timings on shared machines are noisy: compare
lines of one table, not of two.
"""

import argparse
import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from rich.console import Console

from lammps_les.benchmark import Programs, read_start
from lammps_les.benchmark.lammps import Case, time_case

ROOT = Path(__file__).resolve().parents[1]
BIN = Path(sys.executable).parent
START = ROOT / "lammps_examples" / "water_field" / "data.water"
PAGE = ROOT / "docs" / "performance.md"
FIGURES = ROOT / "docs" / "figures"
RESULTS = ROOT / "build" / "bench"
KEYWORDS = ("", "store 0", "exchange no")
SHIPPED, TWO_LAYERS = "water_rpbe-d3", "cace-lr_water_4channels_mp1"

MEMORY = """\
units metal
atom_style atomic
read_data {start}
pair_style les
pair_coeff * * {model} H O
velocity all create 600.0 11
timestep 0.00025
fix 1 all nve
fix f all efield/bec 0.0 0.0 0.1
thermo 1000
run 500
info memory
"""


def two_layer_checkpoint() -> Path | None:
    """The published model with two layers, if it is at hand."""
    shared = Path(os.environ.get("LES_SHARED", ROOT.parent / "shared"))
    path = shared / "checkpoints" / f"{TWO_LAYERS}.pth"
    return path if path.is_file() else None


def export(source: str | Path, target: Path) -> Path:
    """Write a model file in float32."""
    command = [BIN / "lammps-les", "export", source, "-o", target, "--epsilon-inf", "1.83"]
    command += ["--charge-sign", "+1"]  # whichever: it takes no time
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return target


def bench(model: Path, atoms: str, repeats: int, *options: str) -> Path:
    """Run `lammps-les bench`; return the folder with its results."""
    folder = RESULTS / model.stem
    command = [BIN / "lammps-les", "bench", model, "--atoms", atoms, "--repeats", str(repeats)]
    subprocess.run([*command, "--field", "-o", folder, *options], check=True)
    return folder


def memory(model: Path, steps: int, folder: Path) -> list[float]:
    """Largest resident memory [MB] after 500 steps and after each fifth of the rest."""
    script = MEMORY.format(start=START, model=model)
    script += f"run {(steps - 500) // 5}\ninfo memory\n" * 5
    (folder / "in.memory").write_text(script)
    text = subprocess.run(
        [BIN / "lmp", "-in", "in.memory", "-log", "none"],
        cwd=folder,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        text=True,
        check=True,
        capture_output=True,
    ).stdout
    return [float(m) for m in re.findall(r"Maximum resident set size: (\S+) Mbyte", text)]


def memory_and_ghosts(models: list[Path], repeats: int) -> str:
    """Time and memory where nothing is stored, or ghosts are evaluated: a table in Markdown."""
    start, programs = read_start(None, ["H", "O"]), Programs.find()
    lines = [
        "| model | ranks | keyword | ms/step | against none | MB/rank |",
        "|---|---|---|---|---|---|",
    ]
    for model in models:
        for ranks in (1, 2):
            # one after the other, so that what else the machine does hits all alike
            runs = [
                [
                    time_case(
                        Case((2, 2, 2), 1536, ranks=ranks, first=3, steps=5, style=style),
                        model,
                        start,
                        programs,
                    )
                    for style in KEYWORDS
                ]
                for _ in range(repeats)
            ]
            for n, style in enumerate(KEYWORDS):
                loop = statistics.median(r[n].loop for r in runs)
                ratio = statistics.median(r[n].loop / r[0].loop for r in runs)
                largest = statistics.median(r[n].memory[1] for r in runs)
                cells = f"{ranks} | {style or 'none'} | {loop:.1f} | {ratio:.2f} | {largest:.0f}"
                lines.append(f"| {model.name} | {cells} |")
    return "1,536 atoms, energies and forces.\n\n" + "\n".join(lines) + "\n"


def into_docs(folders: list[Path], table: str) -> None:
    """Put tables and plots into docs/performance.md and docs/figures."""
    FIGURES.mkdir(exist_ok=True)
    blocks = []
    for folder in folders:
        shutil.copy(folder / "bench.png", FIGURES / f"{folder.name}.png")
        picture = f"![time per atom against size](figures/{folder.name}.png)"
        blocks.append(f"{(folder / 'bench.md').read_text()}\n{picture}\n")
    blocks.append(table)
    begin, end = "<!-- measured: begin -->\n", "<!-- measured: end -->"
    head, _, rest = PAGE.read_text().partition(begin)
    PAGE.write_text(head + begin + "\n".join(blocks) + end + rest.partition(end)[2])


def main() -> None:
    """Run everything and print tables."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--large", action="store_true", help="98,304 atoms as well")
    parser.add_argument(
        "--long", action="store_true", help="10,000 steps for the memory instead of 2,000"
    )
    parser.add_argument(
        "--docs", action="store_true", help="write tables and plots into docs/performance.md"
    )
    options = parser.parse_args()
    console = Console()
    with tempfile.TemporaryDirectory() as name:
        work = Path(name)
        shipped = export(SHIPPED, work / f"{SHIPPED}.pt")
        sizes = "192,1536,12288" + (",98304" if options.large else "")
        folders = [bench(shipped, sizes, options.repeats)]
        checkpoint = two_layer_checkpoint()
        if checkpoint:
            two_layers = export(checkpoint, work / f"{TWO_LAYERS}.pt")
            folders.append(bench(two_layers, "192,1536", options.repeats, "--steps", "5"))
        else:
            console.print(f"{TWO_LAYERS} is left out: its checkpoint is not at hand (LES_SHARED)")
        models = [shipped, two_layers] if checkpoint else [shipped]
        table = memory_and_ghosts(models, options.repeats)
        console.print(table, highlight=False)
        if options.docs:
            into_docs(folders, table)
        steps = 10_000 if options.long else 2_000
        used = memory(shipped, steps, work)
    console.print(
        f"largest resident memory [MB] of 192 atoms with a field, step 500 to {steps:,}: "
        + ", ".join(f"{megabytes:.1f}" for megabytes in used)
    )


if __name__ == "__main__":
    main()

"""A step without the network: edges, long-range sum on the mesh, tally.

    python benchmarks/step.py [--atoms 192 1536 12288] [--against LMP] [--repeats 9] [--ranks 1]

Water with the model that ships, float32, one thread a rank; times as `pair_style les` prints them,
medians over processes. `--against` takes the `lmp` of another installation and runs both in turns:
the last column is the median of the ratios of neighbors.
"""

import argparse
import statistics
import tempfile
from pathlib import Path

from rich.console import Console
from rich.progress import track
from rich.table import Table

from lammps_les import pretrained
from lammps_les.benchmark import Case, Programs, read_start, replicas, time_case
from lammps_les.benchmark.harness import steps_for
from lammps_les_export import write_model

PARTS = ("edges", "long range", "tally")


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--atoms", type=int, nargs="+", default=[192, 1536, 12288])
    parser.add_argument("--against", help="lmp of another installation")
    parser.add_argument("--repeats", type=int, default=9)
    parser.add_argument("--ranks", type=int, default=1)
    parser.add_argument("--style", default="kspace mesh")
    given = parser.parse_args()
    start = read_start(None, ["H", "O"])
    programs = {"here": Programs.find()}
    if given.against:
        programs["there"] = Programs.find(lmp=given.against)
    table = Table("atoms", "of", *PARTS, "sum", "us/atom", "ratio", title="ms a step")
    with tempfile.TemporaryDirectory() as folder:
        model = Path(folder) / "model.pt"
        write_model(model, *pretrained.load("water_rpbe-d3"))
        for atoms in given.atoms:
            cells = replicas(start, atoms)
            n = len(start.atoms) * cells[0] * cells[1] * cells[2]
            case = Case(cells, n, given.ranks, first=2, steps=steps_for(n), style=given.style)
            rows: dict[str, list[dict[str, float]]] = {which: [] for which in programs}
            for _ in track(range(given.repeats), f"{n:,} atoms", transient=True):
                for which, found in programs.items():
                    parts = time_case(case, model, start, found).parts
                    row = {part: parts[part] for part in PARTS}
                    rows[which].append(row | {"sum": sum(row.values())})
            for which, of in rows.items():
                ms = {part: statistics.median(row[part] for row in of) for part in of[0]}
                pairs = zip(of, rows["here"], strict=True)
                ratio = statistics.median(here["sum"] / row["sum"] for row, here in pairs)
                table.add_row(
                    f"{n:,}",
                    which,
                    *(f"{ms[part]:.3f}" for part in (*PARTS, "sum")),
                    f"{1e3 * ms['sum'] / n:.2f}",
                    f"{ratio:.2f}" if which == "there" else "",
                )
    Console(width=120).print(table)


if __name__ == "__main__":
    main()

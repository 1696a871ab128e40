"""Long-range sum: direct against mesh, and what `kspace auto` expects of either.

    python benchmarks/kspace.py [--sizes 1 2 3 4]

Water of 192 n^3 atoms with the model that ships, float32, one rank, one thread; milliseconds a step
as `pair_style les` prints them. The constants of `estimate_cost` (cpp/kspace/mesh_choice.cpp) are
fitted to this table.
"""

import argparse
import re
import tempfile
from pathlib import Path

from rich.console import Console
from rich.progress import track
from rich.table import Table

from lammps_les import pretrained
from lammps_les.benchmark import Case, Programs, Start, read_start, time_case
from lammps_les_export import write_model

STYLES = ["kspace direct", *(f"kspace mesh accuracy {a}" for a in ("1e-4", "1e-5", "1e-6"))]


def long_range(
    model: Path, n: int, style: str, start: Start, programs: Programs
) -> tuple[float, str]:
    """Milliseconds of the long-range sum a step, and the line of `kspace auto`."""
    case = Case((n, n, n), 192 * n**3, first=2, steps=max(3, 100 // n**3), style=style)
    timing = time_case(case, model, start, programs)
    said = re.search(r"kspace auto takes .*", timing.log)
    return timing.parts["long range"], said[0] if said else ""


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--sizes", type=int, nargs="+", default=[1, 2, 3, 4])
    sizes = parser.parse_args().sizes
    start, programs = read_start(None, ["H", "O"]), Programs.find()
    with tempfile.TemporaryDirectory() as folder:
        model = Path(folder) / "model.pt"
        write_model(model, *pretrained.load("water_rpbe-d3"))
        table = Table("atoms", "direct", "mesh 1e-4", "mesh 1e-5", "mesh 1e-6", "kspace auto says")
        for n in track(sizes, "timing"):
            # the direct sum of more atoms takes longer than one wants to wait
            cells = [
                ""
                if n > 4 and style.endswith("direct")
                else f"{long_range(model, n, style, start, programs)[0]:.2f}"
                for style in STYLES
            ]
            said = long_range(model, n, "kspace auto", start, programs)[1]
            table.add_row(f"{192 * n**3:,}", *cells, said)
    Console(width=180).print(table)


if __name__ == "__main__":
    main()

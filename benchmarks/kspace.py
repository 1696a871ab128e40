"""Long-range sum: direct against mesh, and what `kspace auto` expects of either.

    python benchmarks/kspace.py [--sizes 1 2 3 4]

Water of 192 n^3 atoms with the model that ships, float32, one rank, one thread; milliseconds a step
as `pair_style les` prints them. The constants of `estimate_cost` (cpp/kspace/mesh_sum.cpp) are
fitted to this table.
"""

import argparse
import re
import subprocess
import tempfile
from pathlib import Path

from rich.console import Console
from rich.progress import track
from rich.table import Table
from run import BIN, INPUT, START, lmp


def long_range(model: Path, n: int, style: str) -> tuple[float, str]:
    """Milliseconds of the long-range sum a step, and the line of `kspace auto`."""
    script = INPUT.format(
        start=START, n=n, model=model, fix="", warm_up=2, runs=f"run {max(3, 100 // n**3)}"
    ).replace("pair_style les", f"pair_style les {style}")
    log = lmp(script, 1)
    times = re.findall(r"long range (\S+),", log)
    said = re.search(r"kspace auto takes .*", log)
    return float(times[-1]), said[0] if said else ""


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--sizes", type=int, nargs="+", default=[1, 2, 3, 4])
    sizes = parser.parse_args().sizes
    styles = ["kspace direct", *(f"kspace mesh accuracy {a}" for a in ("1e-4", "1e-5", "1e-6"))]
    with tempfile.TemporaryDirectory() as folder:
        model = Path(folder) / "model.pt"
        subprocess.run(
            [BIN / "lammps-les", "export", "water_rpbe-d3", "-o", model],
            check=True,
            stdout=subprocess.DEVNULL,
        )
        table = Table("atoms", "direct", "mesh 1e-4", "mesh 1e-5", "mesh 1e-6", "kspace auto says")
        for n in track(sizes, "timing"):
            # the direct sum of more atoms takes longer than one wants to wait
            cells = [
                ""
                if n > 4 and style.endswith("direct")
                else f"{long_range(model, n, style)[0]:.2f}"
                for style in styles
            ]
            table.add_row(f"{192 * n**3:,}", *cells, long_range(model, n, "kspace auto")[1])
    Console(width=180).print(table)


if __name__ == "__main__":
    main()

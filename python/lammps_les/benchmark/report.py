"""Tables and a plot of a benchmark."""

import csv
import statistics
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np

from lammps_les.benchmark.harness import Benchmark
from lammps_les.benchmark.lammps import Case, Timing

KEYS = ("atoms", "ranks", "device", "what")
FILES = ("bench.md", "bench.csv", "bench.png")


def row(case: Case, timings: list[Timing], one_rank: list[Timing] | None) -> dict[str, Any]:
    """Numbers of one case; medians over repeats, but for single steps, which are pooled.

    Args:
        case: what was run.
        timings: one for each repeat.
        one_rank: those of the same on one rank, if it was run.
    """

    def median(values: Iterable[float]) -> float:
        return statistics.median(values)

    step = median(t.loop for t in timings)
    single = np.concatenate([t.single_steps for t in timings])
    return {
        "atoms": case.n_atoms,
        "ranks": case.ranks,
        "device": case.device,
        "what": case.what,
        "steps": case.steps,
        "repeats": len(timings),
        "ms/step": step,
        "p99/median": np.percentile(single, 99) / np.median(single),
        "us/atom": 1e3 * step / case.n_atoms,
        "speed against 1 rank": median(t.loop for t in one_rank) / step if one_rank else None,
        "first steps": case.first,
        "first steps [s]": median(t.first_seconds for t in timings),
        "MB/rank": median(t.memory[1] for t in timings),
        **{name: median(t.parts[name] for t in timings) for name in timings[0].parts},
    }


def rows(result: Benchmark) -> list[dict[str, Any]]:
    """One row a case, in the order measured."""
    return [
        row(case, timings, result.timings.get(replace(case, ranks=1)))
        for case, timings in result.timings.items()
    ]


def parts_of(table: list[dict[str, Any]]) -> list[str]:
    """Names of the parts of a step: all columns behind the memory."""
    names = list(table[0])
    return names[names.index("MB/rank") + 1 :]


def display(table: list[dict[str, Any]]) -> list[tuple[list[str], list[list[str]]]]:
    """Headings and cells of two tables: time of a step, and its parts in ms a step."""

    def name(r: dict[str, Any]) -> list[str]:
        return [f"{r['atoms']:,}", str(r["ranks"]), r["device"], r["what"]]

    speed = "speed against 1 rank"
    times = [
        [
            *name(r),
            f"{r['ms/step']:,.1f}" if r["ms/step"] >= 100 else f"{r['ms/step']:.2f}",
            f"{r['p99/median']:.2f}",
            f"{r['us/atom']:.1f}",
            "" if r[speed] is None or r["ranks"] == 1 else f"{r[speed]:.2f}",
            f"{r['first steps [s]']:.1f} ({r['first steps']})",
            f"{r['MB/rank']:,.0f}",
        ]
        for r in table
    ]
    columns = ["ms/step", "p99/median", "us/atom", speed, "first steps [s]", "MB/rank"]
    parts = parts_of(table)
    split = [[*name(r), *(f"{r[p]:.2f}" for p in parts)] for r in table]
    return [([*KEYS, *columns], times), ([*KEYS, *parts], split)]


def markdown(title: str, machine: str, result: Benchmark) -> str:
    """Report in Markdown: machine, tables, what was left out."""

    def line(cells: Iterable[str]) -> str:
        return "| " + " | ".join(cells) + " |"

    blocks = [f"**{title}.** {machine}"]
    for headings, cells in display(rows(result)):
        blocks.append("\n".join(map(line, [headings, ["---"] * len(headings), *cells])))
    if result.left_out:
        blocks.append("\n".join(result.left_out))
    return "\n\n".join(blocks) + "\n"


def plot(title: str, result: Benchmark, path: Path) -> None:
    """Draw time per atom against the number of atoms; a line for each device, ranks and what."""
    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axis = pyplot.subplots(figsize=(6.4, 4.4), layout="constrained")
    table = rows(result)
    lines = list(dict.fromkeys((r["device"], r["what"], r["ranks"]) for r in table))
    colors = list(dict.fromkeys(line[:2] for line in lines))
    ranks = sorted({line[2] for line in lines})
    for device, what, n in lines:
        mine = [r for r in table if (r["device"], r["what"], r["ranks"]) == (device, what, n)]
        axis.loglog(
            [r["atoms"] for r in mine],
            [r["us/atom"] for r in mine],
            color=f"C{colors.index((device, what))}",
            marker="osD^v"[ranks.index(n) % 5],
            linestyle=("-", "--", "-.", ":")[ranks.index(n) % 4],
            label=f"{what}, {n} rank{'s' if n > 1 else ''}, {device}",
        )
    sizes = sorted({r["atoms"] for r in table})
    axis.set_xticks(sizes, [f"{n:,}" for n in sizes])
    axis.set_xticks([], minor=True)
    for each in (axis.yaxis.set_major_formatter, axis.yaxis.set_minor_formatter):
        each("{x:g}")
    axis.set_xlabel("atoms")
    axis.set_ylabel("time per step and atom [µs]")
    axis.grid(which="both", color="0.9", linewidth=0.6)
    axis.set_title(title)
    axis.legend(frameon=False, fontsize="small")
    axis.spines[["top", "right"]].set_visible(False)
    figure.savefig(path, dpi=150)
    pyplot.close(figure)


def write_report(title: str, machine: str, result: Benchmark, folder: Path) -> None:
    """Write ``bench.md``, ``bench.csv`` and ``bench.png`` into a folder, made if absent.

    Raises:
        ValueError: nothing was measured.
    """
    if not result.timings:
        raise ValueError("nothing could be measured: " + " ".join(result.left_out))
    folder.mkdir(parents=True, exist_ok=True)
    (folder / FILES[0]).write_text(markdown(title, machine, result))
    table = rows(result)
    with (folder / FILES[1]).open("w", newline="") as file:
        writer = csv.DictWriter(file, table[0].keys(), lineterminator="\n")
        writer.writeheader()
        writer.writerows(table)
    plot(title, result, folder / FILES[2])

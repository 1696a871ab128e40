"""All cases of a benchmark, in turns, so that noise of the machine hits them alike."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import torch

from lammps_les.benchmark.lammps import Case, OutOfMemory, Programs, Timing, time_case
from lammps_les.benchmark.machine import available_memory, cores
from lammps_les.benchmark.start import Start, replicas

# Before anything was measured: libraries, and network and graph of a one-layer model of water.
BASE_MB, KB_PER_ATOM = 300.0, 40.0
USABLE = 0.9  # of the available memory


@dataclass(frozen=True)
class Plan:
    """What to measure.

    Attributes:
        atoms: about how many; see ``replicas``.
        ranks: MPI processes.
        devices: ``cpu``, ``cuda``.
        what: keys of ``WHAT``.
        steps: timed ones; None: by size, 100 up to 2,000 atoms, then fewer, at least 4.
        repeats: processes for each case.
        style: further keywords of ``pair_style les``.
    """

    atoms: tuple[int, ...]
    ranks: tuple[int, ...] = (1, 2)
    devices: tuple[str, ...] = ("cpu",)
    what: tuple[str, ...] = ("E+F",)
    steps: int | None = None
    repeats: int = 3
    style: str = ""


@dataclass
class Benchmark:
    """What came out.

    Attributes:
        timings: of every case, one for each repeat.
        left_out: sentences on what was not measured, and why.
    """

    timings: dict[Case, list[Timing]] = field(default_factory=dict)
    left_out: list[str] = field(default_factory=list)


def steps_for(n_atoms: int) -> int:
    """Steps that take some seconds on one core."""
    return min(100, max(4, 200_000 // n_atoms))


def rounds(plan: Plan, start: Start) -> list[list[Case]]:
    """Cases to run in turns: one list for each size, in ascending order."""
    found = []
    for n in sorted(plan.atoms):
        cells = replicas(start, n)
        n_atoms = len(start.atoms) * cells[0] * cells[1] * cells[2]
        steps = plan.steps or steps_for(n_atoms)
        found.append(
            [
                Case(cells, n_atoms, ranks, device, what, min(steps, 100), steps, plan.style)
                for device in plan.devices
                for what in plan.what
                for ranks in sorted(plan.ranks)
            ]
        )
    return found


def measure(
    model: Path,
    start: Start,
    plan: Plan,
    programs: Programs,
    progress: Callable[[str, int, int], None] = lambda text, done, total: None,
) -> Benchmark:
    """Run everything that fits this machine.

    Args:
        model: model file.
        start: structure to replicate.
        plan: what to measure.
        programs: LAMMPS and MPI.
        progress: told what comes next, how many runs are done, and how many there are.

    Raises:
        ChildProcessError: LAMMPS ended badly for another reason than memory.
    """
    result = Benchmark()
    plan = _possible(plan, result)
    todo = rounds(plan, start)
    total, done = plan.repeats * sum(map(len, todo)), 0
    for cases in todo:
        left_out: set[Case] = set()
        for repeat in range(plan.repeats):
            for case in cases:
                progress(case.title, done, total)
                done += 1
                if repeat == 0 and not _fits(case, result):
                    left_out.add(case)
                if case in left_out:
                    continue
                try:
                    timing = time_case(case, model, start, programs)
                except OutOfMemory as error:
                    result.left_out.append(str(error))
                    result.timings.pop(case, None)
                    left_out.add(case)
                else:
                    result.timings.setdefault(case, []).append(timing)
    progress("done", total, total)
    return result


def _possible(plan: Plan, result: Benchmark) -> Plan:
    """The plan without what this machine lacks; says what that is."""
    devices, ranks = plan.devices, plan.ranks
    if "cuda" in devices and not torch.cuda.is_available():
        result.left_out.append("cuda is left out: torch sees no CUDA GPU.")
        devices = tuple(d for d in devices if d != "cuda")
    if max(ranks) > cores():
        many = " ".join(str(r) for r in ranks if r > cores())
        result.left_out.append(f"{many} ranks are left out: there are {cores()} cores.")
        ranks = tuple(r for r in ranks if r <= cores())
    return Plan(plan.atoms, ranks, devices, plan.what, plan.steps, plan.repeats, plan.style)


def memory_needed(case: Case, result: Benchmark) -> float:
    """Expected memory of all ranks [MB], from the largest run of the same kind if there is one."""
    kind = (case.ranks, case.device, case.what)
    known = [
        c
        for c in result.timings
        if (c.ranks, c.device, c.what) == kind and c.n_atoms < case.n_atoms
    ]
    if not known:
        return case.ranks * BASE_MB + KB_PER_ATOM * case.n_atoms / 1024
    last = max(known, key=lambda c: c.n_atoms)
    base, peak = result.timings[last][0].memory
    return case.ranks * (base + (peak - base) * case.n_atoms / last.n_atoms)


def _fits(case: Case, result: Benchmark) -> bool:
    needed, there = memory_needed(case, result), USABLE * available_memory()
    if needed < there:
        return True
    result.left_out.append(
        f"{case.title}: left out, it needs about {needed / 1024:.1f} GB of memory, and "
        f"{there / 1024:.1f} GB can be had."
    )
    return False

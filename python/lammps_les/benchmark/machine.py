"""The machine and the programs that numbers belong to."""

import os
import platform
import re
import subprocess
from importlib.metadata import version
from pathlib import Path

import torch

from lammps_les.benchmark.lammps import Programs, threads


def cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def available_memory() -> float:
    """Memory that programs can still get [MB]; infinite where the system does not say."""
    try:
        text = Path("/proc/meminfo").read_text()
    except OSError:
        return float("inf")
    found = re.search(r"^MemAvailable: +(\d+) kB", text, re.MULTILINE)
    return int(found[1]) / 1024 if found else float("inf")


def machine(programs: Programs) -> str:
    """Processor, cores, load, GPU, threads and versions in one sentence each.

    Raises:
        ValueError: ``lmp`` does not run, or is another program.
    """
    try:
        processor = re.search(r"^model name\s*: (.*)$", Path("/proc/cpuinfo").read_text(), re.M)
    except OSError:
        processor = None
    model = processor[1].strip() if processor else platform.processor() or platform.machine()
    gpus = [torch.cuda.get_device_name(n) for n in range(torch.cuda.device_count())]
    try:
        about = subprocess.run(
            [programs.lmp, "-h"],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            check=True,
            timeout=120,
        ).stdout
    except (OSError, subprocess.SubprocessError) as error:
        raise ValueError(f"{programs.lmp} does not run: {error}") from None
    lammps = re.search(r"Simulator - (.*)", about)
    if lammps is None:
        raise ValueError(f"{programs.lmp} is not LAMMPS: its help does not say so")
    mpi = re.search(r"^MPI v\S+ (.*)$", about, re.MULTILINE)
    programs_named = [
        f"lammps-les {version('lammps-les')}",
        f"LAMMPS {lammps[1].strip()}",
        f"torch {torch.__version__}",
        " ".join(mpi[1].replace("Version:", "").split()) if mpi else "MPI unknown",
    ]
    return (
        f"{model}, {cores()} cores, load before the start {os.getloadavg()[0]:.1f}; "
        f"{'GPU: ' + ', '.join(gpus) if gpus else 'no GPU'}; {threads()} thread(s) a rank. "
        f"{', '.join(programs_named)}."
    )

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
        ValueError: ``lmp`` does not run.
    """
    try:
        processor = re.search(r"^model name\s*: (.*)$", Path("/proc/cpuinfo").read_text(), re.M)
    except OSError:
        processor = None
    model = processor[1].strip() if processor else platform.processor() or platform.machine()
    gpus = [torch.cuda.get_device_name(n) for n in range(torch.cuda.device_count())]
    try:
        about = subprocess.run(
            [programs.lmp, "-h"], capture_output=True, text=True, check=True
        ).stdout
    except (OSError, subprocess.CalledProcessError) as error:
        raise ValueError(f"{programs.lmp} does not run: {error}") from None
    lammps = re.search(r"Simulator - (.*)", about)
    mpi = re.search(r"^MPI v\S+ (.*)$", about, re.MULTILINE)
    programs_named = [
        f"lammps-les {version('lammps-les')}",
        f"LAMMPS {lammps[1].strip() if lammps else 'unknown'}",
        f"torch {torch.__version__}",
        " ".join(mpi[1].replace("Version:", "").split()) if mpi else "MPI unknown",
    ]
    return (
        f"{model}, {cores()} cores, load before the start {os.getloadavg()[0]:.1f}; "
        f"{'GPU: ' + ', '.join(gpus) if gpus else 'no GPU'}; {threads()} thread(s) a rank. "
        f"{', '.join(programs_named)}."
    )

"""One benchmark run of LAMMPS: its input, the process, and what is read from its output."""

import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from lammps_les.benchmark.start import Start

# The first run warms up and gives the time to its last step, which is flushed at once. In the
# second, thermo output of the wall clock in each step (about 10 us) gives single step times.
INPUT = """\
units metal
atom_style atomic
read_data start.data
replicate {replicas}
pair_style les device {device} {style}
pair_coeff * * {model} {elements}
info memory
velocity all create 300.0 11 mom yes
timestep 0.00025
fix integrate all nve
{fix}
thermo_style custom step cpu
thermo_modify format float %.9g flush yes
thermo {first}
run {first}
thermo_modify flush no
thermo 1
run {steps}
info memory
"""
WHAT = {  # quantities computed in every step, and the fix that asks for them
    "E+F": "",
    "E+F+field": "fix field all efield/bec 0.0 0.0 0.1 response field",
    "E+F+BEC": "fix field all efield/bec 0.0 0.0 0.1",
}
SECTIONS = ("Comm", "Neigh", "Output", "Modify", "Other")  # of LAMMPS, besides Pair
THERMO = r"^ *{} +(\d\S*) *$"  # a line of thermo output: step, wall clock in s
NO_MEMORY = r"out of memory|bad_alloc|Failed to (re)?allocate|not enough memory"


class OutOfMemory(ChildProcessError):
    """LAMMPS or torch could not get the memory for a run."""


@dataclass(frozen=True)
class Case:
    """What one line of the table is about.

    Attributes:
        replicas: cells along each axis.
        n_atoms: in all of them.
        ranks: MPI processes.
        device: ``cpu`` or ``cuda``.
        what: a key of ``WHAT``.
        first: steps of the first run.
        steps: steps of the second run, which is timed.
        style: further keywords of ``pair_style les``.
    """

    replicas: tuple[int, int, int]
    n_atoms: int
    ranks: int = 1
    device: str = "cpu"
    what: str = "E+F"
    first: int = 100
    steps: int = 100
    style: str = ""

    @property
    def title(self) -> str:
        """The case in words."""
        return f"{self.what}, {self.n_atoms:,} atoms, {self.ranks} rank(s), {self.device}"


@dataclass
class Timing:
    """What one process gave.

    Attributes:
        loop: ms a step, mean over the timed steps.
        single_steps: ms of each of them, [steps].
        parts: ms a step by name, on the first rank: first those that ``pair_style les`` prints,
            then ``Comm``, ``Neigh`` (means over ranks) and ``Other`` of LAMMPS.
        first_seconds: from the start of the process to the end of the first run.
        memory: largest resident size of the first rank [MB], before the first run and at the end.
        log: all that LAMMPS printed.
    """

    loop: float
    single_steps: np.ndarray
    parts: dict[str, float]
    first_seconds: float
    memory: tuple[float, float]
    log: str = field(repr=False, default="")


@dataclass(frozen=True)
class Programs:
    """Commands that start LAMMPS and MPI."""

    lmp: str
    mpiexec: str

    @staticmethod
    def find(lmp: str | None = None, mpiexec: str | None = None) -> "Programs":
        """Those given, else those beside the Python interpreter, else those in PATH.

        Raises:
            ValueError: a program is not found.
        """
        beside = str(Path(sys.executable).parent)
        found = []
        for name, given in (("lmp", lmp), ("mpiexec", mpiexec)):
            if given is not None:
                path, where = shutil.which(given), f"'{given}' is no program"
            else:
                path = shutil.which(name, path=beside) or shutil.which(name)
                where = f"not in {beside}, nor in PATH"
            if path is None:
                raise ValueError(f"{name}: {where}; give it with --{name}")
            found.append(str(Path(path).absolute()))
        return Programs(*found)


def threads() -> str:
    """Threads of a rank: OMP_NUM_THREADS, else 1."""
    return os.environ.get("OMP_NUM_THREADS", "1")


def time_case(case: Case, model: Path, start: Start, programs: Programs) -> Timing:
    """Run LAMMPS once: NVE at 300 K, 0.25 fs.

    Raises:
        OutOfMemory: as it says.
        ChildProcessError: LAMMPS ended badly; with what it said.
    """
    script = INPUT.format(
        replicas=" ".join(map(str, case.replicas)),
        device=case.device,
        style=case.style,
        model=model.absolute(),
        elements=" ".join(start.elements),
        fix=WHAT[case.what],
        first=case.first,
        steps=case.steps,
    )
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        start.write(folder / "start.data")
        (folder / "in.bench").write_text(script)
        log, first_seconds = _launch(folder, case, programs)
    return parse(log, case.first, first_seconds)


def _launch(folder: Path, case: Case, programs: Programs) -> tuple[str, float]:
    """Output, and seconds until the last step of the first run was printed."""
    command = [programs.lmp, "-in", "in.bench", "-log", "none"]
    if case.ranks > 1:
        command = [programs.mpiexec, "-n", str(case.ranks), *command]
    lines, first_seconds = [], 0.0
    began = time.monotonic()
    with subprocess.Popen(
        command,
        cwd=folder,
        env=os.environ | {"OMP_NUM_THREADS": threads()},
        text=True,
        errors="replace",
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    ) as process:
        for line in process.stdout or ():
            lines.append(line)
            if not first_seconds and re.match(THERMO.format(case.first), line):
                first_seconds = time.monotonic() - began
    log = "".join(lines)
    if process.returncode != 0:
        killed = process.returncode in (9, 137, -9)  # as a system does that is short of memory
        if killed or re.search(NO_MEMORY, log):
            raise OutOfMemory(f"{case.title}: left out, LAMMPS ran out of memory.")
        raise ChildProcessError(f"{case.title}: LAMMPS ended badly: {_last_words(log)}")
    return log, first_seconds


def _last_words(log: str) -> str:
    """The line with an error, else the last one."""
    lines = [line.strip() for line in log.splitlines() if line.strip()] or ["it printed nothing"]
    return next((line for line in lines if "ERROR" in line), lines[-1])


def parse(log: str, first: int, first_seconds: float) -> Timing:
    """Read the output of the input above.

    Raises:
        ValueError: something expected is missing.
    """
    timed = log.split("Setting up Verlet run")[-1]
    loop = re.search(r"^Loop time of (\S+) on .* for (\d+) steps", timed, re.MULTILINE)
    said = re.search(r"^pair les: ms a step: (.*)$", timed, re.MULTILINE)
    memory = re.findall(r"^Maximum resident set size: (\S+) Mbyte", log, re.MULTILINE)
    if loop is None or said is None or len(memory) < 2:
        raise ValueError(f"LAMMPS did not print what was expected: {_last_words(log)}")
    steps = int(loop[2])
    clock = np.array(re.findall(THERMO.format(r"\d+"), timed[: loop.start()], re.MULTILINE), float)
    if len(clock) != steps + 1:
        raise ValueError(f"LAMMPS printed {len(clock)} steps where {first} + {steps} were run")
    words = re.findall(r"([A-Za-z][A-Za-z -]*?) (\d\S*?)(?:,|$)", said[1])
    parts = {name: float(ms) for name, ms in words}
    averages = {
        name: 1e3 * float(columns.split("|")[1]) / steps
        for name, columns in re.findall(r"^(\w+) +\|(.*)$", timed, re.MULTILINE)
        if name in SECTIONS
    }
    parts["Comm"], parts["Neigh"] = averages["Comm"], averages["Neigh"]
    # the fix of a field asks for what the pair style counts as BEC: that is in Modify as well
    fixes = max(0.0, averages["Modify"] - parts["BEC"])
    parts["Other"] = averages["Output"] + fixes + averages["Other"]
    return Timing(
        loop=1e3 * float(loop[1]) / steps,
        single_steps=1e3 * np.diff(clock),
        parts=parts,
        first_seconds=first_seconds,
        memory=(float(memory[0]), float(memory[-1])),
        log=log,
    )

"""Time of MD steps with a model in LAMMPS: over sizes, MPI ranks and devices.

One process of LAMMPS gives one ``Timing`` (``lammps``); ``harness`` runs all cases in turns, and
``report`` makes tables and a plot of them.
"""

from lammps_les.benchmark.harness import Benchmark, Plan, measure
from lammps_les.benchmark.lammps import Case, Programs, Timing, time_case
from lammps_les.benchmark.machine import machine
from lammps_les.benchmark.report import write_report
from lammps_les.benchmark.start import Start, read_start, replicas

__all__ = [
    "Benchmark",
    "Case",
    "Plan",
    "Programs",
    "Start",
    "Timing",
    "machine",
    "measure",
    "read_start",
    "replicas",
    "time_case",
    "write_report",
]

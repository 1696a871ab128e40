"""``lammps-les analyze``; one module an analysis."""

import typer

from lammps_les.cli.analyze.bec import bec
from lammps_les.cli.analyze.conductivity import conductivity
from lammps_les.cli.analyze.dielectric import dielectric
from lammps_les.cli.analyze.hysteresis import hysteresis
from lammps_les.cli.analyze.ir import ir
from lammps_les.cli.analyze.polarization import polarization
from lammps_les.cli.analyze.raman import raman

analyze = typer.Typer(
    no_args_is_help=True,
    help="Observables, with errors, from what LAMMPS has written.",
    context_settings={"help_option_names": ["-h", "--help"]},
    rich_markup_mode="rich",
)
for _command in (ir, raman, conductivity, dielectric, polarization, hysteresis, bec):
    analyze.command()(_command)

"""Make data.water: molecules turned at random on a lattice, relaxed and equilibrated.

Usage: python make_start.py [--steps 20000] [--seed 1]; writes data.water beside this file.
"""

import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
from ase import Atoms
from ase.build import molecule
from ase.geometry import get_distances
from ase.io import write

from lammps_les import pretrained
from lammps_les_export import write_model

HERE = Path(__file__).parent
BOX = 12.415  # A: 64 molecules at 1.00 g/cm^3
PER_EDGE = 4
CLOSEST = 1.6  # A, between atoms of two molecules

EQUILIBRATE = """
units           metal
atom_style      atomic
read_data       data.lattice
mass            1 1.008
mass            2 15.999
pair_style      les
pair_coeff      * * water.pt H O
thermo          500
minimize        0 0.1 500 5000
reset_timestep  0
timestep        0.0005
velocity        all create 300 {seed} mom yes rot yes dist gaussian
fix             limit all nve/limit 0.02
fix             friction all langevin 300 300 0.05 {seed} zero yes
run             2000
unfix           limit
unfix           friction
fix             thermostat all nvt temp 300 300 0.1
run             {steps}
velocity        all zero linear
reset_timestep  0
write_data      data.water nocoeff
"""


def lattice(seed: int) -> Atoms:
    """64 molecules on a simple cubic lattice, turned until none is too close to another."""
    random = np.random.default_rng(seed)
    cell = np.eye(3) * BOX
    placed = Atoms(cell=cell, pbc=True)
    for site in np.ndindex(PER_EDGE, PER_EDGE, PER_EDGE):
        while True:
            water = molecule("H2O")
            water.rotate(random.uniform(0, 360), random.normal(size=3), center="COM")
            water.translate((np.array(site) + 0.5) * BOX / PER_EDGE)
            if len(placed) == 0:
                break
            distances = get_distances(water.positions, placed.positions, cell, True)[1]
            if distances.min() > CLOSEST:
                break
        placed += water
    return placed


def main() -> None:
    """Run LAMMPS on 2 ranks, and keep the last structure with its velocities."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=20000)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    programs = Path(sys.executable).parent
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_model(folder / "water.pt", *pretrained.load("water_rpbe-d3"))
        write(
            folder / "data.lattice",
            lattice(options.seed),
            format="lammps-data",
            specorder=["H", "O"],
            atom_style="atomic",
        )
        (folder / "in.start").write_text(EQUILIBRATE.format(seed=options.seed, steps=options.steps))
        subprocess.run(
            ["mpiexec", "-n", "2", "lmp", "-in", "in.start"],
            cwd=folder,
            env=os.environ | {"PATH": f"{programs}:{os.environ['PATH']}", "OMP_NUM_THREADS": "1"},
            check=True,
        )
        text = (folder / "data.water").read_text().split("\n", 1)[1]
    command = f"make_start.py --steps {options.steps} --seed {options.seed}"
    (HERE / "data.water").write_text(f"64 water molecules, written by {command}\n{text}")


if __name__ == "__main__":
    main()

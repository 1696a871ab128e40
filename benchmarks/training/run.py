r"""Train one of the cases of this folder, and print what is to be seen in it.

    python benchmarks/training/run.py water --data water_rpbe-d3.xyz -o runs/water
    python benchmarks/training/run.py water --data water_rpbe-d3.xyz -o runs/short --channels 0
    python benchmarks/training/run.py water_mace --data water_rpbe-d3.xyz -o runs/mace
    python benchmarks/training/run.py superionic --data superionic_2gcc_2000K_bec.xyz \
        --model cace-lr_superionic_ef.pth -o runs/superionic
    python benchmarks/training/run.py batio3 --data batio3_pbesol_bec.xyz -o runs/batio3
    python benchmarks/training/run.py dipeptides --data dipeptides_train.xyz \
        --validation dipeptides_val_bec.xyz -o runs/dipeptides
    python benchmarks/training/run.py sio2 --data sio2_pbe_bec_alpha.xyz -o runs/sio2
    python benchmarks/training/run.py sio2 --data sio2_pbe_bec_alpha.xyz -o runs/q --latents charge

The gas of random charges, whose data are made first, is `random_charges.py`. What came out of all
of them stands in README.md.

Errors on all parts of the data stand in report.md of the run folder. BaTiO3: R2 of the diagonal of
the Born effective charges by element. Dipeptides: mean absolute error of dipoles, of the model and
of the charges `mbi_charges` that the data come with. SiO2: errors on all structures that did not
train, and how polarizabilities fluctuate.
"""

import argparse
from pathlib import Path

import ase.io
import numpy as np
import torch
import yaml
from ase import Atoms
from rich.console import Console

from lammps_les.analysis.comparison import Comparison, compare
from lammps_les.analysis.errors import errors_of
from lammps_les.calculators import LesCalculator
from lammps_les.electrostatics import dielectric_root
from lammps_les.pretrained import load_folder
from lammps_les.training.config import RunConfig
from lammps_les.training.frames import join
from lammps_les.training.prediction import predict
from lammps_les.training.preparation import prepare
from lammps_les.training.run import train
from lammps_les.units import COULOMB

HERE = Path(__file__).parent
CASES = (
    *("water", "water_mace", "water_nequip", "water_allegro"),
    *("superionic", "batio3", "dipeptides", "sio2"),
)


def epsilon_inf(atoms: ase.Atoms) -> np.ndarray:
    """Diagonal [3] of 1 + polarizability / (epsilon_0 V), polarizability in e A^2 / V."""
    results = {**atoms.info, **(atoms.calc.results if atoms.calc else {})}
    alpha = np.diagonal(np.reshape(results["polarizability"], (3, 3)))
    return 1.0 + 4.0 * np.pi * COULOMB * alpha / atoms.get_volume()


def mean_epsilon_inf(data: Path) -> float:
    """Mean over structures and directions."""
    return float(np.mean([epsilon_inf(atoms) for atoms in ase.io.iread(data)]))


def configuration(case: str, options: argparse.Namespace) -> RunConfig:
    """The YAML file of a case with the paths filled in."""
    text = (HERE / f"{case}.yaml").read_text()
    text = "\n".join(line for line in text.splitlines() if not line.startswith("#"))
    places = {"DATA": options.data, "MODEL": options.model, "VALIDATION": options.validation}
    for name, path in places.items():
        if name in text:
            if path is None:
                raise SystemExit(f"{case} needs --{name.lower()}")
            text = text.replace(name, str(path.resolve()))
    if "EPSILON" in text:
        text = text.replace("EPSILON", f"{mean_epsilon_inf(options.data):.4f}")
    content = yaml.safe_load(text)
    if options.epochs is not None:
        content["training"] |= {"epochs": options.epochs, "validate_every": 1}
    if options.channels is not None:
        content["network"]["channels"] = options.channels
    if options.latents is not None:
        content["network"]["latents"] = options.latents
    if options.seed is not None:
        content["seed"] = options.seed
    return RunConfig.model_validate(content)


def born_by_element(folder: Path, config: RunConfig, console: Console) -> None:
    """R2 and root mean square error of the diagonal of the Born charges of the test structures."""
    calculator = LesCalculator(folder / "model.pt")
    predicted, reference, elements, screening = [], [], [], []
    for structure in prepare(config, folder).structures["test"]:
        atoms = structure.atoms.copy()
        found = calculator.get_property("born_effective_charges", atoms)
        predicted.append(np.diagonal(found, axis1=1, axis2=2))
        label = structure.labels["born_effective_charges"]
        reference.append(np.diagonal(label, axis1=1, axis2=2))
        elements += atoms.get_chemical_symbols()
        screening += [epsilon_inf(structure.atoms)] * len(atoms)
    p, r, names = np.concatenate(predicted), np.concatenate(reference), np.array(elements)
    # what latent charges without any error would give with the one epsilon_inf of the model
    of_model = np.diagonal(dielectric_root(calculator.metadata.response.epsilon_inf).numpy())
    ideal = r * of_model / np.sqrt(screening)[:, None]
    factor = float((p * r).sum() / (p * p).sum())  # what another epsilon_inf would do
    for element in sorted(set(elements)):
        mine, true = p[names == element], r[names == element]
        e = errors_of(mine, true)
        console.print(
            f"  {element}: diagonal of Born charges, mean {mine.mean():+.3f} e (reference "
            f"{true.mean():+.3f}), RMSE {e.rmse:.3f} e, R2 {e.r2:.3f}; "
            f"all times {factor:.3f}: R2 {errors_of(factor * mine, true).r2:.3f}; "
            f"at best with one epsilon_inf: R2 {errors_of(ideal[names == element], true).r2:.3f}"
        )


def dipoles(folder: Path, config: RunConfig, console: Console) -> None:
    """Mean absolute errors of dipoles [e A] on the test structures.

    Energies do not know the global sign of the charges; it is chosen here by the dipoles.
    """
    prepared = prepare(config, folder)
    network, _ = load_folder(folder)
    latent, mbi, labels = [], [], []
    for structure, frame in zip(prepared.structures["test"], prepared.frames["test"], strict=True):
        with torch.no_grad():
            predicted = predict(network, join([frame]), prepared.physics, ["dipole"])["dipole"][0]
        latent.append(predicted.numpy())
        mbi.append(structure.atoms.arrays["mbi_charges"] @ structure.atoms.positions)
        labels.append(structure.labels["dipole"])
    true, found = np.array(labels), np.array(latent)
    found *= np.sign((found * true).sum())
    for name, dipole in (("model", found), ("mbi_charges", np.array(mbi)), ("zero", 0.0 * true)):
        console.print(
            f"  dipole from {name}: MAE {np.abs(dipole - true).mean():.4f} e A a component"
        )
    correlation = np.corrcoef(found.ravel(), true.ravel())[0, 1]
    console.print(f"  model and reference: squared correlation {correlation**2:.3f}")


def held_out(folder: Path, config: RunConfig, console: Console) -> None:
    """Errors on all structures that were not trained on; fluctuations of the polarizability.

    Means are taken off within all of them, and within those of each temperature: the first half
    of them and the second, told by their mean forces.
    """
    structures = prepare(config, folder).structures
    chosen = sorted([*structures["validation"], *structures["test"]], key=lambda s: s.frame)
    bare = [Atoms(s.atoms.numbers, s.atoms.positions, cell=s.atoms.cell, pbc=True) for s in chosen]
    for atoms, structure in zip(bare, chosen, strict=True):
        atoms.info.update(structure.labels)
    model = folder / "model.pt"
    calculator = LesCalculator(model, multichannel_bec=True)
    comparison = compare(calculator, bare)
    for row in comparison.rows():
        row = row.quoted()
        console.print(f"  {row.quantity}: RMSE {row.errors.rmse:.4g} {row.unit}")
    fit = comparison.born_fit()
    if fit is not None:
        console.print(f"  best scale of Born charges {fit.scale:.3f}")
    forces = [float(np.sqrt(np.mean(s.labels["forces"] ** 2))) for s in chosen]
    hot = np.array(forces) > 0.5 * (min(forces) + max(forces))
    for name, mine in (("all", hot | ~hot), ("hot", hot), ("cold", ~hot)):
        part = Comparison(
            *(
                [x for x, take in zip(values, mine, strict=True) if take]
                for values in (comparison.structures, comparison.predicted, comparison.reference)
            )
        )
        found = part.polarizability_fit()
        if found is not None:
            console.print(f"  polarizability, {name}: {found}")


def main() -> None:
    """Train, then print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("case", choices=CASES)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--model", type=Path)
    parser.add_argument("--validation", type=Path)
    parser.add_argument("-o", "--output", type=Path, required=True)
    parser.add_argument("--epochs", type=int, help="instead of those of the case")
    parser.add_argument("--channels", type=int, help="latent charges; 0 = short range only")
    parser.add_argument("--latents", nargs="+", help="instead of those of the case")
    parser.add_argument("--seed", type=int, help="instead of that of the case")
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    config, console = configuration(options.case, options), Console()
    outcome = train(config, HERE, options.output)
    for part, rows in outcome.errors.items():
        for row in rows:
            console.print(f"{part} {row[0]}: RMSE {row[2]:.4g} {row[1]}, R2 {row[4]:.4f}")
    if options.case == "batio3":
        born_by_element(options.output, config, console)
    if options.case == "sio2":
        held_out(options.output, config, console)
    if options.case == "dipeptides":
        dipoles(options.output, config, console)


if __name__ == "__main__":
    main()

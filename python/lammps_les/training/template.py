"""A commented configuration for a data file."""

import json
import os
import textwrap
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from lammps_les.data.inventory import Entry, described, inventory, passed_over
from lammps_les.data.structures import Labelled, read_labelled
from lammps_les.keys import (
    BORN_EFFECTIVE_CHARGES,
    DIPOLE,
    ENERGY,
    FORCES,
    POLARIZABILITY,
    STRESS,
    TOTAL_CHARGE,
)
from lammps_les.models import KINDS
from lammps_les.training.data_table import data_table
from lammps_les.training.doubts import energy_doubts, stress_doubts
from lammps_les.training.template_network import network_text

_TEXT = """\
# Configuration for `lammps-les train`; every key is explained in docs/training.md.
# {summary}
{table}
data:
  files:
    - path: {path}
      # weight: 1.0          # factor on the loss of these structures
      # part: split          # split, training, validation or test
{labels}  split:
    validation: {validation:<13}# share below 1, number from 1 on, or a list of indices
    test: {test}
    seed: 1
  atomic_energies: fit       # fit, isolated, or values, e.g. {{{energies}}} [eV]
  max_force: {max_force:<16g}# eV/A; structures with more are refused

seed: 1
dtype: float32
# init_from: model           # start from a run folder, a checkpoint or a model that ships
# freeze: [representation]   # parts of it that stay as they are
citation: not given          # of data and method; goes into the model file

network:                     # leave out together with long_range where init_from is given
{network}
long_range:
  sigma: 1.0                 # A, width of the charges
  dl: 2.0                    # A, resolution: wave vectors up to 2 pi / dl

charges:
  # epsilon_inf: 1.8         # high-frequency dielectric constant; without it 1 (vacuum);
  #                            Born effective charges scale with its square root
  total_charge: {total:<13}# off, penalty, or exact: the charges sum to that of the structure

loss:
  kind: mse                  # mse or huber
  weights:                   # of mean square errors; a pair moves from first to second value
{weights}
training:
  epochs: {epochs}
  batch_size: {batch}
  learning_rate: 0.01
  ema_decay: 0.998           # of the moving average of the parameters, which is the result
  validate_every: {check:<11}# epochs between validations
  # patience: 20             # validations without improvement after which training stops
  # accelerator: gpu         # cpu, gpu or auto
  # devices: 2               # GPUs, or processes on CPUs; they share the structures of an epoch
"""

_WEIGHTS = (
    (ENERGY.name, "[0.01, 1.0]", "per atom, eV; small, so that forces lead"),
    (FORCES.name, "1.0", "eV/A"),
    (STRESS.name, "10.0", "eV/A^3"),
    (BORN_EFFECTIVE_CHARGES.name, "0.1", "e"),
    (DIPOLE.name, "0.0", "e A; needs physical charges"),
    (TOTAL_CHARGE.name, "0.0", "e per atom, for charges.total_charge: penalty"),
    (POLARIZABILITY.name, "0.0", "e A^2/V; needs alpha among the latents"),
)


def template(path: Path, folder: Path | None = None, kind: str = KINDS[0]) -> str:
    """Look at a data file, and write a configuration with sensible values for it.

    Args:
        path: of the data.
        folder: in which the configuration will be; default: the working directory.
        kind: of the network.

    Raises:
        ValueError: the file cannot be read, or a structure in it is refused.
    """
    structures = read_labelled(path, max_force=float("inf"), name=path.name)
    elements = _composition(structures)
    entries = inventory([s.atoms for s in structures])
    wrong_stress = stress_doubts(structures)
    doubts = [*passed_over(entries), *wrong_stress, *energy_doubts(structures)]
    weights = []
    for name, value, unit in _WEIGHTS:
        having = sum(name in s.labels for s in structures)
        if name == STRESS.name and wrong_stress:
            value, unit = "0.0", f"{unit}; another sign or unit? see above"
        if having:
            entry = f"    {name}: {value}"
            weights.append(f"{entry:<28} # {unit}; {having} of {len(structures)} structures")
    if not weights:
        weights.append(f"    {FORCES.name}: 1.0  # no usual label is in the file: see data.labels")
    training = max(1, round(0.8 * len(structures)))
    batch = 1 if training < 200 else 4
    epochs = min(2000, max(50, round(20000 * batch / training, -1)))
    check = 10 if epochs % 10 == 0 and epochs >= 100 else 1
    n_held_out = max(1, round(0.1 * len(structures)))
    return _TEXT.format(
        summary=_summary(path, structures, elements),
        table=_comments(
            [
                *(f"{name}: {value}" for name, value in data_table(structures, list(elements))),
                described(entries, len(structures)),
                *doubts,
            ]
        ),
        path=_path(path, folder),
        labels=_labels(entries),
        validation=n_held_out,
        test=n_held_out if len(structures) > 2 else 0,
        energies=", ".join(f"{symbol}: -1.0" for symbol in elements),
        network=network_text(kind, structures),
        max_force=_max_force(structures),
        total="exact" if _neutral_and_periodic(structures) else "off",
        weights="\n".join(weights) + "\n",
        epochs=int(epochs),
        batch=batch,
        check=check,
    )


def _path(path: Path, folder: Path | None) -> str:
    """The path from a folder; from the root where they have nothing else in common."""
    path, folder = path.resolve(), (folder or Path.cwd()).resolve()
    if os.path.commonpath([path, folder]) == path.anchor:
        return json.dumps(str(path), ensure_ascii=False)  # a string of YAML as well
    found = json.dumps(os.path.relpath(path, folder), ensure_ascii=False)
    return f"{found}  # from the folder of this file"


def _comments(texts: Sequence[str]) -> str:
    """Texts as comments, broken into lines."""
    lines = [
        textwrap.wrap(text, 100, break_on_hyphens=False, break_long_words=False) for text in texts
    ]
    return "\n".join(f"# {'  ' * (n > 0)}{part}" for parts in lines for n, part in enumerate(parts))


def _labels(entries: Sequence[Entry]) -> str:
    """The section ``labels``: names after ``REF_`` are taken, others that may be labels offered.

    Where structures differ in the name of a quantity, none is written: the usual ones are tried.
    """
    names = Counter(e.quantity for e in entries if e.taken)
    taken = [e for e in entries if e.taken and e.key.startswith("REF_") and names[e.quantity] == 1]
    known = set(names)
    offered = [e for e in entries if e.quantity is None and e.likely not in (None, *known)]
    mark = "  " if taken else "  # "
    lines = [f"{mark}labels:".ljust(28) + " # names in the file, where they are not the usual ones"]
    lines += [f"    {e.quantity}: {json.dumps(e.key)}" for e in taken]
    lines += [f"  #   {e.likely}: {json.dumps(e.key)}  # perhaps" for e in offered]
    lines += ["  #   energy: energy"] if len(lines) == 1 else []
    return "\n".join(lines) + "\n"


def _composition(structures: Sequence[Labelled]) -> dict[str, int]:
    """Number of atoms of each element in all structures."""
    symbols = np.concatenate([s.atoms.get_chemical_symbols() for s in structures])
    names, counts = np.unique(symbols, return_counts=True)
    return dict(zip(names.tolist(), counts.tolist(), strict=True))


def _summary(path: Path, structures: list[Labelled], elements: dict[str, int]) -> str:
    sizes = [len(s.atoms) for s in structures]
    periodic = sum(s.periodic for s in structures)
    span = f"{min(sizes)}" if min(sizes) == max(sizes) else f"{min(sizes)} to {max(sizes)}"
    text = (
        f"{path.name}: {len(structures)} structures of {span} atoms, {periodic} periodic, "
        f"elements {' '.join(elements)}"
    )
    charges = _total_charges(structures)
    if charges != [0.0]:
        text += f", total charges {' '.join(f'{charge:g}' for charge in charges)} e"
    return text


def _total_charges(structures: list[Labelled]) -> list[float]:
    return sorted({structure.total_charge for structure in structures})


def _neutral_and_periodic(structures: list[Labelled]) -> bool:
    """There, charges that sum to zero gave better Born charges at equal forces."""
    return _total_charges(structures) == [0.0] and all(s.periodic for s in structures)


def _max_force(structures: list[Labelled]) -> float:
    """A round number well above the largest force component."""
    largest = max(
        (abs(s.labels[FORCES.name]).max() for s in structures if FORCES.name in s.labels),
        default=0.0,
    )
    return next(limit for limit in (100.0, 300.0, 1000.0, float("1e9")) if limit > 2.0 * largest)

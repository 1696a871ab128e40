"""What looks wrong with the data as a whole, though each structure by itself may pass."""

from collections.abc import Mapping, Sequence

import numpy as np

from lammps_les.data.atomic_energies import fit_atomic_energies
from lammps_les.data.outliers import energy_outliers, remarkable
from lammps_les.data.stress_convention import convention_by_forces
from lammps_les.data.structures import Labelled
from lammps_les.keys import ENERGY, FORCES, STRESS
from lammps_les.training.config import RunConfig
from lammps_les.training.losses import used_quantities

_LISTED = 6


def data_doubts(config: RunConfig, parts: Mapping[str, Sequence[Labelled]]) -> list[str]:
    """Sentences on stresses of another convention, energies that do not go together, repetitions.

    Raises:
        ValueError: of what is in the loss, an energy cannot be meant, or stresses have another sign
            or unit.
    """
    everything = [structure for part in parts.values() for structure in part]
    wild = energy_outliers(everything)
    in_loss = used_quantities(config.loss)
    unmeant = []
    if wild:
        more = f" (and {len(wild) - 1} more structures)" if len(wild) > 1 else ""
        unmeant.append(
            f"{wild[0]}{more}; take it out, or correct it: another code, another unit, or a "
            "calculation that failed?"
        )
        if ENERGY.name in in_loss:
            raise ValueError(unmeant[0])
    stress_counts = STRESS.name in in_loss
    return [
        *unmeant,
        *(stress_doubts(everything, stress_counts) if config.data.check_stress else []),
        *energy_doubts(everything),
        *remarkable(everything, _LISTED),
        *_repetitions(parts),
    ]


def stress_doubts(structures: Sequence[Labelled], in_loss: bool = False) -> list[str]:
    """Of each file by itself: two of them may have two conventions."""
    notes = []
    files: dict[str, list[Labelled]] = {}
    for structure in structures:
        files.setdefault(structure.file, []).append(structure)
    for file, members in files.items():
        verdict = convention_by_forces(members)
        if verdict is None or verdict.looks_like is None:
            continue
        text = (
            f"stresses of {file} look like {verdict.looks_like}: they are {verdict.factor:.3g} "
            "times what the forces make of them (correlation "
            f"{verdict.correlation:.2f}). Expected are eV/A^3, (1/V) dE/d(strain). A virial [eV] "
            "has a label of its own, data.labels.virial; convert anything else"
        )
        if in_loss and verdict.certain:
            raise ValueError(
                f"{text}, or set loss.weights.stress to 0; where they are right nevertheless, "
                "data.check_stress: false"
            )
        notes.append(text)
    return notes


def energy_doubts(structures: Sequence[Labelled]) -> list[str]:
    """Energies that those of atoms do not explain, by far more than forces would allow for."""
    having = [s for s in structures if ENERGY.name in s.labels and len(s.atoms) > 1]
    if len(having) < 3:
        return []
    species = sorted({symbol for s in having for symbol in s.atoms.get_chemical_symbols()})
    energies = fit_atomic_energies(having, species)
    of_atoms = np.array(
        [sum(s.atoms.symbols.count(x) * energies[x] for x in species) for s in having]
    )
    rest = np.array([float(s.labels[ENERGY.name]) for s in having]) - of_atoms
    rest /= np.array([len(s.atoms) for s in having])  # eV per atom
    forces = [s.labels[FORCES.name].ravel() for s in having if FORCES.name in s.labels]
    rms_force = float(np.sqrt(np.mean(np.concatenate(forces) ** 2))) if forces else 1.0
    order = np.argsort(rest)
    gaps = np.diff(rest[order])
    cut = int(np.argmax(gaps)) + 1
    low, high = np.sort(order[:cut]), np.sort(order[cut:])
    apart = float(rest[high].mean() - rest[low].mean())
    within = max(float(rest[low].std()), float(rest[high].std()))
    usual = max(1.0, 2.0 * rms_force)  # eV: the work of such forces over 2 A
    groups = min(len(low), len(high)) >= 2 and float(gaps.max()) > max(0.3, 5.0 * within)
    if not groups and float(np.abs(rest - np.median(rest)).max()) <= usual:
        return []
    fewer = low if len(low) <= len(high) else high
    places = sorted((having[i].file, having[i].frame) for i in fewer)
    frames = ", ".join(f"{file}, frame {n}" for file, n in places[:_LISTED])
    more = f" and {len(fewer) - _LISTED} more" if len(fewer) > _LISTED else ""
    return [
        f"energies of atoms leave {float(rest.std()):.3g} eV per atom of the energies unexplained "
        f"(RMS force {rms_force:.3g} eV/A): {len(fewer)} of {len(having)} structures are apart "
        f"from the others by {apart:.3g} eV per atom ({frames}{more}). If those are no other "
        "phases or broken molecules, the energies are of two codes or settings, or in two units"
    ]


def _repetitions(parts: Mapping[str, Sequence[Labelled]]) -> list[str]:
    """Structures that stand in two parts, by which the errors of the second say little."""
    placed = [(name, s) for name, part in parts.items() for s in part]
    kinds: dict[tuple[object, ...], list[int]] = {}
    for n, (_, s) in enumerate(placed):
        kinds.setdefault((s.atoms.get_chemical_formula(), s.periodic), []).append(n)
    found = []
    for (_, periodic), members in kinds.items():
        marks = np.array([_fingerprint(placed[n][1], bool(periodic)) for n in members])
        for i, j in _close(marks):
            (one, a), (two, b) = placed[members[i]], placed[members[j]]
            if one != two and _same(a, b):
                found.append(f"{a.where} ({one}) and {b.where} ({two})")
    if not found:
        return []
    more = f", and {len(found) - _LISTED} more" if len(found) > _LISTED else ""
    return [
        f"the same structure stands in two parts of the data, so that errors there say little: "
        f"{'; '.join(found[:_LISTED])}{more}"
    ]


def _close(marks: np.ndarray) -> list[tuple[int, int]]:
    """Pairs of rows that agree to 1e-6 of the largest number."""
    tolerance = 1e-6 * max(float(np.abs(marks).max()), 1e-12)
    order = np.argsort(marks[:, 0])
    sorted_marks, pairs = marks[order], []
    for step in range(1, len(marks)):
        difference = np.abs(sorted_marks[step:] - sorted_marks[:-step])
        if not (difference[:, 0] < tolerance).any():
            break
        near = np.nonzero((difference < tolerance).all(axis=1))[0]
        pairs += [
            (int(min(order[k], order[k + step])), int(max(order[k], order[k + step]))) for k in near
        ]
    return sorted(pairs)


def _fingerprint(structure: Labelled, periodic: bool) -> np.ndarray:
    """Numbers that neither a translation nor the order of the atoms changes."""
    atoms = structure.atoms
    z = atoms.numbers.astype(float)
    if periodic:
        waves = np.array(
            [[1, 0, 0], [0, 1, 0], [0, 0, 1], [1, 1, 0], [0, 1, 1], [1, 0, 1], [1, 2, 3]]
        )
        phases = np.exp(2j * np.pi * (atoms.get_scaled_positions(wrap=False) @ waves.T))
        metric = atoms.cell.array @ atoms.cell.array.T
        factors = np.abs(z @ phases) / z.sum()
        return np.concatenate([factors, metric[np.triu_indices(3)] / np.trace(metric)])
    r = atoms.positions - (z @ atoms.positions) / z.sum()
    square = (r * r).sum(axis=1)
    return np.array([z @ square, z @ square**2, z @ r[:, 0] ** 2, z @ r[:, 1] ** 2]) / z.sum()


def _same(a: Labelled, b: Labelled) -> bool:
    """Whether two structures have the same atoms in the same order and places, to 1e-4 A."""
    one, two = a.atoms, b.atoms
    if len(one) != len(two) or (one.numbers != two.numbers).any():
        return False
    difference = (two.positions - two.positions[0]) - (one.positions - one.positions[0])
    if a.periodic:
        if not np.allclose(one.cell.array, two.cell.array, rtol=0.0, atol=1e-4):
            return False
        steps = np.linalg.solve(one.cell.array.T, difference.T).T
        difference = (steps - np.round(steps)) @ one.cell.array
    return bool(np.abs(difference).max() < 1e-4)

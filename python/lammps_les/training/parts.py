"""Structures with labels for training, validation and test, and whether they serve the loss."""

from collections.abc import Sequence
from pathlib import Path

from lammps_les.data.inventory import described, inventory, passed_over
from lammps_les.data.labels import has_label
from lammps_les.data.splits import PARTS, check_indices, split_by_fraction
from lammps_les.data.structures import Labelled, read_labelled
from lammps_les.keys import (
    DIELECTRIC,
    POLARIZABILITY,
    STRESS,
    TOTAL_CHARGE,
    VIRIAL,
)
from lammps_les.training.config import DataConfig, RunConfig
from lammps_les.training.losses import used_quantities

_FORM = {STRESS.name: VIRIAL.name, POLARIZABILITY.name: DIELECTRIC.name}
"""What stands for a quantity."""


def read_data(config: RunConfig, folder: Path) -> dict[str, list[Labelled]]:
    """Read all files and deal their structures out; paths are relative to ``folder``.

    Raises:
        ValueError: a file or a structure is refused; a name of a label is in no file; a part stays
            empty.
    """
    data = config.data
    parts: dict[str, list[Labelled]] = {name: [] for name in PARTS}
    pool: list[Labelled] = []
    for file in data.files:
        found = read_labelled(
            folder / file.path,
            label_names(data),
            (file.bec_order or data.bec_order) == "r-first",
            file.weight,
            data.max_force,
            data.min_distance,
            file.frames,
            file.path,
            data.polarizability_unit,
        )
        (pool if file.part == "split" else parts[file.part]).extend(found)
    _check_label_names(data, [*pool, *(s for part in parts.values() for s in part)])
    if pool:
        for name, indices in zip(PARTS, _split(config, len(pool), parts), strict=True):
            parts[name] += [pool[i] for i in indices]
    for name in ("training", "validation"):
        if not parts[name]:
            raise ValueError(f"no structures for {name}; see data.files and data.split")
    return parts


def label_names(data: DataConfig) -> dict[str, str]:
    """Names of labels in the files, where the configuration gives them."""
    return {name: key for name, key in data.labels.model_dump().items() if key is not None}


def _check_label_names(data: DataConfig, structures: Sequence[Labelled]) -> None:
    """A name must be in one of the files, be it where the boundaries make it meaningless."""
    for name, key in label_names(data).items():
        if not any(has_label(structure.atoms, key) for structure in structures):
            files = ", ".join(dict.fromkeys(file.path for file in data.files))
            raise ValueError(
                f"data.labels.{name}: no structure in {files} has a label '{key}'; correct the "
                f"name, or leave it out ({_found(data, structures)})"
            )


def _found(data: DataConfig, structures: Sequence[Labelled]) -> str:
    entries = inventory([structure.atoms for structure in structures], label_names(data))
    return "; ".join([described(entries, len(structures)), *passed_over(entries)])


def labels_found(config: RunConfig, parts: dict[str, list[Labelled]]) -> list[str]:
    """Sentences on what the files have, what it is taken for, and what is passed over."""
    structures = [structure.atoms for part in parts.values() for structure in part]
    entries = inventory(structures, label_names(config.data))
    return [described(entries, len(structures)), *passed_over(entries)]


def _split(config: RunConfig, n: int, given: dict[str, list[Labelled]]) -> Sequence[Sequence[int]]:
    split = config.data.split
    if isinstance(split.validation, list) and isinstance(split.test, list):
        held_out = {*split.validation, *split.test}
        training = split.training
        if training is None:
            training = [i for i in range(n) if i not in held_out]
        indices = (training, split.validation, split.test)
        check_indices(n, indices)
        return indices
    assert not isinstance(split.validation, list)
    assert not isinstance(split.test, list)
    # a part that has files of its own takes nothing from the others
    validation = None if given["validation"] else split.validation
    test = None if given["test"] else split.test
    return split_by_fraction(n, validation, test, split.seed)


def check_labels(config: RunConfig, parts: dict[str, list[Labelled]]) -> None:
    """Refuse quantities in the loss without labels, and structures for training without any of it.

    Raises:
        ValueError: names the quantity, or file and frame.
    """
    used = used_quantities(config.loss)
    penalty = config.charges.total_charge == "penalty"
    for name in used:
        if name == TOTAL_CHARGE.name and penalty:
            continue
        for part in ("training", "validation"):
            if not any(name in structure.labels for structure in parts[part]):
                entries = inventory([s.atoms for s in parts[part]], label_names(config.data))
                without = passed_over([e for e in entries if e.quantity in (name, _FORM.get(name))])
                way_out = "; ".join(without) or f"give its name in data.labels.{name}"
                raise ValueError(
                    f"loss.weights.{name} is not 0, but no structure for {part} has a label for "
                    f"it: {way_out}, or set the weight to 0 "
                    f"({described(entries, len(parts[part]))})"
                )
    for structure in parts["training"]:
        if not penalty and not any(name in structure.labels for name in used):
            raise ValueError(
                f"{structure.where}: it is to train, but has none of the labels that have a weight "
                f"in the loss ({', '.join(used) or 'none has'}); it has "
                f"{', '.join(structure.labels) or 'none at all'}. Leave it out by frames or "
                "part: test in data.files, or give one of its labels a weight in loss.weights "
                f"({_found(config.data, [structure])})"
            )

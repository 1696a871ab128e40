"""A run folder whose training has not ended: the best weights so far, as a trained network."""

import contextlib
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path

import torch
from torch import Tensor

from lammps_les.pretrained import CONFIG, WEIGHTS, OtherWeights, load_folder
from lammps_les.training import run_folder as folder_of
from lammps_les.training.config_file import read_config
from lammps_les.training.preparation import prepare
from lammps_les.training.resumption import check_data, problem_of, with_data_found


@contextlib.contextmanager
def trained_folder(path: Path, notes: list[str]) -> Iterator[Path]:
    """The folder itself, or, for the time being, one with what its training has reached so far.

    What does not stand in the checkpoint (energies of atoms, signs of charges) is found anew from
    the data, as at the end of a training.

    Args:
        path: file or folder; all but run folders of unfinished trainings are passed through.
        notes: gets a sentence where that was necessary, and those on the decisions taken.

    Raises:
        ValueError: there are no weights yet, or those of a finished training are damaged, or the
            checkpoint or the data cannot be used, or the data are not those that the run began
            with.
    """
    if not _is_unfinished(path):
        yield path
        return
    best = path / folder_of.BEST
    go_on = f"`lammps-les train {path / folder_of.CONFIG} --resume` goes on with it"
    if not best.is_file():
        raise ValueError(
            f"{path} is the folder of a training that ended before its first "
            f"validation, so there are no weights yet; {go_on}"
        )
    problem = problem_of(best)
    if problem is not None:
        raise ValueError(f"{best} {problem}; {go_on}, where last.ckpt is whole")
    try:
        config = with_data_found(read_config(path / folder_of.CONFIG), path, path)
        prepared = prepare(config, path)
        origin = check_data(config, folder_of.provenance(config, path, prepared), path)
    except ValueError as error:
        raise ValueError(
            f"{path} is the folder of an unfinished training, and a model of its best weights "
            f"needs the data: {error}. With the data, {go_on}"
        ) from None
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / path.resolve().name
        folder.mkdir()
        shutil.copy(best, folder)
        epoch = torch.load(best, map_location="cpu", weights_only=True)["epoch"] + 1
        notes.append(
            f"the training in {path} is not finished: these are its best weights so far, of epoch "
            f"{epoch} of {config.training.epochs}; {go_on}"
        )
        notes += folder_of.write_trained(folder, config, prepared, origin)
        yield folder


def _is_unfinished(path: Path) -> bool:
    """Whether weights were never written, or the training has gone on since."""
    if not (path / folder_of.CONFIG).is_file():
        return False
    best, weights = path / folder_of.BEST, path / WEIGHTS
    if not weights.is_file():
        return True
    if not best.is_file() or problem_of(best) is not None:
        return False
    if not (path / CONFIG).is_file():
        return True
    reached = folder_of.averages(best)
    try:
        return not _equal(load_folder(path)[0].state_dict(), reached)
    except OtherWeights:
        if not _hold(weights, reached):
            raise
        return True  # ended between the two files that are written then


def _hold(weights: Path, expected: Mapping[str, Tensor]) -> bool:
    """Whether a file of weights is whole and holds those."""
    try:
        return _equal(torch.load(weights, map_location="cpu", weights_only=True), expected)
    except Exception:  # torch raises anything
        return False


def _equal(weights: Mapping[str, Tensor], expected: Mapping[str, Tensor]) -> bool:
    return all(
        name in expected and torch.equal(expected[name], value) for name, value in weights.items()
    )

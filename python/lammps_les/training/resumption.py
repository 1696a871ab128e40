"""Whether a run may be gone on with: the same configuration, the same data, whole checkpoints."""

import os
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from lammps_les.files import read_json, unreadable
from lammps_les.training import run_folder as folder_of
from lammps_les.training.callbacks import read_metrics
from lammps_les.training.config import RunConfig
from lammps_les.training.config_file import read_config

FREE = ("training.epochs", "training.accelerator", "data.check_stress")
"""Keys that may change when a run is gone on with."""
_CHECKPOINT = {"state_dict", "optimizer_states", "lr_schedulers", "loops", "callbacks", "epoch"}


def check_unused(run_folder: Path) -> None:
    """Refuse a folder that a training has left something in.

    Raises:
        ValueError: says what.
    """
    found = [name for name in folder_of.RESULTS if (run_folder / name).exists()]
    if found:
        raise ValueError(
            f"{run_folder} holds a run already ({', '.join(found)}); go on with --resume, choose "
            "another folder with -o, or remove the folder to start anew"
        )


def with_data_found(config: RunConfig, folder: Path, run_folder: Path) -> RunConfig:
    """The configuration with data files that were moved along with the run folder found again.

    A file that is not where it was is looked for by its name in the working directory and around
    the run folder; its contents must be those that the run began with.
    """
    known = _known_digests(run_folder)
    content = config.model_dump(exclude_unset=True)
    for file in content["data"]["files"]:
        if (folder / file["path"]).is_file():
            continue
        name = Path(file["path"]).name
        for place in (Path.cwd(), run_folder.resolve().parent, run_folder.resolve()):
            if (place / name).is_file() and folder_of.digest(place / name) in known:
                file["path"] = str(place / name)
                break
    return RunConfig.model_validate(content)


def check_same(content: Mapping[str, Any], run_folder: Path) -> None:
    """Refuse a configuration that would make another model than the one of the run.

    Places of files are not compared here, nor what ``FREE`` names.

    Args:
        content: resolved configuration (``run_folder.resolved``).
        run_folder: of the run.

    Raises:
        ValueError: no run there, or a key that differs; says which, and from what to what.
    """
    path = run_folder / folder_of.CONFIG
    problem = unreadable(path)
    if problem:
        raise ValueError(f"{run_folder} holds no run that could be resumed: {path.name} {problem}")
    earlier = _flat(_placeless(folder_of.resolved(read_config(path), run_folder)))
    now = _flat(_placeless(content))
    keys = [key for key in {**earlier, **now} if earlier.get(key) != now.get(key)]
    different = [
        f"{key} ({earlier.get(key, 'not given')} in the run, {now.get(key, 'not given')} now)"
        for key in keys
        if key not in FREE
    ]
    if different:
        raise ValueError(
            f"the configuration differs from that of the run in {run_folder}: "
            f"{', '.join(different)}; resume with {path}, or train in another folder. "
            f"{', '.join(FREE)} may be changed"
        )


def _placeless(content: Mapping[str, Any]) -> dict[str, Any]:
    """Without the places of files, whose contents are compared instead."""
    data = content["data"]
    files = [{k: v for k, v in file.items() if k != "path"} for file in data["files"]]
    start = {"init_from": True} if content.get("init_from") else {}
    return {**content, **start, "data": {**data, "files": files}}


def _flat(content: Any, beginning: str = "") -> dict[str, Any]:
    """Values by keys such as ``training.epochs``; lists of sections are gone into as well."""
    if isinstance(content, dict):
        parts = [(f"{beginning}.{key}".lstrip("."), value) for key, value in content.items()]
    elif isinstance(content, list) and any(isinstance(value, dict) for value in content):
        parts = [(f"{beginning}[{n}]", value) for n, value in enumerate(content)]
    else:
        return {beginning: content}
    return {key: value for name, inner in parts for key, value in _flat(inner, name).items()}


def check_data(config: RunConfig, origin: dict[str, Any], run_folder: Path) -> dict[str, Any]:
    """Provenance of the interrupted run, with the present names of its files.

    Args:
        config: of the run.
        origin: provenance as it would be now.
        run_folder: of the run.

    Raises:
        ValueError: data, or what the run started from, were others.
    """
    path = run_folder / folder_of.PROVENANCE
    if not path.exists():
        return origin
    earlier = {**read_json(path), "data": _digests(path)}
    before, now = list(earlier["data"].values()), list(origin["data"].values())
    for n, (file, found) in enumerate(origin["data"].items()):
        if found != before[n] if len(before) == len(now) else found not in before:
            raise ValueError(f"{file} has changed since the run in {run_folder} began")
    if earlier.get("init_from", origin.get("init_from")) != origin.get("init_from"):
        raise ValueError(f"{config.init_from} has changed since the run in {run_folder} began")
    return {**earlier, "data": origin["data"]}


def _known_digests(run_folder: Path) -> set[str]:
    path = run_folder / folder_of.PROVENANCE
    return set(_digests(path).values()) if path.exists() else set()


def _digests(provenance: Path) -> dict[str, str]:
    """SHA-256 of data files by their names."""
    data = read_json(provenance).get("data")
    if not isinstance(data, dict) or not all(isinstance(value, str) for value in data.values()):
        raise ValueError(
            f"{provenance}: expected an object 'data' with a hash for each file; without the file "
            "--resume does not look whether the data are still the same"
        )
    return data


def check_checkpoints(
    run_folder: Path, parameters: Mapping[str, Tensor], first_look: int = 1
) -> int:
    """Epochs that the last checkpoint has behind it; 0 where there is none yet.

    Args:
        run_folder: of the run.
        parameters: state of the training that is to go on (``LesTraining.state_dict``).
        first_look: epochs before the first validation: a run that ended between the two files that
            it writes then begins anew.

    Raises:
        ValueError: a checkpoint is damaged or of another network; says what is left to do.
    """
    best, last = run_folder / folder_of.BEST, run_folder / folder_of.LAST
    sound = problem_of(best, parameters) is None if best.exists() else False
    if last.exists():
        problem = problem_of(last, parameters)
        if problem is not None:
            way_out = (
                f"go on from the best weights by `cp {best} {last}`, or make a model of them by "
                f"`lammps-les export {run_folder}`"
                if sound
                else f"{best} is of no use either; train anew in another folder"
            )
            raise ValueError(f"{last} {problem}; {way_out}")
    elif sound and max(_epoch(best), *_epochs_written(run_folder)) > first_look:
        raise ValueError(f"{last} is missing; go on from the best weights by `cp {best} {last}`")
    if best.exists() and not sound:
        raise ValueError(
            f"{best} {problem_of(best, parameters)}; remove it to go on from {last.name}: the best "
            "weights are then chosen among those to come"
        )
    return _epoch(last) if last.exists() else 0


def _epochs_written(run_folder: Path) -> list[int]:
    return [0, *(int(row["epoch"]) for row in read_metrics(run_folder / folder_of.METRICS))]


def _epoch(checkpoint: Path) -> int:
    """Epochs that a checkpoint has behind it."""
    return int(torch.load(checkpoint, map_location="cpu", weights_only=True)["epoch"]) + 1


def problem_of(checkpoint: Path, parameters: Mapping[str, Tensor] | None = None) -> str | None:
    """What is wrong with a checkpoint of a training, or None.

    Args:
        checkpoint: file.
        parameters: that it should hold, by name; without them only the file is looked at.
    """
    problem = unreadable(checkpoint)
    if problem is not None:
        return problem
    size = os.path.getsize(checkpoint)
    if size == 0:
        return "is empty"
    try:
        with zipfile.ZipFile(checkpoint) as archive:
            spoiled = archive.testzip()  # which torch does not look at
        if spoiled is not None:
            return f"is damaged ({spoiled} has another checksum than when it was written)"
        content = torch.load(checkpoint, map_location="cpu", weights_only=True)
    except Exception as error:  # torch raises anything
        reason = str(error).split("\n")[0].split(". ")[0]
        return f"is damaged, perhaps cut short at {size} bytes ({reason})"
    if not isinstance(content, dict) or not content.keys() >= _CHECKPOINT:
        return "is no checkpoint of a training"
    if parameters is None:
        return None
    found = content["state_dict"]
    if not isinstance(found, dict) or not isinstance(content["epoch"], int):
        return "is no checkpoint of a training"
    for name in {**parameters, **found}:
        if name not in found or name not in parameters:
            return f"is of another network ({name} is in one of them only)"
        ours, theirs = tuple(parameters[name].shape), tuple(getattr(found[name], "shape", ()))
        if ours != theirs:
            return f"is of another network ({name} has shape {theirs}, expected {ours})"
    return None

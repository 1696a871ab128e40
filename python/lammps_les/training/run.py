"""One training from beginning to end."""

import contextlib
import json
import logging
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import lightning
from lightning.pytorch.callbacks import Callback, EarlyStopping
from lightning.pytorch.loggers import TensorBoardLogger
from lightning.pytorch.utilities import rank_zero_only
from lightning.pytorch.utilities.exceptions import MisconfigurationException
from rich.console import Console
from torch.utils.data import DataLoader

from lammps_les.data.frames import Frame, join
from lammps_les.training import run_folder as folder_of
from lammps_les.training.callbacks import Checkpoint, LiveErrors, MetricsFile
from lammps_les.training.config import RunConfig
from lammps_les.training.config_file import read_config
from lammps_les.training.module import SCORE, EpochOrder, LesTraining
from lammps_les.training.preparation import Prepared, prepare


@dataclass(frozen=True)
class Outcome:
    """What came out of a training.

    Attributes:
        folder: of the run.
        errors: by part of the data, rows of quantity, unit, RMSE, MAE, R2, values.
        notes: decisions, and what could not be done.
    """

    folder: Path
    errors: dict[str, list[tuple[str, str, float, float, float, int]]]
    notes: list[str]


def train(
    config: RunConfig,
    config_folder: Path,
    run_folder: Path,
    resume: bool = False,
    console: Console | None = None,
    callbacks: Sequence[Callback] = (),
    note: Callable[[str], None] | None = None,
) -> Outcome | None:
    """Train, and fill the run folder.

    With several devices each has a process, which goes through here; only the first one looks at
    the folder and writes into it.

    Args:
        config: of the run.
        config_folder: to which its paths are relative.
        run_folder: made if absent.
        resume: go on from the last checkpoint in the run folder.
        console: for progress; default: stderr.
        callbacks: further ones.
        note: is told of decisions as they are taken, those before the training at its beginning.

    Returns:
        what came out; None in a process that is not the first.

    Raises:
        ValueError: the data are refused; the folder has a run already, or, with ``resume``, none or
            another one; the loss is not finite.
    """
    content = folder_of.resolved(config, config_folder)
    if getattr(rank_zero_only, "rank", 0) != 0:
        _fit(config, prepare(config, config_folder), run_folder, resume, console, callbacks)
        return None
    if resume:
        _check_same(content, run_folder)
    else:
        _check_unused(run_folder)
    note = note or (lambda text: None)
    prepared = prepare(config, config_folder)
    for text in prepared.notes:
        note(text)
    origin = folder_of.provenance(config, config_folder, prepared)
    if resume:
        origin = _check_data(origin, run_folder)
    run_folder.mkdir(parents=True, exist_ok=True)
    folder_of.write_config(content, run_folder)
    folder_of.write_provenance(origin, run_folder)

    _fit(config, prepared, run_folder, resume, console, callbacks)

    later = folder_of.write_trained(run_folder, config, prepared, origin)
    for text in later:
        note(text)
    notes = [*prepared.notes, *later]
    folder_of.plot_learning_curves(run_folder)
    errors = folder_of.evaluate_parts(run_folder, config, prepared)
    folder_of.write_report(run_folder, prepared, origin, errors, notes)
    return Outcome(run_folder, errors, notes)


def _fit(
    config: RunConfig,
    prepared: Prepared,
    run_folder: Path,
    resume: bool,
    console: Console | None,
    callbacks: Sequence[Callback],
) -> None:
    options = config.training
    frames = prepared.frames
    order = EpochOrder(len(frames["training"]), config.seed)
    loaders = (
        _loader(frames["training"], options.batch_size, order),
        _loader(frames["validation"], options.batch_size),
    )
    per_epoch = -(-len(order) // (options.batch_size * options.devices))
    module = LesTraining(prepared.network, prepared.physics, config, options.epochs * per_epoch)
    last = run_folder / folder_of.LAST
    with warnings.catch_warnings(), _errors_of_hardware():
        warnings.filterwarnings("ignore", module="lightning")
        warnings.filterwarnings("ignore", module="pytorch_lightning")
        warnings.filterwarnings("ignore", message="Grad strides")  # of several processes
        logging.getLogger("lightning.pytorch").setLevel(logging.WARNING)
        trainer = lightning.Trainer(
            accelerator=options.accelerator,
            devices=options.devices,
            # a constant in a readout has no gradient where only forces count
            strategy="auto" if options.devices == 1 else "ddp_find_unused_parameters_true",
            max_epochs=options.epochs,
            check_val_every_n_epoch=options.check_every,
            gradient_clip_val=options.max_gradient,
            num_sanity_val_steps=0,
            inference_mode=False,
            use_distributed_sampler=False,
            enable_progress_bar=False,
            enable_model_summary=False,
            log_every_n_steps=1,
            logger=TensorBoardLogger(run_folder, name="tensorboard", version=""),
            callbacks=[
                *callbacks,
                *_early_stopping(options.patience),
                MetricsFile(run_folder / folder_of.METRICS),
                LiveErrors(console or Console(stderr=True)),
                *_checkpoints(run_folder, options.check_every),
            ],
        )
        # a run that ended before its first checkpoint goes on from the beginning
        trainer.fit(module, *loaders, ckpt_path=str(last) if resume and last.exists() else None)


@contextlib.contextmanager
def _errors_of_hardware() -> Iterator[None]:
    """What Lightning says of devices that are not there, as an error in the configuration."""
    try:
        yield
    except MisconfigurationException as error:
        raise ValueError(f"training.accelerator, training.devices: {error}") from None


def _loader(frames: Sequence[Frame], size: int, order: EpochOrder | None = None) -> Any:
    collate: Callable[[list[Frame]], Any] = join
    return DataLoader(list(frames), batch_size=size, sampler=order, collate_fn=collate)  # type: ignore[arg-type]


def _early_stopping(patience: int | None) -> list[Callback]:
    return [] if patience is None else [EarlyStopping(SCORE, patience=patience, mode="min")]


def _checkpoints(folder: Path, check_every: int) -> list[Callback]:
    """The best by the score, and the last; the last comes second and so knows of the best."""
    shared: dict[str, Any] = {
        "dirpath": folder,
        "every_n_epochs": check_every,
        "save_on_train_epoch_end": True,
        "enable_version_counter": False,
        "auto_insert_metric_name": False,
    }
    best = Path(folder_of.BEST).stem
    last = Path(folder_of.LAST).stem
    return [
        Checkpoint(filename=best, monitor=SCORE, mode="min", save_top_k=1, **shared),
        Checkpoint(filename=last, save_top_k=1, **shared),
    ]


def _check_unused(run_folder: Path) -> None:
    found = [name for name in folder_of.RESULTS if (run_folder / name).exists()]
    if found:
        raise ValueError(
            f"{run_folder} holds a run already ({', '.join(found)}); go on with --resume, choose "
            "another folder with -o, or remove the folder to start anew"
        )


def _check_same(content: dict[str, Any], run_folder: Path) -> None:
    path = run_folder / folder_of.CONFIG
    if not path.is_file():
        raise ValueError(
            f"{run_folder} holds no run that could be resumed ({path.name} is missing)"
        )
    earlier = folder_of.resolved(read_config(path), run_folder)
    different = [key for key in {**earlier, **content} if earlier.get(key) != content.get(key)]
    if different:
        raise ValueError(
            f"the configuration differs from that of the run in {run_folder}: section "
            f"{', '.join(different)}; resume with {path}, or train in another folder"
        )


def _check_data(origin: dict[str, Any], run_folder: Path) -> dict[str, Any]:
    """Provenance of the interrupted run.

    Raises:
        ValueError: its data were others.
    """
    path = run_folder / folder_of.PROVENANCE
    if not path.is_file():
        return origin
    earlier = json.loads(path.read_text())
    for file, digest in origin["data"].items():
        if digest not in earlier["data"].values():
            raise ValueError(f"{file} has changed since the run in {run_folder} began")
    return earlier

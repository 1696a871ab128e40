"""One training from beginning to end."""

import logging
import os
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import lightning
from ase.calculators.calculator import CalculatorError
from lightning.pytorch.callbacks import Callback, EarlyStopping
from lightning.pytorch.loggers import TensorBoardLogger
from lightning.pytorch.utilities import rank_zero_only
from lightning.pytorch.utilities.exceptions import MisconfigurationException
from rich.console import Console
from torch.utils.data import DataLoader

from lammps_les.training import run_folder as folder_of
from lammps_les.training.callbacks import (
    Checkpoint,
    CheckpointFiles,
    LiveErrors,
    MetricsFile,
    StopWhereAsked,
)
from lammps_les.training.config import RunConfig
from lammps_les.training.frames import Frame, join
from lammps_les.training.interruption import Interrupted, Interruptions
from lammps_les.training.lock import locked
from lammps_les.training.module import SCORE, EpochOrder, LesTraining
from lammps_les.training.preparation import Prepared, prepare
from lammps_les.training.resumption import (
    check_checkpoints,
    check_data,
    check_same,
    check_unused,
    with_data_found,
)


@dataclass(frozen=True)
class Outcome:
    """What came out of a training.

    Attributes:
        folder: of the run.
        errors: by part of the data, rows of quantity, unit, RMSE, MAE, R2, values.
        notes: decisions, and what could not be done.
        signal: number of the signal that ended the training early; the model is that of the best
            weights until then.
    """

    folder: Path
    errors: dict[str, list[tuple[str, str, float, float, float, int]]]
    notes: list[str]
    signal: int | None = None


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
            another one; another process trains in it; the loss is not finite; model and weights are
            written, but plots or report could not be.
        OSError: a file could not be written; those of before are whole.
        Interrupted: SIGINT or SIGTERM came in before there were weights to make a model of. Later
            ones end the training in order; a second one ends the process.
    """
    first = getattr(rank_zero_only, "rank", 0) == 0
    with Interruptions() as interruptions, locked(run_folder) if first else nullcontext():
        return _train(
            config,
            config_folder,
            run_folder,
            resume,
            console,
            callbacks,
            note or (lambda text: None),
            interruptions,
            first,
        )


def _train(
    config: RunConfig,
    config_folder: Path,
    run_folder: Path,
    resume: bool,
    console: Console | None,
    callbacks: Sequence[Callback],
    note: Callable[[str], None],
    interruptions: Interruptions,
    first: bool,
) -> Outcome | None:
    with interruptions.at_once("before the training began"):
        if resume:
            config = with_data_found(config, config_folder, run_folder)
        else:
            _check_stages(config)
        content = folder_of.resolved(config, config_folder)
        if first and resume:
            check_same(content, run_folder)
        elif first:
            check_unused(run_folder)
        prepared = prepare(config, config_folder)
    _check_devices(config, len(prepared.frames["training"]))
    if first:
        for text in prepared.notes:
            note(text)
        origin = folder_of.provenance(config, config_folder, prepared)
        if resume:
            origin = check_data(config, origin, run_folder)
        run_folder.mkdir(parents=True, exist_ok=True)
        folder_of.write_config(content, run_folder)
        folder_of.write_provenance(origin, run_folder)

    notes = list(prepared.notes)
    stopped: Interrupted | None = None
    try:
        done = _fit(
            config,
            prepared,
            run_folder,
            resume,
            console,
            [StopWhereAsked(interruptions), *callbacks],
        )
    except Interrupted as interrupted:
        stopped = interrupted
    if not first:
        return None
    if stopped is None and done >= config.training.epochs and resume:
        notes.append(
            f"the run has {done} epochs behind it, and training.epochs asks for "
            f"{config.training.epochs}: there was nothing left to train"
        )
        note(notes[-1])
    elif stopped is not None:
        if not (run_folder / folder_of.BEST).is_file():
            raise Interrupted(
                stopped.signal,
                "before the first validation: there are no weights yet",
            )
        notes.append(f"{stopped}: the model is that of the best weights so far; --resume goes on")
        note(notes[-1])

    later = folder_of.write_trained(run_folder, config, prepared, origin)
    for text in later:
        note(text)
    notes += later
    try:
        folder_of.plot_learning_curves(run_folder)
        errors = folder_of.evaluate_parts(run_folder, config, prepared)
        folder_of.write_report(run_folder, prepared, origin, errors, notes)
    except (OSError, ValueError, CalculatorError) as error:
        raise ValueError(
            f"weights and model in {run_folder} are written, but not all plots and the report: "
            f"{error}; --resume makes them anew"
        ) from None
    return Outcome(run_folder, errors, notes, stopped.signal if stopped else None)


def _check_stages(config: RunConfig) -> None:
    """Refuse stages that a new run would never reach; one with fewer epochs than before may."""
    for n, stage in enumerate(config.loss.stages):
        if stage.from_epoch >= config.training.epochs:
            raise ValueError(
                f"loss.stages[{n}].from_epoch: epochs are counted from 0, and the last of "
                f"training.epochs is {config.training.epochs - 1}; got {stage.from_epoch}"
            )


def _check_devices(config: RunConfig, n_training: int) -> None:
    """Refuse more processes than could do anything."""
    n, cores = config.training.devices, os.cpu_count() or 1
    if config.training.accelerator != "gpu" and n > cores:
        raise ValueError(f"training.devices: {n} processes, but this machine has {cores} cores")
    if n > n_training:
        raise ValueError(
            f"training.devices: {n} processes share the structures of an epoch, but there are "
            f"{n_training} for training"
        )


def _fit(
    config: RunConfig,
    prepared: Prepared,
    run_folder: Path,
    resume: bool,
    console: Console | None,
    callbacks: Sequence[Callback],
) -> int:
    """Train, and return how many epochs the run had behind it before."""
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
    # a run that ended before its first checkpoint goes on from the beginning
    done = 0
    if resume:
        done = check_checkpoints(run_folder, module.state_dict(), options.validate_every)
    if done >= options.epochs:
        best = run_folder / folder_of.BEST
        if not best.exists():
            raise ValueError(
                f"{best} is missing, and there is nothing left to train: `cp {last} {best}` takes "
                "the last weights, more training.epochs choose among those to come"
            )
        return done
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
            check_val_every_n_epoch=options.validate_every,
            gradient_clip_val=options.gradient_clip,
            num_sanity_val_steps=0,
            inference_mode=False,
            use_distributed_sampler=False,
            enable_progress_bar=False,
            enable_model_summary=False,
            log_every_n_steps=1,
            logger=TensorBoardLogger(run_folder, name="tensorboard", version=""),
            plugins=[CheckpointFiles()],
            callbacks=[
                *callbacks,
                *_early_stopping(options.patience),
                MetricsFile(run_folder / folder_of.METRICS),
                LiveErrors(console or Console(stderr=True)),
                *_checkpoints(run_folder, options.validate_every),
            ],
        )
        trainer.fit(module, *loaders, ckpt_path=str(last) if done else None)
    return done


@contextmanager
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


def _checkpoints(folder: Path, validate_every: int) -> list[Callback]:
    """The best by the score, and the last; the last comes second and so knows of the best."""
    shared: dict[str, Any] = {
        "dirpath": folder,
        "every_n_epochs": validate_every,
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

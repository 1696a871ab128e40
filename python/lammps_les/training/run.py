"""One training from beginning to end."""

import json
import logging
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import lightning
import yaml
from lightning.pytorch.callbacks import Callback, EarlyStopping, ModelCheckpoint
from lightning.pytorch.loggers import TensorBoardLogger
from lightning.pytorch.utilities import rank_zero_only
from rich.console import Console
from torch.utils.data import DataLoader

from lammps_les.data.frames import Frame, join
from lammps_les.training import run_folder as folder_of
from lammps_les.training.callbacks import LiveErrors, MetricsFile
from lammps_les.training.config import RunConfig
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

    Returns:
        what came out; None in a process that is not the first.

    Raises:
        ValueError: the data are refused; the folder has a run already, or, with ``resume``, none or
            another one.
    """
    content = folder_of.resolved(config, config_folder)
    if getattr(rank_zero_only, "rank", 0) != 0:
        _fit(config, prepare(config, config_folder), run_folder, console, callbacks)
        return None
    if resume:
        _check_same(content, run_folder)
    elif (run_folder / folder_of.CONFIG).exists():
        raise ValueError(
            f"{run_folder} holds a run already; choose another folder with -o, or go on with "
            "--resume"
        )
    prepared = prepare(config, config_folder)
    origin = folder_of.provenance(content, prepared)
    if resume:
        origin = _check_data(origin, run_folder)
    run_folder.mkdir(parents=True, exist_ok=True)
    folder_of.write_config(content, run_folder)
    folder_of.write_provenance(origin, run_folder)

    _fit(config, prepared, run_folder, console, callbacks)

    notes = folder_of.write_trained(run_folder, config, prepared, origin)
    folder_of.plot_learning_curves(run_folder)
    errors = folder_of.evaluate_parts(run_folder, config, prepared)
    folder_of.write_report(run_folder, prepared, origin, errors, notes)
    return Outcome(run_folder, errors, notes)


def _fit(
    config: RunConfig,
    prepared: Prepared,
    run_folder: Path,
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
    with warnings.catch_warnings():
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
        trainer.fit(module, *loaders, ckpt_path=str(last) if last.exists() else None)


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
        ModelCheckpoint(filename=best, monitor=SCORE, mode="min", save_top_k=1, **shared),
        ModelCheckpoint(filename=last, save_top_k=1, **shared),
    ]


def _check_same(content: dict[str, Any], run_folder: Path) -> None:
    path = run_folder / folder_of.CONFIG
    if not path.is_file():
        raise ValueError(f"{run_folder} holds no run that could be resumed")
    earlier = yaml.safe_load(path.read_text())
    normal = yaml.safe_load(yaml.safe_dump(content))
    different = [key for key in {**earlier, **normal} if earlier.get(key) != normal.get(key)]
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
        if earlier["data"].get(file) != digest:
            raise ValueError(f"{file} has changed since the run in {run_folder} began")
    return earlier

"""What is written and shown while a training runs."""

import csv
import io
import os
import signal
import time
from pathlib import Path
from typing import Any

import lightning
import torch
from lightning.pytorch.callbacks import Callback, ModelCheckpoint
from lightning.pytorch.plugins.io import TorchCheckpointIO
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from lammps_les.files import read_text, write_atomically
from lammps_les.keys import (
    BORN_EFFECTIVE_CHARGES,
    DIPOLE,
    ENERGY,
    FORCES,
    POLARIZABILITY,
    STRESS,
    TOTAL_CHARGE,
)
from lammps_les.training.interruption import Interrupted, Interruptions
from lammps_les.training.module import SCORE

UNITS = {
    ENERGY.name: (1e3, "meV/atom"),
    FORCES.name: (1e3, "meV/A"),
    STRESS.name: (1e3, "meV/A^3"),
    BORN_EFFECTIVE_CHARGES.name: (1.0, "e (BEC)"),
    DIPOLE.name: (1.0, "e A"),
    TOTAL_CHARGE.name: (1.0, "e/atom (total charge)"),
    POLARIZABILITY.name: (1.0, "e A^2/V"),
}
"""Factor and unit in which errors are quoted."""


def quoted(errors: dict[str, float]) -> str:
    """Errors by quantity in one line."""
    return " ".join(f"{UNITS[n][0] * v:.4g} {UNITS[n][1]}" for n, v in errors.items())


def _numbers(trainer: lightning.Trainer) -> dict[str, float]:
    return {
        name: float(value)
        for name, value in trainer.callback_metrics.items()
        if name.startswith(("training/", "validation/"))
    }


class Checkpoint(ModelCheckpoint):
    """Weights on disk; a resumed training knows the best score also where the folder was moved.

    Lightning forgets it then, and would let any later weights take the place of the best ones.
    Where the file of the best ones is gone, the best are chosen among those to come.
    """

    @property
    def state_key(self) -> str:
        """Name of the state in a checkpoint: that of Lightning's class, which older runs have."""
        return ModelCheckpoint.__qualname__ + super().state_key.removeprefix(
            type(self).__qualname__
        )

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """The state in a checkpoint, with the present place of its files."""

        def here(path: str) -> str:
            return os.path.join(str(self.dirpath), os.path.basename(path)) if path else path

        paths = ("best_model_path", "kth_best_model_path", "last_model_path")
        moved = {name: here(state_dict[name]) for name in paths if name in state_dict}
        best = {here(path): score for path, score in state_dict["best_k_models"].items()}
        if any(not os.path.isfile(path) for path in best):
            self.best_model_path = ""
            return
        place = {"dirpath": self.dirpath, "best_k_models": best}
        super().load_state_dict({**state_dict, **moved, **place})


class CheckpointFiles(TorchCheckpointIO):
    """Checkpoints that are on disk whole or not at all."""

    def save_checkpoint(
        self, checkpoint: dict[str, Any], path: Any, storage_options: Any | None = None
    ) -> None:
        """Write a checkpoint; called by Lightning."""
        content = io.BytesIO()
        torch.save(checkpoint, content)
        write_atomically(Path(path), content.getvalue())


class MetricsFile(Callback):
    """One row for each validation.

    Epoch, then root mean square errors by part and quantity, in the units of ``lammps_les.keys``
    (energies per atom). A resumed training goes on where it left off: later rows are dropped.

    Args:
        path: CSV file.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def on_fit_start(
        self, trainer: lightning.Trainer, pl_module: lightning.LightningModule
    ) -> None:
        """Keep the rows of epochs that a checkpoint has behind it."""
        if trainer.is_global_zero:
            self._write([row for row in read_metrics(self.path) if row["epoch"] <= self._done])

    _done = 0

    def state_dict(self) -> dict[str, Any]:
        """Epochs done, into the checkpoint."""
        return {"done": self._done}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Epochs done, from the checkpoint."""
        self._done = state_dict["done"]

    def on_train_epoch_end(
        self, trainer: lightning.Trainer, pl_module: lightning.LightningModule
    ) -> None:
        """Add a row where there was a validation."""
        self._done = trainer.current_epoch + 1
        if not trainer.is_global_zero or self._done % (trainer.check_val_every_n_epoch or 1):
            return
        row = {"epoch": float(self._done), **_numbers(trainer)}
        self._write([*(r for r in read_metrics(self.path) if r["epoch"] < self._done), row])

    def _write(self, rows: list[dict[str, float]]) -> None:
        if not rows:
            self.path.unlink(missing_ok=True)
            return
        columns = list(dict.fromkeys(name for row in rows for name in row))
        table = io.StringIO(newline="")
        writer = csv.DictWriter(table, columns, restval="")
        writer.writeheader()
        writer.writerows({**row, "epoch": int(row["epoch"])} for row in rows)
        write_atomically(self.path, table.getvalue().encode())


def read_metrics(path: Path) -> list[dict[str, float]]:
    """Rows of a metrics file; none where there is no file.

    Raises:
        ValueError: it cannot be read, or is no table of numbers with a column ``epoch``.
    """
    if not path.exists():
        return []
    table = csv.DictReader(io.StringIO(read_text(path, 1_000_000_000), newline=""))
    try:
        rows = [{name: float(value) for name, value in row.items() if value} for row in table]
    except (ValueError, TypeError, csv.Error) as error:
        raise ValueError(f"{path}, line {table.line_num}: {error}; remove the file") from None
    if any("epoch" not in row for row in rows):
        raise ValueError(f"{path}: a row has no epoch; remove the file")
    return rows


class LiveErrors(Callback):
    """A bar over epochs with the latest errors; without a terminal a line for each validation.

    Args:
        console: to write on.
    """

    def __init__(self, console: Console) -> None:
        self.console = console
        self.bar: Progress | None = None
        self.begin = time.monotonic()

    def on_fit_start(
        self, trainer: lightning.Trainer, pl_module: lightning.LightningModule
    ) -> None:
        """Show the bar."""
        self.begin = time.monotonic()
        if trainer.is_global_zero and self.console.is_terminal:
            self.bar = Progress(
                TextColumn("epoch {task.completed:.0f}/{task.total:.0f}"),
                BarColumn(),
                TimeRemainingColumn(),
                TextColumn("{task.fields[errors]}"),
                console=self.console,
            )
            self.bar.start()
            self.task = self.bar.add_task(
                "", total=trainer.max_epochs, completed=trainer.current_epoch, errors=""
            )

    def on_train_epoch_end(
        self, trainer: lightning.Trainer, pl_module: lightning.LightningModule
    ) -> None:
        """Bring the errors up to date."""
        if not trainer.is_global_zero:
            return
        epoch = trainer.current_epoch + 1
        found = _numbers(trainer)
        errors = {
            name.removeprefix("validation/"): value
            for name, value in found.items()
            if name.startswith("validation/") and name != SCORE
        }
        text = f"validation {quoted(errors)}"
        if self.bar is not None:
            self.bar.update(self.task, completed=epoch, errors=text)
        elif epoch % (trainer.check_val_every_n_epoch or 1) == 0:
            seconds = time.monotonic() - self.begin
            self.console.print(
                f"epoch {epoch}/{trainer.max_epochs}, {seconds:.0f} s: {text}",
                highlight=False,
                soft_wrap=True,
                markup=False,
            )

    def teardown(
        self, trainer: lightning.Trainer, pl_module: lightning.LightningModule, stage: str
    ) -> None:
        """Put the bar away."""
        self._put_away()

    def on_exception(
        self,
        trainer: lightning.Trainer,
        pl_module: lightning.LightningModule,
        exception: BaseException,
    ) -> None:
        """Put the bar away: what follows is written below it."""
        self._put_away()

    def _put_away(self) -> None:
        if self.bar is not None:
            self.bar.stop()
            self.bar = None


class StopWhereAsked(Callback):
    """Ends the training after the present batch where a signal came in to any of the processes.

    Args:
        interruptions: of this process.
    """

    def __init__(self, interruptions: Interruptions) -> None:
        self.interruptions = interruptions

    def on_train_start(
        self, trainer: lightning.Trainer, pl_module: lightning.LightningModule
    ) -> None:
        """Take the signals back from Lightning, which would end the process with status 0."""
        self.interruptions.install()

    def _stop(self, trainer: lightning.Trainer) -> None:
        received = self.interruptions.received
        if trainer.strategy.reduce_boolean_decision(received is not None, all=False):
            where = f"in epoch {trainer.current_epoch + 1} of {trainer.max_epochs}"
            raise Interrupted(received or signal.SIGTERM, where)

    def on_train_batch_end(self, trainer: lightning.Trainer, *_: Any) -> None:
        """Stop here?"""
        self._stop(trainer)

    def on_validation_batch_end(self, trainer: lightning.Trainer, *_: Any) -> None:
        """Stop here?"""
        self._stop(trainer)

"""SIGINT and SIGTERM in the middle of a training, and models of what it has reached until then."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import ase.io
import numpy as np
import pytest
import torch
import yaml
from lightning.pytorch.callbacks import Callback
from training_toys import command, metrics, settings, teacher_labels, waters
from typer.testing import CliRunner

from lammps_les import cli
from lammps_les.calculators import LesCalculator
from lammps_les.cli import app
from lammps_les.training import run as run_module
from lammps_les.training.config_file import read_config
from lammps_les.training.interruption import Interrupted, Interruptions
from lammps_les.training.run import Outcome, train

STILL = {"learning_rate": 1e-30, "weight_decay": 0.0, "batch_size": 2}
"""Steps too small to change a float32: the first weights stay the best."""
TWICE = """
import os, signal, time
from lammps_les.training.interruption import Interruptions
with Interruptions() as interruptions:
    for pause in (0.0, 0.0, 1.2):
        time.sleep(pause)
        os.kill(os.getpid(), signal.SIGTERM)
        print(interruptions.received, flush=True)
"""


class Signal(Callback):
    """Sends the process a signal in the first batch of an epoch."""

    def __init__(self, number: int, epoch: int) -> None:
        self.number, self.epoch = number, epoch

    def on_train_batch_start(self, trainer, pl_module, batch, batch_idx):
        """Called by Lightning."""
        if trainer.current_epoch == self.epoch:
            os.kill(os.getpid(), self.number)


class Fail(Callback):
    """Ends a training by force at the beginning of an epoch."""

    def __init__(self, epoch: int) -> None:
        self.epoch = epoch

    def on_train_epoch_start(self, trainer, pl_module):
        """Called by Lightning."""
        if trainer.current_epoch == self.epoch:
            raise RuntimeError("ended by force")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Folder with 5 structures."""
    structures = [teacher_labels(waters("triclinic", 1, seed)) for seed in range(5)]
    ase.io.write(tmp_path / "data.xyz", structures)
    return tmp_path


def write(folder: Path, name: str = "run", **training: object) -> str:
    """Configuration for 4 training and 1 validation structures, 2 steps an epoch."""
    options = {"epochs": 6, "batch_size": 2, **training}
    content = settings(training=options, loss={"weights": {"energy": 1.0, "forces": 1.0}})
    content["data"]["split"] = {"validation": 1, "test": 0}
    (folder / f"{name}.yaml").write_text(yaml.safe_dump(content))
    return str(folder / f"{name}.yaml")


def trained(folder: Path, *callbacks: Callback, resume: bool = False) -> Outcome | None:
    config = read_config(folder / "run.yaml")
    return train(config, folder, folder / "run", resume=resume, callbacks=list(callbacks))


def exported(folder: Path, *options: str) -> tuple[int, str]:
    """Exit status and output of an export of the run to ``m.pt``."""
    target = str(folder / "m.pt")
    result = CliRunner().invoke(app, ["export", str(folder / "run"), "-o", target, *options])
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result.exit_code, " ".join(result.output.split())


def energy(model: Path) -> float:
    return LesCalculator(model).get_property("energy", waters("triclinic", 2, 11))


def test_a_signal_leaves_the_best_model_so_far_and_the_run_goes_on_as_if_there_was_none(folder):
    write(folder, "run")
    command(write(folder, "whole"))
    handlers = [signal.getsignal(n) for n in (signal.SIGINT, signal.SIGTERM)]
    outcome = trained(folder, Signal(signal.SIGTERM, epoch=3))
    assert [signal.getsignal(n) for n in (signal.SIGINT, signal.SIGTERM)] == handlers
    assert outcome.signal == signal.SIGTERM
    rows = metrics(folder / "run")
    assert [row["epoch"] for row in rows] == [1, 2, 3]
    best = min(rows, key=lambda row: row["validation/score"])
    stated = {q: rmse for q, _, rmse, *_ in outcome.errors["validation"]}
    assert stated["forces"] == pytest.approx(best["validation/forces"], rel=1e-3)
    said = "interrupted by SIGTERM in epoch 4 of 6"
    assert said in (folder / "run" / "report.md").read_text()
    assert (folder / "run" / "model.pt").is_file()
    command(str(folder / "run.yaml"), "--resume")
    for a, b in zip(metrics(folder / "whole"), metrics(folder / "run"), strict=True):
        assert a == pytest.approx(b, abs=1e-6, rel=1e-6)
    assert said not in (folder / "run" / "report.md").read_text()
    assert energy(folder / "run" / "model.pt") == pytest.approx(
        energy(folder / "whole" / "model.pt"), abs=1e-5
    )


def test_a_signal_in_validation_counts_before_the_weights_are_kept(folder):
    class InValidation(Callback):
        def on_validation_batch_start(self, trainer, *_):
            if trainer.current_epoch == 1:
                os.kill(os.getpid(), signal.SIGINT)

    write(folder)
    assert trained(folder, InValidation()).signal == signal.SIGINT
    assert [row["epoch"] for row in metrics(folder / "run")] == [1]


def test_before_the_first_look_there_is_no_model(folder, monkeypatch):
    config = write(folder)
    with pytest.raises(Interrupted, match="by SIGTERM before the first validation"):
        trained(folder, Signal(signal.SIGTERM, epoch=0))
    status, text = exported(folder)
    assert status == 1
    assert "there are no weights yet" in text
    assert "--resume" in text
    command(config)  # the folder may be used again
    assert len(metrics(folder / "run")) == 6


def test_in_the_preparation_nothing_is_written(folder, monkeypatch):
    """Also where a reader swallows what it does not know."""

    def slow(*_: object) -> None:
        with contextlib.suppress(BaseException):  # as a careless reader would
            os.kill(os.getpid(), signal.SIGINT)
            time.sleep(60.0)

    monkeypatch.setattr(run_module, "prepare", slow)
    result = CliRunner().invoke(app, ["train", write(folder)])
    assert result.exit_code == 130
    assert "interrupted by SIGINT before the training began" in " ".join(result.output.split())
    assert not (folder / "run").exists()


def test_a_second_signal_ends_the_process_but_not_one_that_comes_along_with_the_first():
    done = subprocess.run(
        [sys.executable, "-c", TWICE], capture_output=True, text=True, check=False
    )
    assert done.returncode == -signal.SIGTERM
    assert done.stdout.split() == ["15", "15"]
    assert done.stderr == ""


def test_a_signal_that_is_ignored_stays_ignored():
    """As of a command that a script has put into the background."""
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with cli._ended_by_ctrl_c():
            os.kill(os.getpid(), signal.SIGINT)
        with Interruptions() as interruptions, interruptions.at_once("here"):
            os.kill(os.getpid(), signal.SIGINT)
        assert interruptions.received is None
        assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGINT, before)


def test_further_processes_leave_the_end_to_the_first(monkeypatch):
    monkeypatch.setenv("LOCAL_RANK", "1")
    with cli._ended_by_ctrl_c():
        os.kill(os.getpid(), signal.SIGINT)
    with Interruptions() as interruptions, interruptions.at_once("here"):
        os.kill(os.getpid(), signal.SIGINT)
    assert interruptions.received == signal.SIGINT


@pytest.mark.parametrize("devices", [1, 2])
def test_the_command_ends_with_the_status_of_the_signal(folder, devices):
    """The first of several processes alone is signalled; all of them end."""
    config = write(folder, epochs=5000, batch_size=1, devices=devices)
    process = subprocess.Popen(
        [sys.executable, "-m", "lammps_les.cli", "train", config],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    give_up = time.monotonic() + 240.0
    table = folder / "run" / "metrics.csv"
    while not table.exists() or len(table.read_text().splitlines()) < 4:
        assert process.poll() is None
        assert time.monotonic() < give_up
        time.sleep(0.1)
    process.send_signal(signal.SIGTERM)
    out, err = process.communicate(timeout=120)
    assert process.returncode == 128 + signal.SIGTERM
    text = " ".join(err.split())
    assert "interrupted by SIGTERM in epoch" in text
    assert "--resume goes on" in text
    assert "Traceback" not in out + err
    assert out.count("wrote ") == 1
    assert (folder / "run" / "model.pt").is_file()


def test_a_run_that_was_killed_is_exported_with_its_best_weights(folder):
    """Weights stay as they are, so the whole run ends with the same model."""
    config = write(folder, **STILL)
    with pytest.raises(RuntimeError, match="ended by force"):
        trained(folder, Fail(2))
    assert not (folder / "run" / "model.pt").exists()
    names = sorted(path.name for path in (folder / "run").iterdir())
    status, text = exported(folder)
    assert status == 0
    assert "is not finished: these are its best weights so far, of epoch 1 of 6" in text
    assert sorted(path.name for path in (folder / "run").iterdir()) == names
    early = energy(folder / "m.pt")
    command(config, "--resume")
    assert energy(folder / "run" / "model.pt") == early
    status, text = exported(folder)
    assert status == 0
    assert "not finished" not in text
    assert energy(folder / "m.pt") == early


def test_a_model_that_the_training_has_left_behind_is_not_exported(folder):
    """Interrupted in order, gone on with, and killed then."""
    write(folder)
    trained(folder, Signal(signal.SIGTERM, epoch=1))
    before = energy(folder / "run" / "model.pt")
    with pytest.raises(RuntimeError, match="ended by force"):
        trained(folder, Fail(5), resume=True)
    scores = [row["validation/score"] for row in metrics(folder / "run")]
    assert int(np.argmin(scores)) > 0  # better ones were found
    status, text = exported(folder)
    assert status == 0
    assert f"of epoch {int(np.argmin(scores)) + 1} of 6" in text
    assert abs(energy(folder / "m.pt") - before) > 1e-4
    trained(folder, Fail(9), resume=True)
    assert torch.isfinite(torch.tensor(energy(folder / "run" / "model.pt")))


def test_an_unfinished_run_is_not_exported_with_other_data(folder):
    write(folder, **STILL)
    with pytest.raises(RuntimeError, match="ended by force"):
        trained(folder, Fail(2))
    structures = ase.io.read(folder / "data.xyz", ":")
    structures[0].calc.results["energy"] += 1.0
    ase.io.write(folder / "data.xyz", structures)
    status, text = exported(folder)
    assert status == 1
    assert "data.xyz has changed since the run" in text
    assert not (folder / "m.pt").exists()


def test_an_unfinished_run_needs_its_data_and_can_be_started_from(folder):
    write(folder, **STILL)
    with pytest.raises(RuntimeError, match="ended by force"):
        trained(folder, Fail(2))
    tuned = settings(init_from="run", training={"epochs": 1, **STILL})
    tuned["data"]["split"] = {"validation": 1, "test": 0}
    del tuned["network"], tuned["long_range"]
    (folder / "tuned.yaml").write_text(yaml.safe_dump(tuned))
    assert "not finished: these are its best weights" in " ".join(
        command(str(folder / "tuned.yaml")).split()
    )
    checkpoint = str(folder / "run" / "best.ckpt")
    result = CliRunner().invoke(app, ["export", checkpoint, "-o", str(folder / "m.pt")])
    assert result.exit_code == 1
    assert "is a checkpoint of a training; export its run folder" in " ".join(result.output.split())
    (folder / "data.xyz").unlink()
    status, text = exported(folder)
    assert status == 1
    assert "a model of its best weights needs the data" in text
    assert "--resume" in text

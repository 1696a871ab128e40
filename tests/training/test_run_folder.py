"""The run folder: when it may be used, when it is gone on with, and what it says of its data."""

import json
import re
from pathlib import Path

import ase.io
import pytest
import torch
import yaml
from lightning.pytorch.callbacks import Callback
from training_toys import command, metrics, settings, teacher_labels, waters
from typer.testing import CliRunner

from lammps_les.cli import app
from lammps_les.training.config_file import read_config
from lammps_les.training.run import train

STILL = {"learning_rate": 1e-30, "weight_decay": 0.0, "batch_size": 4}
"""Steps too small to change a float32."""


class Stop(Callback):
    """Ends a training by force at the beginning of an epoch."""

    def __init__(self, epoch: int) -> None:
        self.epoch = epoch

    def on_train_epoch_start(self, trainer, pl_module):
        """Called by Lightning."""
        if trainer.current_epoch == self.epoch:
            raise RuntimeError("stopped")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Folder with 5 structures."""
    structures = [teacher_labels(waters("triclinic", 1, seed)) for seed in range(5)]
    ase.io.write(tmp_path / "data.xyz", structures)
    return tmp_path


def write(folder: Path, **training: object) -> str:
    """Configuration ``run.yaml``."""
    content = settings(training=training, loss={"weights": {"forces": 1.0}})
    content["data"]["split"] = {"validation": 1, "test": 0}
    (folder / "run.yaml").write_text(yaml.safe_dump(content))
    return str(folder / "run.yaml")


def refused(*arguments: str) -> str:
    """What ``lammps-les train`` says where it ends with an error."""
    result = CliRunner().invoke(app, ["train", *arguments])
    assert result.exit_code == 1, result.output
    return " ".join(result.output.split())


def stopped(folder: Path, epoch: int) -> None:
    """The run ``run`` of ``run.yaml``, ended by force."""
    config = read_config(folder / "run.yaml")
    with pytest.raises(RuntimeError, match="stopped"):
        train(config, folder, folder / "run", callbacks=[Stop(epoch)])


def test_after_a_failure_without_checkpoint_the_folder_can_be_used_with_another_configuration(
    folder,
):
    wild = {"learning_rate": 1.0, "weight_decay": 100.0, "warmup": 0.0, "gradient_clip": 1e12}
    message = refused(write(folder, epochs=60, validate_every=60, **wild))
    assert "the loss is not finite in epoch" in message
    assert re.search(r"the \w+ of data.xyz, frame \d is predicted", message)
    assert "lower training.learning_rate" in message
    assert {path.name for path in (folder / "run").glob("*.*")} >= {"config.yaml"}
    command(write(folder, epochs=2))
    assert [row["epoch"] for row in metrics(folder / "run")] == [1, 2]
    assert read_config(folder / "run" / "config.yaml").training.epochs == 2


def test_checkpoints_are_gone_on_with_only_where_that_is_asked_for(folder):
    config = write(folder, epochs=3, **STILL)
    stopped(folder, 2)
    (folder / "run" / "config.yaml").unlink()
    message = refused(config)
    assert "holds a run already (best.ckpt, last.ckpt)" in message
    assert "--resume" in message
    assert "-o" in message
    assert "remove" in message
    (folder / "run" / "best.ckpt").unlink()
    (folder / "run" / "last.ckpt").unlink()
    command(config)
    assert len(metrics(folder / "run")) == 3


def test_a_trained_model_without_checkpoints_is_not_overwritten(folder):
    (folder / "run").mkdir()
    (folder / "run" / "weights.pt").touch()
    assert "holds a run already (weights.pt)" in refused(write(folder, epochs=1))


def test_a_run_folder_that_was_moved_keeps_its_best_weights(folder):
    """All scores are alike, so the first ones stay the best."""
    config = write(folder, epochs=4, **STILL)
    stopped(folder, 2)
    (folder / "run").rename(folder / "moved")
    command(config, "-o", str(folder / "moved"), "--resume")
    assert [row["epoch"] for row in metrics(folder / "moved")] == [1, 2, 3, 4]
    assert len({row["validation/score"] for row in metrics(folder / "moved")}) == 1
    best = torch.load(folder / "moved" / "best.ckpt", weights_only=True)
    assert best["epoch"] == 0
    assert not (folder / "run").exists()


def test_provenance_names_files_as_the_configuration_does_and_compares_their_contents(folder):
    config = write(folder, epochs=3, **STILL)
    stopped(folder, 2)
    origin = json.loads((folder / "run" / "provenance.json").read_text())
    assert list(origin["data"]) == ["data.xyz"]
    assert {where.split(",")[0] for part in origin["parts"].values() for where in part} == {
        "data.xyz"
    }
    with (folder / "data.xyz").open("a") as file:
        file.write("\n")
    assert "data.xyz has changed since the run" in refused(config, "--resume")


def test_a_run_can_be_gone_on_with_by_the_configuration_in_its_folder(folder):
    write(folder, epochs=3, **STILL)
    stopped(folder, 2)
    command(str(folder / "run" / "config.yaml"), "--resume")
    assert len(metrics(folder / "run")) == 3


def test_gpus_that_are_not_there(folder):
    message = refused(write(folder, accelerator="gpu", devices=2))
    assert "error: training.accelerator, training.devices: " in message

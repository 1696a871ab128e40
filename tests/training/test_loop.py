"""The training loop: when it stops, what it computes once, and several processes."""

import subprocess
import sys
from pathlib import Path

import ase.io
import pytest
import torch
import yaml
from lightning.pytorch.callbacks import Callback
from training_toys import command, metrics, settings, teacher_labels, waters

from lammps_les.training import frames
from lammps_les.training.config import RunConfig
from lammps_les.training.run import train


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Folder with 9 structures of equal size."""
    structures = [teacher_labels(waters("triclinic", 2, seed)) for seed in range(9)]
    ase.io.write(tmp_path / "data.xyz", structures)
    return tmp_path


def write(folder: Path, name: str, **training: object) -> str:
    """Configuration for 8 training and 1 validation structures."""
    content = settings(training=training, loss={"weights": {"energy": 1.0, "forces": 1.0}})
    content["data"]["split"] = {"validation": 1, "test": 0}
    (folder / f"{name}.yaml").write_text(yaml.safe_dump(content))
    return str(folder / f"{name}.yaml")


def test_without_improvement_it_stops_and_the_first_look_is_the_best(folder):
    """Steps too small to change a float32: the first score stays the best."""
    still = {"learning_rate": 1e-30, "weight_decay": 0.0, "batch_size": 4}
    command(write(folder, "stops", epochs=20, patience=2, **still))
    rows = metrics(folder / "stops")
    assert [row["epoch"] for row in rows] == [1, 2, 3]
    assert len({row["validation/score"] for row in rows}) == 1
    assert (folder / "stops" / "model.pt").exists()
    command(write(folder, "goes_on", epochs=5, **still))
    assert len(metrics(folder / "goes_on")) == 5


def test_neighbors_are_looked_up_once_for_each_structure(folder, monkeypatch):
    calls = []
    lookup = frames.neighbor_list

    def counted(*arguments: object) -> object:
        calls.append(arguments)
        return lookup(*arguments)

    monkeypatch.setattr(frames, "neighbor_list", counted)
    command(write(folder, "counted", epochs=3, batch_size=4))
    assert len(calls) == 9
    assert len(metrics(folder / "counted")) == 3


class Snapshots(Callback):
    """Parameters at the beginning of each epoch."""

    def __init__(self) -> None:
        self.taken: list[torch.Tensor] = []

    def on_train_epoch_start(self, trainer, pl_module):
        """Called by Lightning."""
        parameters = pl_module.network.parameters()
        self.taken.append(torch.cat([p.detach().flatten() for p in parameters]).clone())


def staged(folder: Path, name: str, *stages: dict) -> list[torch.Tensor]:
    """Train; a first epoch on forces, then as the stages say; parameters at each beginning."""
    content = settings(training={"epochs": 4, "batch_size": 3})
    content["data"]["split"] = {"validation": 1, "test": 0}
    content["loss"] = {"weights": {"energy": 0.0, "forces": 1.0}, "stages": list(stages)}
    snapshots = Snapshots()
    config = RunConfig.model_validate(content)
    train(config, folder, folder / name, callbacks=[snapshots])
    return snapshots.taken


def test_where_no_label_has_a_weight_for_the_time_being_nothing_moves(folder):
    """Neither by momentum nor by weight decay; and the stages go on."""
    first, second, third, fourth = staged(
        folder,
        "staged",
        {"from_epoch": 1, "weights": {"forces": 0.0}},
        {"from_epoch": 3, "weights": {"born_effective_charges": 1.0}},
    )
    assert not torch.equal(first, second)
    assert torch.equal(second, third)
    assert torch.equal(third, fourth)
    rows = metrics(folder / "staged")
    key = "validation/born_effective_charges"
    assert rows[2][key] != rows[3][key]


def test_a_structure_whose_labels_count_later_does_not_end_the_training(tmp_path):
    structures = [teacher_labels(waters("triclinic", 1, seed)) for seed in range(6)]
    for atoms in structures[:2]:
        atoms.calc = None  # Born charges are left
    ase.io.write(tmp_path / "data.xyz", structures)
    content = settings(training={"epochs": 3, "batch_size": 1})
    content["data"]["split"] = {"training": [0, 1, 2, 3], "validation": [4], "test": [5]}
    stage = {"from_epoch": 2, "weights": {"born_effective_charges": 1.0}}
    content["loss"] = {"weights": {"forces": 1.0}, "stages": [stage]}
    (tmp_path / "run.yaml").write_text(yaml.safe_dump(content))
    command(str(tmp_path / "run.yaml"))
    assert len(metrics(tmp_path / "run")) == 3


def test_two_processes_take_the_steps_of_one_with_twice_the_batch(folder):
    """Gradients are averaged over processes; with equal structures that is the larger batch."""
    one = write(folder, "one", epochs=3, batch_size=4)
    two = write(folder, "two", epochs=3, batch_size=2, devices=2)
    command(one)
    done = subprocess.run(
        [sys.executable, "-m", "lammps_les.cli", "train", two],
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert done.stdout.count("wrote ") == 1
    assert (folder / "two" / "model.pt").exists()
    expected, found = metrics(folder / "one"), metrics(folder / "two")
    assert expected[-1]["validation/forces"] < 0.99 * expected[0]["validation/forces"]
    for row, other in zip(expected, found, strict=True):
        assert other == pytest.approx(row, rel=1e-4)

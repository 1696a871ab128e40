"""The training loop: when it stops, what it computes once, and several processes."""

import subprocess
import sys
from pathlib import Path

import ase.io
import pytest
import yaml
from training_toys import command, metrics, settings, teacher_labels, waters

from lammps_les.data import frames


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

"""What a training leaves where something fails: files that are whole, one line that says why."""

import errno
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import ase.io
import pytest
import torch
import yaml
from lightning.pytorch.callbacks import Callback
from training_toys import command, settings, teacher_labels, waters
from typer.testing import CliRunner

from lammps_les.cli import app
from lammps_les.training import module
from lammps_les.training.config_file import read_config
from lammps_les.training.lock import LOCK, locked
from lammps_les.training.run import train

HOLD = """
import sys, time
from pathlib import Path
from lammps_les.training.lock import locked
with locked(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(600)
"""


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("data") / "data.xyz"
    ase.io.write(path, [teacher_labels(waters("triclinic", 1, seed)) for seed in range(5)])
    return path


@pytest.fixture
def config(tmp_path: Path, data: Path) -> Path:
    return write(tmp_path, data, epochs=2)


def write(folder: Path, data: Path, **training: object) -> Path:
    """Configuration for 3 training, 1 validation and 1 test structures."""
    content = settings(training=training, loss={"weights": {"energy": 1.0, "forces": 1.0}})
    content["data"] = {"files": [{"path": str(data)}], "split": {"validation": 1, "test": 1}}
    (folder / "run.yaml").write_text(yaml.safe_dump(content))
    return folder / "run.yaml"


@pytest.fixture(scope="module")
def once(tmp_path_factory: pytest.TempPathFactory, data: Path) -> Path:
    """Folder of a run of one epoch, and its configuration."""
    folder = tmp_path_factory.mktemp("once")
    command(str(write(folder, data, epochs=1)))
    return folder


@pytest.fixture
def ended(once: Path, tmp_path: Path) -> Path:
    """A copy of it."""
    shutil.copytree(once, tmp_path, dirs_exist_ok=True)
    return tmp_path


def refused(*arguments: object) -> str:
    """The error that ``lammps-les train`` ends with, which is one line."""
    result = CliRunner().invoke(app, ["train", *map(str, arguments)])
    assert isinstance(result.exception, SystemExit), result.exception
    assert result.exit_code == 1, result.output
    (error,) = (line for line in result.output.splitlines() if line.startswith("error: "))
    return error


def test_one_training_at_a_time(config):
    folder = config.with_suffix("")
    with locked(folder):
        for options in ([], ["--resume"]):
            message = refused(config, *options)
            assert f"run is in use by another training, process {os.getpid()} on " in message
            assert "wait for its end, or choose another folder with -o" in message
        assert os.listdir(folder) == [LOCK]
    assert not folder.exists()
    command(str(config))
    assert LOCK not in os.listdir(folder)


def test_a_process_that_is_dead_keeps_nobody_out(tmp_path):
    folder = tmp_path / "a" / "run"
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(folder)], stdout=subprocess.PIPE, text=True
    )
    assert holder.stdout is not None
    assert holder.stdout.readline() == "held\n"
    with pytest.raises(ValueError, match=f"process {holder.pid} on"), locked(folder):
        pass
    holder.kill()
    holder.wait()
    assert (folder / LOCK).exists()
    with locked(folder):
        assert (folder / LOCK).read_text().startswith(f"process {os.getpid()} on ")
    assert os.listdir(folder) == []


def test_a_lock_that_cannot_be_written_leaves_nothing(tmp_path, monkeypatch):
    def full(descriptor: int, data: bytes) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    before = len(os.listdir("/proc/self/fd"))
    with monkeypatch.context() as patched:
        patched.setattr(os, "write", full)
        with pytest.raises(ValueError, match="No space left on device"), locked(tmp_path / "run"):
            pass
    assert not (tmp_path / "run").exists()
    assert len(os.listdir("/proc/self/fd")) == before
    with pytest.raises(ValueError, match="File name too long"), locked(tmp_path / ("a" * 300)):
        pass


def test_what_killed_processes_left_unfinished_is_removed(tmp_path):
    for name in ("last.ckpt.123.part", "last.ckpt"):
        (tmp_path / name).touch()
    with locked(tmp_path):
        assert sorted(os.listdir(tmp_path)) == ["last.ckpt", LOCK]


def exported(folder: Path) -> tuple[int, str]:
    arguments = ["export", str(folder), "-o", str(folder.parent / "m.pt")]
    result = CliRunner().invoke(app, arguments)
    return result.exit_code, " ".join(result.output.split())


def test_damaged_weights_of_a_finished_run_are_not_replaced_by_the_best_checkpoint(ended):
    folder = ended / "run"
    first = next(iter(torch.load(folder / "weights.pt").values())).numpy().ravel()[:1].tobytes()
    content = (folder / "weights.pt").read_bytes()
    assert first in content
    (folder / "weights.pt").write_bytes(content.replace(first, bytes([first[0] ^ 1, *first[1:]])))
    status, text = exported(folder)
    assert status == 1
    assert "weights.pt has SHA-256" in text


@pytest.mark.parametrize("earlier", [True, False])
def test_a_run_that_ended_between_weights_and_metadata_is_exported(ended, earlier):
    """Metadata of the weights before, or none."""
    folder = ended / "run"
    metadata = json.loads((folder / "config.json").read_text())
    metadata["metadata"]["provenance"]["sha256"] = "0" * 64
    (folder / "config.json").unlink()
    if earlier:
        (folder / "config.json").write_text(json.dumps(metadata))
    status, text = exported(folder)
    assert status == 0, text
    assert "not finished: these are its best weights" in text


def test_a_folder_that_cannot_be_is_named(config):
    (config.parent / "file").touch()
    for place in ("file", "file/run"):
        message = refused(config, "-o", config.parent / place)
        assert f"{place} cannot be a run folder: " in message
        assert "choose another with -o" in message


@pytest.mark.parametrize(
    ("name", "message", "left"),
    [
        ("config.yaml", "No space left on device: ", set()),
        ("best.ckpt", "No space left on device: ", {"config.yaml", "metrics.csv"}),
        ("last.ckpt", "No space left on device: ", {"best.ckpt"}),
        ("weights.pt", "No space left on device: ", {"best.ckpt", "last.ckpt"}),
        ("parity-test.png", "model in {} are written, but not all plots", {"model.pt"}),
        ("report.md", "{} are written, but not all plots and the report: ", {"parity-test.png"}),
    ],
)
def test_a_full_disk_leaves_whole_files_and_the_run_goes_on(
    config, monkeypatch, name, message, left
):
    whole = Path.replace

    def replace(path: Path, target: Path) -> Path:
        if target.name == name:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return whole(path, target)

    monkeypatch.setattr(Path, "replace", replace)
    folder = config.with_suffix("")
    said = refused(config)
    assert message.format(folder) in said
    assert name in said
    found = set(os.listdir(folder)) if folder.exists() else set()
    assert found >= left
    assert not any(file.endswith(".part") or file in (LOCK, name) for file in found)
    monkeypatch.undo()
    if "best.ckpt" in found:
        command(str(config), "--resume")
    else:
        command(str(config))
    assert {"model.pt", "report.md", "parity-test.png"} <= set(os.listdir(folder))


def test_a_run_that_ended_between_its_first_two_checkpoints_begins_anew(config):
    class Fail(Callback):
        def on_save_checkpoint(self, trainer, pl_module, checkpoint):
            if (config.with_suffix("") / "best.ckpt").exists():
                raise RuntimeError("ended by force")

    with pytest.raises(RuntimeError, match="ended by force"):
        train(read_config(config), config.parent, config.with_suffix(""), callbacks=[Fail()])
    assert "last.ckpt" not in os.listdir(config.with_suffix(""))
    command(str(config), "--resume")
    command(str(config), "-o", str(config.parent / "other"))
    names = ("run", "other")
    one, two = ((config.parent / name / "weights.pt").read_bytes() for name in names)
    assert one == two


def test_a_score_that_is_not_finite_ends_the_run_and_names_the_structure(config, monkeypatch):
    right = module.predict

    def predict(network, batch, physics, wanted, create_graph=False):
        found = right(network, batch, physics, wanted, create_graph)
        if not create_graph:
            found["forces"] = found["forces"] / 0.0
        return found

    monkeypatch.setattr(module, "predict", predict)
    message = refused(config)
    assert "the validation score is not finite in epoch 1: the forces of " in message
    assert "data.xyz, frame " in message
    assert not (config.with_suffix("") / "best.ckpt").exists()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"training": {"devices": 1000}}, "training.devices: 1000 processes, but this machine has"),
        (
            {"training": {"devices": 2}, "data": {"frames": ":2"}},
            "training.devices: 2 processes share the structures of an epoch, but there are 1 for",
        ),
        (
            {"long_range": {"dl": 0.1}, "data": {"cell": 3e3}},
            ": the sum would need 108005400090000.5 wave vectors with dl = 0.1 A,",
        ),
        (
            {"loss": {"stages": [{"from_epoch": 10**6, "weights": {"energy": 1.0}}]}},
            "loss.stages[0].from_epoch: epochs are counted from 0, and the last of training.epochs",
        ),
    ],
)
def test_what_would_take_too_much_is_refused(config, monkeypatch, changes, message):
    content = yaml.safe_load(config.read_text())
    data = changes.pop("data", {})
    if "frames" in data:
        content["data"]["files"][0]["frames"] = data["frames"]
        content["data"]["split"]["test"] = 0
    if "cell" in data:
        atoms = teacher_labels(waters("triclinic", 1, 1))
        atoms.cell = [data["cell"]] * 3
        ase.io.write(config.parent / "data.xyz", [atoms] * 3)
        content["data"]["files"][0]["path"] = "data.xyz"
    for section, values in changes.items():
        content[section] |= values
    monkeypatch.setattr(os, "cpu_count", lambda: 2)
    config.write_text(yaml.safe_dump(content))
    assert message in refused(config)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("provenance.json", b"{", "provenance.json is no JSON, perhaps cut short"),
        ("provenance.json", b'{"data": [1]}', "expected an object 'data' with a hash for each"),
        ("metrics.csv", b"epoch,a\n1,x\n", "metrics.csv, line 2: could not convert string to"),
        ("metrics.csv", b"a\n1\n", "metrics.csv: a row has no epoch; remove the file"),
        ("config.yaml", b"data: [", "config.yaml, line 1: is not YAML"),
        ("best.ckpt", None, "best.ckpt is missing, and there is nothing left to train: `cp "),
        ("config.yaml", None, "holds no run that could be resumed: config.yaml does not exist"),
        ("last.ckpt", b"", "last.ckpt is empty; go on from the best weights by `cp "),
    ],
)
def test_a_damaged_file_of_a_run_is_named(ended, name, content, message):
    (ended / "run" / name).unlink()
    if content is not None:
        (ended / "run" / name).write_bytes(content)
    assert message in refused(ended / "run.yaml", "--resume")


def test_a_checkpoint_with_another_checksum_is_damaged(ended):
    """Bytes of a tensor, which torch reads without looking at the checksum."""
    path = ended / "run" / "last.ckpt"
    content = bytearray(path.read_bytes())
    middle = len(content) // 2
    content[middle : middle + 64] = bytes(64)
    path.write_bytes(content)
    assert "last.ckpt is damaged" in refused(ended / "run.yaml", "--resume")


def test_killed_at_any_moment_it_goes_on_to_the_same_weights(tmp_path, data):
    """A second training is let in at once; the weights are those of one that nobody has ended."""
    config = write(tmp_path, data, epochs=30, batch_size=1)
    run = [sys.executable, "-m", "lammps_les.cli", "train", str(config)]
    process = subprocess.Popen(run, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    folder = config.with_suffix("")
    give_up = time.monotonic() + 240.0
    while not (folder / "last.ckpt").exists():
        assert process.poll() is None
        assert time.monotonic() < give_up
        time.sleep(0.02)
    process.kill()
    assert process.wait() == -signal.SIGKILL
    assert not (folder / "model.pt").exists()
    command(str(config), "--resume")
    command(str(config), "-o", str(config.parent / "whole"))
    one, two = ((config.parent / name / "weights.pt").read_bytes() for name in ("run", "whole"))
    assert one == two
    assert not list(folder.glob("*.part"))

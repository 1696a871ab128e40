"""What a run may be gone on with: moved data, other epochs; and checkpoints that are no use."""

import shutil
from pathlib import Path

import ase.io
import pytest
import torch
import yaml
from lightning.pytorch.callbacks import Callback, ModelCheckpoint
from training_toys import command, metrics, settings, teacher_labels, waters
from typer.testing import CliRunner

from lammps_les.cli import app
from lammps_les.training.callbacks import Checkpoint
from lammps_les.training.config_file import read_config
from lammps_les.training.run import train

STILL = {"learning_rate": 1e-30, "weight_decay": 0.0, "batch_size": 4}
"""Steps too small to change a float32."""


class Fail(Callback):
    """Ends a training by force at the beginning of its third epoch."""

    def on_train_epoch_start(self, trainer, pl_module):
        """Called by Lightning."""
        if trainer.current_epoch == 2:
            raise RuntimeError("ended by force")


def write(folder: Path, epochs: int = 3, path: str = "data.xyz", **changes: object) -> str:
    content = settings(training={"epochs": epochs, **STILL}, loss={"weights": {"forces": 1.0}})
    content["data"] = {"files": [{"path": path}], "split": {"validation": 1, "test": 0}}
    for section, values in changes.items():
        content[section] = {**content[section], **values}
    (folder / "run.yaml").write_text(yaml.safe_dump(content))
    return str(folder / "run.yaml")


@pytest.fixture(scope="module")
def stopped(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Data, configuration, and the run of it, two epochs long."""
    folder = tmp_path_factory.mktemp("stopped")
    structures = [teacher_labels(waters("triclinic", 1, seed)) for seed in range(5)]
    ase.io.write(folder / "data.xyz", structures)
    config = read_config(write(folder))
    with pytest.raises(RuntimeError, match="ended by force"):
        train(config, folder, folder / "run", callbacks=[Fail()])
    return folder


@pytest.fixture
def folder(stopped: Path, tmp_path: Path) -> Path:
    """A copy elsewhere, where nothing but the copy is left to be found."""
    shutil.copytree(stopped, tmp_path / "here")
    earlier = (tmp_path / "here" / "run" / "config.yaml").read_text()
    assert f"path: {stopped}" in earlier
    text = earlier.replace(str(stopped), "/gone")
    (tmp_path / "here" / "run" / "config.yaml").write_text(text)
    return tmp_path / "here"


def refused(*arguments: str) -> str:
    """What ``lammps-les train`` says where it ends with an error."""
    result = CliRunner().invoke(app, ["train", *arguments])
    assert isinstance(result.exception, SystemExit), result.exception
    assert result.exit_code == 1, result.output
    return " ".join(result.output.split())


def test_moved_data_with_the_same_contents_are_the_same_data(folder):
    command(str(folder / "run.yaml"), "--resume")
    assert len(metrics(folder / "run")) == 3
    (file,) = read_config(folder / "run" / "config.yaml").data.files
    assert Path(file.path) == folder / "data.xyz"


def test_data_under_another_name_and_the_configuration_in_the_run_folder(folder):
    """The one is a new configuration, the other finds what was moved along with the run."""
    (folder / "data.xyz").rename(folder / "set1.xyz")
    command(write(folder, path="set1.xyz", epochs=4), "--resume")
    assert len(metrics(folder / "run")) == 4
    config = folder / "run" / "config.yaml"
    config.write_text(config.read_text().replace(str(folder), "/gone").replace("s: 4", "s: 5"))
    command(str(config), "--resume")
    assert len(metrics(folder / "run")) == 5


def test_other_contents_are_not_the_same_data_wherever_they_are(folder):
    with (folder / "data.xyz").open("a") as file:
        file.write("\n")
    assert "data.xyz has changed since the run" in refused(str(folder / "run.yaml"), "--resume")
    message = refused(str(folder / "run" / "config.yaml"), "--resume")
    assert "/gone/data.xyz" in message
    assert "does not exist" in message


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"training": {"learning_rate": 1e-3}}, "training.learning_rate (1e-30 in the run, 0.001"),
        ({"training": {"devices": 2}}, "training.devices (1 in the run, 2 now)"),
        ({"loss": {"weights": {"forces": 2.0}}}, "loss.weights.forces (1.0 in the run, 2.0 now)"),
        ({"network": {"channels": 0}}, "network.channels (1 in the run, 0 now)"),
        ({"data": {"files": [{"path": "data.xyz", "weight": 2.0}]}}, "data.files[0].weight (1.0"),
        ({"data": {"files": [{"path": "data.xyz"}] * 2}}, "data.files[1].weight (not given"),
    ],
)
def test_another_configuration_is_another_run(folder, changes, message):
    text = refused(write(folder, **changes), "--resume")
    assert message in text
    assert "training.epochs, training.accelerator, data.check_stress may be changed" in text


def test_epochs_and_accelerator_may_change(folder):
    command(write(folder, epochs=5, training={"accelerator": "auto"}), "--resume")
    assert [row["epoch"] for row in metrics(folder / "run")] == [1, 2, 3, 4, 5]
    assert read_config(folder / "run" / "config.yaml").training.epochs == 5
    text = command(write(folder, epochs=4), "--resume")
    assert "the run has 5 epochs behind it, and training.epochs asks for 4" in " ".join(
        text.split()
    )
    assert len(metrics(folder / "run")) == 5
    assert "nothing left to train" in (folder / "run" / "report.md").read_text()


def test_fewer_epochs_may_leave_out_stages(stopped, tmp_path):
    stages = [{"from_epoch": 3, "weights": {"energy": 2.0}}]
    ase.io.write(tmp_path / "data.xyz", ase.io.read(stopped / "data.xyz", ":"))
    config = read_config(write(tmp_path, 4, loss={"stages": stages}))
    with pytest.raises(RuntimeError, match="ended by force"):
        train(config, tmp_path, tmp_path / "run", callbacks=[Fail()])
    command(write(tmp_path, 3, loss={"stages": stages}), "--resume")
    assert len(metrics(tmp_path / "run")) == 3
    assert read_config(tmp_path / "run" / "config.yaml").training.epochs == 3


def test_fewer_epochs_than_there_are_end_the_run(folder):
    command(write(folder, epochs=1), "--resume")
    assert (folder / "run" / "model.pt").is_file()
    assert len(metrics(folder / "run")) == 2


def spoiled(path: Path, how: str) -> None:
    content = torch.load(path, weights_only=True)
    match how:
        case "empty":
            path.write_bytes(b"")
        case "cut":
            path.write_bytes(path.read_bytes()[:-5000])
        case "text":
            path.write_text("hello")
        case "weights":
            torch.save(content["state_dict"], path)
        case "other sizes":
            state = content["state_dict"]
            name = next(name for name in state if name.endswith("last.weight"))
            state[name] = torch.zeros(1, 77)
            torch.save(content, path)
        case "other parts":
            content["state_dict"]["network.more"] = torch.zeros(1)
            torch.save(content, path)


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ("empty", "last.ckpt is empty"),
        ("cut", "last.ckpt is damaged, perhaps cut short at"),
        ("text", "last.ckpt is damaged, perhaps cut short at 5 bytes"),
        ("weights", "last.ckpt is no checkpoint of a training"),
        ("other sizes", "has shape (1, 77), expected"),
        ("other parts", "is of another network (network.more is in one of them only)"),
    ],
)
def test_a_checkpoint_that_is_no_use_is_named_and_the_best_one_offered(folder, how, message):
    last, best = folder / "run" / "last.ckpt", folder / "run" / "best.ckpt"
    spoiled(last, how)
    text = refused(str(folder / "run.yaml"), "--resume")
    assert message in text
    assert f"`cp {best} {last}`" in text
    assert f"`lammps-les export {folder / 'run'}`" in text
    spoiled(best, how)
    assert "is of no use either" in refused(str(folder / "run.yaml"), "--resume")


def test_the_way_out_leads_out(folder):
    last, best = folder / "run" / "last.ckpt", folder / "run" / "best.ckpt"
    last.unlink()
    text = refused(str(folder / "run.yaml"), "--resume")
    assert f"last.ckpt is missing; go on from the best weights by `cp {best} {last}`" in text
    shutil.copy(best, last)  # the best are those of the first epoch: all scores are alike
    command(str(folder / "run.yaml"), "--resume")
    assert [row["epoch"] for row in metrics(folder / "run")] == [1, 2, 3]
    assert torch.load(best, weights_only=True)["epoch"] == 0


def test_the_state_of_checkpoints_has_the_name_of_lightning():
    """By which those of older runs are found."""
    assert Checkpoint(monitor="m").state_key == ModelCheckpoint(monitor="m").state_key


def test_without_the_best_weights_they_are_chosen_among_those_to_come(folder):
    best = folder / "run" / "best.ckpt"
    spoiled(best, "cut")
    text = refused(str(folder / "run.yaml"), "--resume")
    assert "best.ckpt is damaged" in text
    assert "remove it to go on from last.ckpt" in text
    best.unlink()
    command(str(folder / "run.yaml"), "--resume")
    assert torch.load(best, weights_only=True)["epoch"] == 2

"""The folder in which a trained network is kept; the training itself is tested in ../training."""

import json
from pathlib import Path

import pytest
import torch

from lammps_les import pretrained
from lammps_les.models import LesNetwork, NetworkConfig, ReadoutConfig, RepresentationConfig
from lammps_les.pretrained import load_folder, save_folder
from lammps_les.training.config_file import read_config

CONFIG = NetworkConfig(
    species=("H", "O"),
    representation=RepresentationConfig(cutoff=3.0, n_bessel=3, n_radial=4, max_l=2),
    energy=ReadoutConfig(hidden=(8,)),
    charge=ReadoutConfig(hidden=(8,)),
)
METADATA = {
    "format_version": 1,
    "species": ["H", "O"],
    "cutoff": 3.0,
    "layers": 1,
    "dtype": "float32",
    "channels": 1,
    "sigma": 1.0,
    "dl": 2.0,
    "norm": 90.0,
    "remove_self": True,
    "self_factor": 1.0,
    "charge_unit": 1.0,
    "charge_sign": [1.0],
    "epsilon_inf": 1.0,
    "remove_mean": True,
    "atomic_energies": {"H": -1.0, "O": -2.0},
    "provenance": dict.fromkeys(("source", "program", "version", "date", "citation"), "test"),
}


@pytest.fixture
def network() -> LesNetwork:
    torch.manual_seed(0)
    return LesNetwork(CONFIG)


def test_a_folder_gives_back_what_was_saved(network, tmp_path):
    save_folder(tmp_path / "a", CONFIG, network.state_dict(), METADATA, {"seed": 1})
    again, metadata = load_folder(tmp_path / "a")
    for name, value in network.state_dict().items():
        assert torch.equal(value, again.state_dict()[name])
    assert metadata.species == ["H", "O"]
    (tmp_path / "a" / "weights.pt").write_bytes(b"something else")
    with pytest.raises(ValueError, match="take both from one source"):
        load_folder(tmp_path / "a")


def test_a_folder_keeps_double_precision(network, tmp_path):
    network.double()
    for parameter in network.parameters():
        parameter.data += 1e-12
    save_folder(tmp_path, CONFIG, network.state_dict(), METADATA, {})
    for name, value in load_folder(tmp_path)[0].state_dict().items():
        assert torch.equal(value, network.state_dict()[name])


def test_the_training_of_the_model_that_ships_is_the_one_on_record():
    folder = Path(pretrained.__file__).parent / "water_rpbe-d3"
    record = json.loads((folder / "config.json").read_text())
    config = read_config(folder / "train.yaml")
    frames, schedule = record["training"]["frames"], record["training"]["schedule"]
    split = config.data.split
    assert [split.training, split.validation, split.test] == [
        frames[part] for part in ("training", "validation", "test")
    ]
    assert config.seed == record["training"]["seed"]
    assert list(config.loss.weights.energy) == schedule.pop("energy_weight")
    for name, value in schedule.items():
        assert getattr(config.training, name) == value
    metadata = record["metadata"]
    assert config.charges.epsilon_inf == metadata["epsilon_inf"]
    for name in ("sigma", "dl", "norm", "remove_self"):
        assert getattr(config.long_range, name) == metadata[name]
    assert config.network.species == metadata["species"]
    representation = record["network"]["representation"]
    assert config.network.representation == RepresentationConfig(
        **{n: v for n, v in representation.items() if n != "messages"}
    )
    for part in ("energy", "charge"):
        expected = record["network"][part] | {"hidden": tuple(record["network"][part]["hidden"])}
        assert getattr(config.network, part) == ReadoutConfig(**expected)

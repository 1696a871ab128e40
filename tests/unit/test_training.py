"""The folder in which a trained network is kept; the training itself is tested in ../training."""

import pytest
import torch

from lammps_les.models import LesNetwork, NetworkConfig, ReadoutConfig, RepresentationConfig
from lammps_les.pretrained import load_folder, save_folder

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

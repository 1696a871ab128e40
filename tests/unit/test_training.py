"""The folder in which a trained network is kept; the training itself is tested in ../training."""

import json

import pytest
import torch

from lammps_les.model_file import network_section
from lammps_les.models import CaceConfig, CaceNetwork, ReadoutConfig, RepresentationConfig
from lammps_les.pretrained import load_folder, save_folder

CONFIG = CaceConfig(
    species=("H", "O"),
    representation=RepresentationConfig(cutoff=3.0, n_bessel=3, n_radial=4, max_l=2),
    energy=ReadoutConfig(hidden=(8,)),
    charge=ReadoutConfig(hidden=(8,)),
)
METADATA = {
    "format_version": 2,
    "network": {},
    "latents": ["charge"],
    "long_range": {
        "sigma": 1.0,
        "dl": 2.0,
        "norm": 90.0,
        "remove_self": True,
        "self_factor": 1.0,
    },
    "charges": {"channels": 1, "unit": 1.0, "sign": [1.0]},
    "response": {"epsilon_inf": 1.0, "remove_mean": True},
    "atomic_energies": {"H": -1.0, "O": -2.0},
    "provenance": dict.fromkeys(("source", "program", "version", "date", "citation"), "test"),
}


FLAT = {
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
def network() -> CaceNetwork:
    torch.manual_seed(0)
    return CaceNetwork(CONFIG)


def metadata_of(network: CaceNetwork) -> dict:
    return {**METADATA, "network": network_section(network, "float32")}


def test_a_folder_gives_back_what_was_saved(network, tmp_path):
    save_folder(tmp_path / "a", network.state_dict(), metadata_of(network), {"seed": 1})
    again, metadata = load_folder(tmp_path / "a")
    for name, value in network.state_dict().items():
        assert torch.equal(value, again.state_dict()[name])
    assert metadata.network.species == ["H", "O"]
    (tmp_path / "a" / "weights.pt").write_bytes(b"something else")
    with pytest.raises(ValueError, match="take both from one source"):
        load_folder(tmp_path / "a")


def test_a_folder_keeps_double_precision(network, tmp_path):
    network.double()
    for parameter in network.parameters():
        parameter.data += 1e-12
    save_folder(tmp_path, network.state_dict(), metadata_of(network), {})
    for name, value in load_folder(tmp_path)[0].state_dict().items():
        assert torch.equal(value, network.state_dict()[name])


@pytest.mark.parametrize("absent", [(), ("bec_form", "bec_fitted", "total_charge", "open_shift")])
def test_a_folder_of_version_1_is_read(network, tmp_path, absent):
    """Flat metadata, the configuration of the network beside them; what is absent stays absent."""
    save_folder(tmp_path, network.state_dict(), metadata_of(network), {})
    content = json.loads((tmp_path / "config.json").read_text())
    sha256 = content["metadata"]["provenance"]["sha256"]
    optional = {"bec_form": "phase", "bec_fitted": True, "total_charge": -1.0, "open_shift": 1e-6}
    flat = FLAT | {key: value for key, value in optional.items() if key not in absent}
    content["network"] = content["metadata"]["network"]["config"]
    content["metadata"] = flat | {"provenance": {**FLAT["provenance"], "sha256": sha256}}
    (tmp_path / "config.json").write_text(json.dumps(content))
    again, metadata = load_folder(tmp_path)
    for name, value in network.state_dict().items():
        assert torch.equal(value, again.state_dict()[name])
    assert metadata.format_version == 2
    assert metadata.network.config["representation"]["n_radial"] == CONFIG.representation.n_radial
    assert metadata.long_range.norm == 90.0
    assert metadata.charges.sign == [1.0]
    stated = metadata.response.model_fields_set | metadata.charges.model_fields_set
    assert ("bec_form" in stated) is ("total" in stated) is (not absent)
    assert metadata.charges.total == (None if absent else -1.0)
    assert metadata.response.bec_form == ("local" if absent else "phase")

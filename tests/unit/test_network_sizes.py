"""Networks of so many weights that nobody can mean them."""

from dataclasses import replace

import pytest

from lammps_les.models import MaceConfig, build_network, default_config, kinds
from lammps_les.models.cace.config import CaceConfig, ReadoutConfig


@pytest.mark.parametrize(
    "config",
    [
        MaceConfig(("H", "O"), features=1024, max_l=2, hidden_max_l=1),
        CaceConfig(("H", "O"), energy=ReadoutConfig(hidden=(1024,) * 8)),
        replace(default_config("nequip"), species=("H", "O"), features=1024),
        replace(default_config("allegro"), species=("H", "O"), radial_hidden=(1024,) * 8),
    ],
)
def test_networks_of_too_many_weights_are_refused(monkeypatch, config):
    monkeypatch.setattr(kinds, "MOST_WEIGHTS", 5_000_000)
    with pytest.raises(ValueError, match=r"\d\d?\d?,\d+,\d+ weights, at most 5,000,000 .*lower"):
        build_network(config)


def test_the_number_of_weights_in_the_message_is_that_of_the_network(monkeypatch):
    config = MaceConfig(("H", "O"), features=16)
    count = sum(weight.numel() for weight in build_network(config).parameters())
    monkeypatch.setattr(kinds, "MOST_WEIGHTS", count)
    build_network(config)
    monkeypatch.setattr(kinds, "MOST_WEIGHTS", count - 1)
    with pytest.raises(ValueError, match=f"features .*{count:,} weights"):
        build_network(config)

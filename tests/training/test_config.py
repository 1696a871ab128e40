"""Configuration: what is refused, in which words; and the one that --init writes."""

from pathlib import Path

import numpy as np
import pytest
from ase.calculators.singlepoint import SinglePointCalculator
from ase.io import write
from training_toys import waters
from typer.testing import CliRunner

from lammps_les.cli import app
from lammps_les.training.config_file import read_config

MINIMAL = "data:\n  files:\n    - path: water.xyz\n"


def refused(tmp_path: Path, text: str) -> str:
    (tmp_path / "c.yaml").write_text(text)
    with pytest.raises(ValueError, match=r"c\.yaml") as error:
        read_config(tmp_path / "c.yaml")
    return str(error.value)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            MINIMAL + "traning: {epochs: 3}\n",
            "line 4: unknown key 'traning'; did you mean 'training'? Allowed: data, seed,",
        ),
        (
            "data:\n  files:\n    - paht: water.xyz\n",
            "line 3: unknown key 'data.files[0].paht'; did you mean 'path'? "
            "Allowed: path, weight, part, frames",
        ),
        ("data:\n  files:\n    - weight: 2\n", "line 3: key 'data.files[0].path' is missing"),
        ("data:\n  files: []\n", "key 'data.files'"),
        (
            MINIMAL + "network:\n  representation:\n    cutof: 4\n",
            "line 6: unknown key 'network.representation.cutof'; did you mean 'cutoff'?",
        ),
        (
            MINIMAL + "loss:\n  kind: hubber\n",
            "line 5: key 'loss.kind': Input should be 'mse' or 'huber', got 'hubber'; "
            "did you mean 'huber'?",
        ),
        (
            MINIMAL + "training:\n  epochs: 0\n",
            "line 5: key 'training.epochs': Input should be greater than or equal to 1, got 0",
        ),
        (MINIMAL + "loss:\n  weights: {energy: -1}\n", "line 5: key 'loss.weights.energy'"),
        (MINIMAL + "loss:\n  weights: {energi: 1}\n", "did you mean 'energy'?"),
        (
            MINIMAL + "loss:\n  stages:\n    - from_epoch: 3\n      weights: {force: 1}\n",
            "line 7: unknown key 'loss.stages[0].weights.force'; did you mean 'forces'?",
        ),
        (
            MINIMAL + "training: {epochs: 10, check_every: 3}\n",
            "check_every 3 must divide epochs 10",
        ),
        (MINIMAL + "init_from: a\nlong_range: {dl: 2}\n", "long_range comes from init_from"),
        (MINIMAL + "freeze: [representation]\n", "freeze needs init_from"),
        (
            MINIMAL + "charges: {total_charge: penalty}\n",
            "penalty needs loss.weights.total_charge > 0",
        ),
        (MINIMAL + "charges: {sign: [1, -1]}\n", "expected one for each of 1 channels"),
        (
            MINIMAL + "charges: {total_charge: exact}\nnetwork: {channels: 2}\n",
            "exact needs network.channels: 1, got 2",
        ),
        ("- 1\n", "expected sections"),
        ("data: [\n", "is not YAML"),
    ],
)
def test_what_is_wrong_is_named_with_line_and_remedy(tmp_path, text, expected):
    assert expected in refused(tmp_path, text)


def test_all_problems_are_listed_at_once(tmp_path):
    message = refused(tmp_path, MINIMAL + "seeed: 1\ndtype: float16\n")
    assert len(message.splitlines()) == 2


def test_off_is_a_word_and_a_number_may_have_an_exponent(tmp_path):
    (tmp_path / "c.yaml").write_text(
        MINIMAL + "charges: {total_charge: off, remove_mean: false}\n"
        "training: {learning_rate: 1e-3}\n"
    )
    config = read_config(tmp_path / "c.yaml")
    assert config.charges.total_charge == "off"
    assert config.charges.remove_mean is False
    assert config.training.learning_rate == 0.001


def test_init_writes_a_configuration_that_is_read(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    structures = []
    for seed in range(10):
        atoms = waters("triclinic", 2, seed)
        atoms.calc = SinglePointCalculator(
            atoms, energy=-20.0, forces=np.full((6, 3), 120.0), stress=np.zeros(6)
        )
        structures.append(atoms)
    write("water.xyz", structures)
    result = CliRunner().invoke(app, ["train", "--init", "water.xyz"])
    assert result.exit_code == 0, result.output
    (tmp_path / "c.yaml").write_text(result.stdout)
    config = read_config("c.yaml")
    assert config.network.species == ["H", "O"]
    assert config.data.split.validation == 1
    assert config.data.max_force == 300.0
    assert config.loss.weights.stress == 0.0
    assert "stress: 0.0" in result.stdout
    assert "born_effective_charges" not in result.stdout
    assert "10 structures of 6 atoms, 10 periodic, elements H O" in result.stdout
    assert "# embed_total_charge: true" in result.stdout
    assert not config.network.representation.embed_total_charge


def test_init_tells_the_network_the_total_charge_where_structures_differ_in_it(tmp_path):
    ion, neutral = waters("open", 2, 1), waters("open", 2, 2)
    ion.info["charge"] = -1.0
    ion.arrays["BEC"] = np.zeros((6, 9))
    write(tmp_path / "ions.xyz", [ion, neutral, neutral])
    result = CliRunner().invoke(app, ["train", "--init", str(tmp_path / "ions.xyz")])
    assert result.exit_code == 0, result.output
    (tmp_path / "c.yaml").write_text(result.stdout)
    config = read_config(tmp_path / "c.yaml")
    assert config.network.representation.embed_total_charge
    assert config.loss.weights.total_charge == 0.0
    assert config.loss.weights.born_effective_charges == 0.1
    assert "elements H O, total charges -1 0 e" in result.stdout


def test_a_wrong_configuration_ends_the_command_with_one_message(tmp_path):
    (tmp_path / "c.yaml").write_text(MINIMAL + "seeed: 1\n")
    result = CliRunner().invoke(app, ["train", str(tmp_path / "c.yaml")])
    assert result.exit_code == 1
    assert "did you mean 'seed'" in " ".join(result.output.split())
    assert "Traceback" not in result.output

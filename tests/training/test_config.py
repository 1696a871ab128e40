"""Configuration: what is refused, in which words; and the one that --init writes."""

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from ase.calculators.singlepoint import SinglePointCalculator
from ase.io import write
from training_toys import waters
from typer.testing import CliRunner

from lammps_les import pretrained
from lammps_les.cli import app
from lammps_les.training.config_file import read_config

MINIMAL = "data:\n  files:\n    - path: water.xyz\n"
REPRESENTATION = MINIMAL + "network:\n  representation:\n"


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
            "Allowed: path, weight, part, frames, bec_order",
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
            "line 5: key 'training.epochs': expected a whole number from 1 to 10000000, got 0",
        ),
        (MINIMAL + "loss:\n  weights: {energy: -1}\n", "line 5: key 'loss.weights.energy'"),
        (MINIMAL + "loss:\n  weights: {energi: 1}\n", "did you mean 'energy'?"),
        (
            MINIMAL + "loss:\n  stages:\n    - from_epoch: 3\n      weights: {force: 1}\n",
            "line 7: unknown key 'loss.stages[0].weights.force'; did you mean 'forces'?",
        ),
        (
            MINIMAL + "training: {epochs: 10, validate_every: 3}\n",
            "validate_every 3 must divide epochs 10",
        ),
        (
            MINIMAL + "training: {epochs: 10, check_every: 5}\n",
            "line 4: key 'training.check_every' is now 'training.validate_every'",
        ),
        (MINIMAL + "training: {averaging: 0.9}\n", "is now 'training.ema_decay'"),
        (MINIMAL + "training: {max_gradient: 1}\n", "is now 'training.gradient_clip'"),
        (MINIMAL + "training: {warm_up: 0}\n", "is now 'training.warmup'"),
        (MINIMAL + "charges: {born: phase}\n", "is now 'charges.bec_form'"),
        (
            MINIMAL + "charges: {epsilon_inf: 1" + "0" * 400 + "}\n",
            "line 4: key 'charges.epsilon_inf': expected a number from 0.1 to 1000",
        ),
        (MINIMAL + "init_from: a\nlong_range: {dl: 2}\n", "long_range comes from init_from"),
        (MINIMAL + "freeze: [representation]\n", "freeze needs init_from"),
        (MINIMAL + "init: {channels: 1}\n", "init needs init_from"),
        (
            MINIMAL + "init_from: a\ninit: {channels: 1}\nnetwork: {channels: 1}\n",
            "network comes from init_from",
        ),
        (
            MINIMAL + "network: {kind: maze}\n",
            "line 4: key 'network.kind': expected one of cace, mace, nequip, allegro, got 'maze'; "
            "did you mean 'mace'?",
        ),
        (MINIMAL + "network: 3\n", "line 4: key 'network': expected keys with values, got 3"),
        (MINIMAL + "network: {kind: [1]}\n", "key 'network.kind': expected one of cace, mace"),
        (
            MINIMAL + "network:\n  kind: mace\n  representation: {cutoff: 4}\n",
            "Allowed: species, channels, latents, cutoff, layers, features, hidden_max_l",
        ),
        (
            MINIMAL + "network: {kind: nequip, cutof: 4}\n",
            "unknown key 'network.cutof'; did you mean 'cutoff'?",
        ),
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
        (
            REPRESENTATION + "    average_neighbors: 0\n",
            "line 6: key 'network.representation.average_neighbors': expected a number from 0.001 "
            "to 10000, got 0",
        ),
        (REPRESENTATION + "    cutoff: -1\n", "cutoff': expected a number from 0.5 to 50, got -1"),
        (
            REPRESENTATION + "    cutoff: .inf\n",
            "expected a number from 0.5 to 50, got inf",
        ),
        (REPRESENTATION + "    embedding_size: 0\n", "expected a whole number from 1 to 16, got 0"),
        (REPRESENTATION + "    n_bessel: 0\n", "n_bessel': expected a whole number from 1 to 100,"),
        (REPRESENTATION + "    n_radial: 0\n", "n_radial': expected a whole number from 1 to 100,"),
        (REPRESENTATION + "    max_l: -1\n", "max_l': expected a whole number from 0 to 10, got"),
        (REPRESENTATION + "    max_nu: 7\n", "max_nu': expected a whole number from 1 to 4,"),
        (REPRESENTATION + "    max_nu: 0\n", "max_nu': expected a whole number from 1 to 4,"),
        (REPRESENTATION + "    layers: 0\n", "layers': expected a whole number from 1 to 10,"),
        (REPRESENTATION + "    cutoff_power: 0\n", "cutoff_power': expected a whole number from"),
        (
            REPRESENTATION + "    messages: [{invariant_hidden: [4, 0]}]\n",
            "key 'network.representation.messages[0].invariant_hidden[1]': expected a whole number",
        ),
        (
            MINIMAL + "network: {charge_representation: {cutoff: 0}}\n",
            "line 4: key 'network.charge_representation.cutoff': expected a number from 0.5 to 50",
        ),
        (MINIMAL + "network: {energy: {hidden: [0]}}\n", "key 'network.energy.hidden[0]'"),
        (
            MINIMAL + "network: {charge: {scale: 0}}\n",
            "key 'network.charge.scale': expected a number from -1e+06 to 1e+06, not 0, got 0",
        ),
        (
            MINIMAL + "network: {species: [H, O, H]}\n",
            "line 4: key 'network.species': expected each element once, got ['H', 'O', 'H']",
        ),
        (
            MINIMAL + "network: {species: [H, Ox]}\n",
            "key 'network.species': expected element symbols, 'Ox' is none",
        ),
        (MINIMAL + "init_from: a\ninit: {elements: []}\n", "key 'init.elements'"),
        ("data: [\n", "is not YAML"),
    ],
)
def test_what_is_wrong_is_named_with_line_and_remedy(tmp_path, text, expected):
    assert expected in refused(tmp_path, text)


BOMB = "a: &a [1, 1]\n" + "".join(
    f"{b}: &{b} [{', '.join([f'*{a}'] * 10)}]\n" for a, b in zip("abcdef", "bcdefg", strict=True)
)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (MINIMAL + "seed: 1\nseed: 2\n", ", line 5: key 'seed' stands in line 4 already; keep one"),
        (MINIMAL + "training: {epochs: 3, epochs: 4}\n", ", line 4: key 'epochs' stands in line 4"),
        ("data:\n\tfiles: []\n", ", line 2: is not YAML: it has a tab; write spaces"),
        (MINIMAL + "citation: \xff\n", ", line 4: expected text in UTF-8"),
        (MINIMAL + "citation: \x00\n", "is not YAML: it has the character #x0000"),
        (BOMB, "line 6: more than 100000 values, be it by anchors"),
        ("data: &a [*a]\n", "line 1: an alias stands inside of what it stands for"),
        ("[" * 5000, "is nested too deeply"),
        ("#" * 3_000_000, "has 3000000 bytes, more than the 2000000 that can be"),
        (MINIMAL + f"seed: {'9' * 5000}\n", ", line 4: is not YAML: Exceeds the limit"),
        (MINIMAL + "---\nseed: 1\n", "but found another document"),
        (MINIMAL + "training: [1]\n", "line 4: key 'training': expected keys with values, got [1]"),
        (
            MINIMAL + "network: {energy: {hidden: 3}}\n",
            "energy.hidden': expected a list, got 3",
        ),
        ("data: {files: [{path: 5}]}\n", "key 'data.files[0].path': expected a text, got 5"),
        ("data: {files: [{path: ''}]}\n", "expected a text that is not empty, got ''"),
        (MINIMAL + "1: 2\n", "line 4: key '[1]': expected a word as key, got 1"),
        (MINIMAL + "training: {epochs: true}\n", "a whole number from 1 to 10000000, got True"),
        (MINIMAL + "training: {epochs: 1:30}\n", "a whole number from 1 to 10000000, got '1:30'"),
        (MINIMAL + f"seed: [{'1, ' * 99}]\n", "4294967295, got [1, 1, 1"),
        (
            MINIMAL + "loss: {weights: {energy: [1, -1]}}\n",
            "line 4: key 'loss.weights.energy[1]': expected a number from 1e-12 to 1e+12, got -1",
        ),
        (
            "data: {files: [{path: a}], split: {validation: 1.5}}\n",
            "key 'data.split.validation': expected a share below 1 or a whole number of structures",
        ),
        (
            "data: {files: [{path: a}], atomic_energies: {H: .inf}}\n",
            "key 'data.atomic_energies.H': expected a number from -1e+07 to 1e+07, got inf",
        ),
        (
            REPRESENTATION + "    embedding_size: 10\n    n_radial: 90\n",
            "line 5: key 'network.representation': embedding_size 10, n_radial 90, max_l 3 and "
            "max_nu 3 make 54000 invariants of an atom, at most 20000 can be; lower one of them",
        ),
        (
            REPRESENTATION + "    embedding_size: 16\n    max_l: 10\n    max_nu: 1\n",
            "make 878592 components of the A basis of an atom, at most 100000 can be",
        ),
    ],
)
def test_what_nobody_can_mean_is_one_line(tmp_path, text, expected):
    (tmp_path / "c.yaml").write_bytes(text.encode("latin-1"))
    with pytest.raises(ValueError, match=r"c\.yaml") as error:
        read_config(tmp_path / "c.yaml")
    assert expected in str(error.value)
    assert len(str(error.value).splitlines()) == 1
    assert len(str(error.value)) < 500


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("network.representation.max_l", 40),
        ("network.representation.cutoff", 0.001),
        ("network.energy.hidden", [10**9]),
        ("network.channels", 10**6),
        ("long_range.sigma", 1e-6),
        ("long_range.dl", 1e-300),
        ("long_range.norm", -1.0),
        ("training.epochs", 10**12),
        ("training.batch_size", 0),
        ("training.devices", 10**6),
        ("training.learning_rate", 1e6),
        ("training.ema_decay", 0.99999999999),
        ("training.weight_decay", 1e308),
        ("loss.weights.forces", 1e300),
        ("loss.huber_delta", 0.0),
        ("seed", -1),
        ("data.max_force", 0.0),
        ("data.min_distance", 0.0),
        ("data.split.seed", 2**64),
        ("data.files[0].weight", 1e300),
    ],
)
def test_a_number_without_meaning_is_refused_with_the_range(tmp_path, key, value):
    content: dict = {"data": {"files": [{"path": "water.xyz"}]}}
    *sections, last = key.replace("files[0]", "files.0").split(".")
    inner: Any = content
    for name in sections:
        inner = inner[int(name)] if isinstance(inner, list) else inner.setdefault(name, {})
    inner[last] = value
    text = refused(tmp_path, yaml.safe_dump(content))
    assert re.search(
        rf"key '{re.escape(key)}.*': expected a \w*\s?number from \S+ to \S+, got", text
    )


def test_all_problems_are_listed_at_once(tmp_path):
    message = refused(tmp_path, MINIMAL + "seeed: 1\ndtype: float16\n")
    assert len(message.splitlines()) == 2


def test_the_configuration_of_the_shipped_model_can_be_used_again():
    config = read_config(pretrained.folder("water_rpbe-d3") / "config.yaml")
    assert (config.training.validate_every, config.training.ema_decay) == (10, 0.998)


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
            atoms, energy=-20.0, forces=np.full((6, 3), 120.0), stress=np.full(6, 0.01)
        )
        structures.append(atoms)
    write("water.xyz", structures)
    result = CliRunner().invoke(app, ["train", "--init", "water.xyz"])
    assert result.exit_code == 0, result.output
    (tmp_path / "c.yaml").write_text(result.stdout)
    config = read_config("c.yaml")
    assert config.network.species == ("H", "O")
    assert config.data.split.validation == 1
    assert config.data.max_force == 300.0
    assert config.loss.weights.stress == 10.0
    assert "born_effective_charges" not in result.stdout
    assert "10 structures of 6 atoms, 10 periodic, elements H O" in result.stdout
    assert "# embed_total_charge: true" in result.stdout
    assert not config.network.representation.embed_total_charge
    assert config.charges.total_charge == "exact"


def test_init_names_the_file_from_the_folder_of_the_configuration(tmp_path, monkeypatch):
    name = 'liquid: "water" #2.xyz'
    (tmp_path / "some data").mkdir()
    (tmp_path / "runs").mkdir()
    write(tmp_path / "some data" / "w.xyz", [waters("open", 2, seed) for seed in range(3)])
    (tmp_path / "some data" / "w.xyz").rename(tmp_path / "some data" / name)
    monkeypatch.chdir(tmp_path)
    data = f"some data/{name}"
    result = CliRunner().invoke(app, ["train", "--init", data])
    assert result.exit_code == 0, result.output
    (tmp_path / "c.yaml").write_text(result.stdout)
    assert read_config(tmp_path / "c.yaml").data.files[0].path == data
    assert read_config(tmp_path / "c.yaml").charges.total_charge == "off"  # of molecules
    result = CliRunner().invoke(app, ["train", "--init", data, "-o", "runs/c.yaml"])
    assert result.exit_code == 0, result.output
    assert read_config(tmp_path / "runs" / "c.yaml").data.files[0].path == f"../{data}"
    result = CliRunner().invoke(app, ["train", "--init", data, "-o", "runs/c.yaml"])
    assert result.exit_code == 1
    assert "runs/c.yaml exists" in " ".join(result.output.split())
    with (tmp_path / "runs" / "d.yaml").open("w") as file:  # as a shell does with >
        subprocess.run(
            [sys.executable, "-m", "lammps_les.cli", "train", "--init", data],
            stdout=file,
            check=True,
        )
    assert read_config(tmp_path / "runs" / "d.yaml").data.files[0].path == f"../{data}"


def test_init_leaves_epsilon_inf_to_be_given(tmp_path):
    write(tmp_path / "w.xyz", [waters("triclinic", 2, seed) for seed in range(3)])
    text = CliRunner().invoke(app, ["train", "--init", str(tmp_path / "w.xyz")]).stdout
    (tmp_path / "c.yaml").write_text(text)
    assert "epsilon_inf" not in read_config(tmp_path / "c.yaml").charges.model_fields_set
    remark = text.split("  # epsilon_inf: ")[1].split("total_charge:")[0]
    assert "square root" in remark
    assert "without it 1 (vacuum)" in remark


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
    assert config.charges.total_charge == "off"
    assert config.loss.weights.total_charge == 0.0
    assert config.loss.weights.born_effective_charges == 0.1
    assert "elements H O, total charges -1 0 e" in result.stdout


def test_a_wrong_configuration_ends_the_command_with_one_message(tmp_path):
    (tmp_path / "c.yaml").write_text(MINIMAL + "seeed: 1\n")
    result = CliRunner().invoke(app, ["train", str(tmp_path / "c.yaml")])
    assert result.exit_code == 1
    assert "did you mean 'seed'" in " ".join(result.output.split())
    assert "Traceback" not in result.output

"""Trained networks that are damaged: run folders and files of other programs."""

import hashlib
import json
import random
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from lammps_les import pretrained
from lammps_les_export.convert import import_model

NAME = "water_rpbe-d3"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Copy of the shipped model."""
    for name in (pretrained.CONFIG, pretrained.WEIGHTS):
        shutil.copy(pretrained.folder(NAME) / name, tmp_path)
    return tmp_path


def replaced(text: bytes) -> Callable[[Path], object]:
    return lambda folder: (folder / "config.json").write_bytes(text)


def changed(*keys: str, value: Any) -> Callable[[Path], object]:
    def change(folder: Path) -> None:
        content = inner = json.loads((folder / "config.json").read_text())
        for key in keys[:-1]:
            inner = inner[key]
        inner[keys[-1]] = value
        (folder / "config.json").write_text(json.dumps(content))

    return change


def of_another_network(folder: Path) -> None:
    torch.save({"weight": torch.zeros(3)}, folder / "weights.pt")
    sha256 = hashlib.sha256((folder / "weights.pt").read_bytes()).hexdigest()
    changed("metadata", "provenance", "sha256", value=sha256)(folder)


def a_folder(folder: Path) -> None:
    (folder / "weights.pt").unlink()
    (folder / "weights.pt").mkdir()


CONFIGURATION = ("metadata", "network", "config")


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (replaced(b""), "config.json is no JSON, perhaps cut short"),
        (replaced(b"\xff{}"), "config.json, line 1: expected text in UTF-8"),
        (replaced(b"[1]"), "config.json: expected an object of JSON, got list"),
        (replaced(b"[" * 100_000), "config.json is no JSON, perhaps cut short"),
        (replaced(b"{}"), "config.json: expected an object as member 'metadata', got None"),
        (replaced(b'{"metadata": {}}'), "expected an object as member 'network', got None"),
        (replaced(b'{"metadata": {"format_version": 1}, "network": {"species": ["H"]}}'), "dtype"),
        (
            changed(*CONFIGURATION, "representation", "max_l", value=40),
            "representation.max_l: expected a whole number from 0 to 10",
        ),
        (
            changed(*CONFIGURATION, "representation", "layers", value=3),
            "does not follow format version 2: network: 3 layers|does not fit the network of",
        ),
        (lambda folder: (folder / "weights.pt").unlink(), "weights.pt does not exist"),
        (a_folder, "weights.pt is a folder; expected a file"),
        (lambda folder: (folder / "weights.pt").write_bytes(b"x"), "weights.pt has SHA-256"),
        (of_another_network, "weights.pt does not fit the network of .*config.json: "),
    ],
)
def test_a_damaged_folder_is_refused_in_a_line_that_names_the_file(folder, damage, message):
    damage(folder)
    with pytest.raises(ValueError, match=message) as error:
        pretrained.load_folder(folder)
    assert str(error.value).startswith(str(folder))
    assert len(str(error.value).splitlines()) == 1


def test_a_damaged_checkpoint_of_another_program_is_refused_with_its_name(tmp_path):
    path = tmp_path / "model.pth"
    torch.save(torch.nn.Linear(30, 3), path)
    whole, rng = path.read_bytes(), random.Random(1)
    for case in range(100):
        content = bytearray(whole)
        for _ in range(rng.choice((1, 3, 30))):
            content[rng.randrange(len(content))] = rng.randrange(256)
        if case % 4 == 0:
            content = content[: rng.randrange(len(content))]
        path.write_bytes(content)
        with pytest.raises(ValueError, match=r"model\.pth") as error:  # it is no model anyway
            import_model(path)
        assert len(str(error.value).splitlines()) == 1, case

"""Damages of every kind, drawn by chance: a file is taken, or refused in one line that names it."""

import random
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import yaml
from ase.calculators.singlepoint import SinglePointCalculator
from ase.io import write
from training_toys import settings, waters

from lammps_les.data.structures import read_labelled
from lammps_les.training.config import RunConfig
from lammps_les.training.config_file import read_config

CASES = 160
VALUES = ("nan", ".nan", "inf", "1e308", "-1", "", "9" * 400, "1e20", "0", "x", "[1", "\0", "true")


def structures(path: Path) -> None:
    """Three frames with labels."""
    frames = [waters("triclinic", 1, seed) for seed in range(3)]
    for atoms in frames:
        atoms.calc = SinglePointCalculator(
            atoms, energy=-1.0, forces=np.ones((3, 3)), stress=np.full(6, 0.01)
        )
        atoms.info["total_charge"] = 0.0
        atoms.arrays["BEC"] = np.zeros((3, 9))
    write(path, frames, format="extxyz")


def configuration(path: Path) -> None:
    """All keys with their defaults, and stages."""
    content = RunConfig.model_validate(settings()).model_dump(mode="json")
    content["loss"]["stages"] = [{"from_epoch": 2, "weights": {"energy": [1.0, 2.0]}}]
    path.write_text(yaml.safe_dump(content, sort_keys=False))


def damaged(content: bytes, rng: random.Random) -> bytes:
    """One damage: bytes, a line or a value of it."""
    lines = content.splitlines(keepends=True)
    at = rng.randrange(len(lines))
    match rng.choice(("bytes", "without", "twice", "elsewhere", "cut", "value", "value", "value")):
        case "bytes":
            changed = bytearray(content)
            for _ in range(rng.choice((1, 3, 20))):
                changed[rng.randrange(len(changed))] = rng.randrange(256)
            return bytes(changed)
        case "without":
            del lines[at]
        case "twice":
            lines.insert(at, lines[at])
        case "elsewhere":
            lines.insert(rng.randrange(len(lines)), lines.pop(at))
        case "cut":
            return content[: rng.randrange(len(content))]
        case _:
            parts = lines[at].split(b" ")
            part = rng.randrange(len(parts))
            key, equals, _ = parts[part].rpartition(b"=")
            parts[part] = key + equals + rng.choice(VALUES).encode()
            lines[at] = b" ".join(parts).rstrip(b"\n") + b"\n"
    return b"".join(lines)


@pytest.mark.parametrize(
    ("name", "make", "read"),
    [("data.xyz", structures, read_labelled), ("run.yaml", configuration, read_config)],
)
def test_a_damaged_file_is_taken_or_refused_in_words(
    tmp_path: Path, name: str, make: Callable[[Path], None], read: Callable[[Path], object]
) -> None:
    path = tmp_path / name
    make(path)
    read(path)
    whole, rng, refusals = path.read_bytes(), random.Random(1), 0
    for case in range(CASES):
        path.write_bytes(damaged(whole, rng))
        try:
            with warnings.catch_warnings(action="ignore"):
                read(path)
        except ValueError as error:
            refusals += 1
            for line in str(error).splitlines():  # one for each problem
                assert line.startswith(str(path)), (case, line)
                assert len(line) < 600, (case, line)
    assert refusals > CASES / 3
